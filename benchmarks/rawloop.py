"""The raw model loop: what everything else is held against.

The exported ``serving_default`` called in one process on the same JPEGs, at the best of some batch
sizes, threads and calls in flight.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, Failed
from benchmarks.child import Child
from benchmarks.parts import models_dir
from benchmarks.rounds import Side, Work
from inference.cards import load_card
from inference.server.machine import has_bfloat16

CORES = os.cpu_count() or 1
MODULE = "benchmarks.work.raw"
WIDE = ((1, 1), (1, CORES), (4, 1), (4, CORES), (8, 1), (8, CORES))
"""Batch and calls in flight, where TensorFlow has a thread for each core."""

NARROW = ((1, CORES), (4, CORES), (8, CORES))
"""And where it has one, so that calls do not share cores."""


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """How the loop calls."""

    threads: int
    batch: int
    in_flight: int

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.in_flight} in flight, {self.threads} threads"


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop in a process of its own."""

    name: str
    way: Way
    child: Child

    def run(self, seconds: float) -> Work:
        """Loop for so long."""
        return work_of(self.ask(self.way.batch, self.way.in_flight, seconds))

    def ask(self, batch: int, in_flight: int, seconds: float) -> dict[str, Any]:
        """Loop in another way."""
        return self.child.ask(batch=batch, in_flight=in_flight, seconds=seconds)

    def side(self, seconds: float) -> Side:
        """This, to be measured beside others."""
        return Side(self.name, lambda: self.run(seconds), self.processes)

    def processes(self) -> Mapping[str, int]:
        """Its own."""
        return {self.name: self.child.pid}


def precisions() -> tuple[str, ...]:
    """What the processor multiplies fast."""
    return ("float", "bfloat16") if has_bfloat16() else ("float",)


@contextmanager
def raw_loop(bench: Bench, pictures: Path, model: str, precision: str = "float") -> Iterator[Loop]:
    """The loop at its best, for the block."""
    name = f"raw loop, {precision}"
    trial_s = bench.round_s / 5
    with ExitStack() as kept:
        best: tuple[float, Way, Child] | None = None
        for threads, ways in ((CORES, WIDE), (1, NARROW)):
            child = kept.enter_context(_child(bench, pictures, model, precision, threads=threads))
            speed, way = max((_speed(child, way, trial_s), way) for way in (Way(threads, *each) for each in ways))
            if best is None or speed > best[0]:
                loser, best = best, (speed, way, child)
            else:
                loser = (speed, way, child)
            if loser is not None:
                loser[2].close()
        assert best is not None
        bench.say(f"{model}: {name} is fastest at {best[1]}: {best[0]:.1f} frames/s")
        yield Loop(name, best[1], best[2])


def _speed(child: Child, way: Way, seconds: float) -> float:
    done = work_of(child.ask(batch=way.batch, in_flight=way.in_flight, seconds=seconds))
    return done.items / done.seconds


@contextmanager
def bare_graph(bench: Bench, pictures: Path, like: Loop, model: str, precision: str) -> Iterator[Loop]:
    """The graph on decoded pixels, called as another loop calls."""
    with _child(bench, pictures, model, precision, threads=like.way.threads, bare=True) as child:
        yield Loop(f"bare graph, {precision}", like.way, child)


def work_of(answer: Mapping[str, Any]) -> Work:
    """What a child answered of a round."""
    if not answer["items"]:
        raise Failed("a round was too short for a single call")
    return Work(answer["items"], answer["seconds"])


def _child(bench: Bench, pictures: Path, model: str, precision: str, *, threads: int, bare: bool = False) -> Child:
    card = load_card(models_dir(), model)
    setup = {
        "folder": str(models_dir() / model / str(card.version)),
        "pictures": str(pictures),
        "size": card.input_size,
        "threads": threads,
        "bfloat16": precision == "bfloat16",
        "bare": bare,
    }
    log = bench.folder / f"{model}-{precision}-{threads}{'-bare' if bare else ''}.log"
    # as the model server is started
    return Child(MODULE, setup, log, {"MALLOC_ARENA_MAX": "8"})
