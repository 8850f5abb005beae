"""Starting, standing idle, and the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import Stack, command, prepared
from benchmarks.rows import Goal, Row, Sample, row
from benchmarks.usage import Usage
from core.settings import Settings
from inference.cards import list_cards
from infra.cli.query_service import QueryService
from infra.stack.readiness import models_answer
from tests.conftest import ROOT

SETTLE_S = 5.0
BARE = "an empty Python"
COMMANDS = {
    BARE: ("-c", "pass"),
    "import of the command line": ("-c", "import infra.cli.main"),
    "sightline --help": ("-m", "infra.cli.main", "--help"),
}


def run(bench: Bench) -> Sequence[Row]:
    """The command line first; then the stack, started on empty stores and again."""
    rows = _command_line(bench)
    settings, env = prepared(bench.folder)
    first = command(env, "up")
    bench.say(f"up on empty stores: {first:.1f} s")
    downs, ups = [command(env, "down")], []
    for number in range(1, bench.rounds + 1):
        ups.append(command(env, "up"))
        if number == bench.rounds:
            rows += _idle(bench, settings, env)
        downs.append(command(env, "down"))
        bench.say(f"round {number} of {bench.rounds}: up {ups[-1]:.1f} s, down {downs[-1]:.1f} s")
    rows.append(Row("up, on empty stores", first, "s", "less"))
    rows.append(row("up, again", [Sample(s) for s in ups], "s", better="less", goal=Goal("value", 20.0)))
    rows.append(row("down", [Sample(s) for s in downs], "s", better="less"))
    return rows


def _idle(bench: Bench, settings: Settings, env: Mapping[str, str]) -> list[Row]:
    """Memory, and processor time of each second, of a stack that nothing is asked of."""
    with closing(QueryService(f"http://127.0.0.1:{settings.query.port}")) as service:
        standing = Stack(settings, env, service)
        names = [card.name for card in list_cards(settings.models_dir)]
        while not models_answer(settings, *names):  # `up` does not wait for all of them
            time.sleep(1.0)
        time.sleep(SETTLE_S)
        with Usage(standing.processes()) as used:
            time.sleep(3 * bench.round_s)
    busy = sum(used.cpu_s.values()) / (3 * bench.round_s)
    share = {name: spent / (3 * bench.round_s) for name, spent in used.cpu_s.items()}
    return [
        Row("idle stack, memory", sum(used.memory_mb.values()), "MB", "less", memory_mb=used.memory_mb),
        Row("idle stack, cores busy", busy, "cores", "less", cpu_s=share, note="an item is a second"),
    ]


def _command_line(bench: Bench) -> list[Row]:
    took: dict[str, list[Sample]] = {name: [] for name in COMMANDS}
    for _ in range(2 * bench.rounds):
        for name, arguments in COMMANDS.items():
            begun = time.perf_counter()
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
            took[name].append(Sample(time.perf_counter() - begun))
            if done.returncode:
                raise Failed(f"{name}: {done.stderr.strip()[-500:]}")
    return [
        row(
            name,
            samples,
            "s",
            better="less",
            against=None if name == BARE else (BARE, took[BARE]),
            goal=None if name == BARE else Goal("value", 0.3),
        )
        for name, samples in took.items()
    ]


BENCHMARK = Benchmark(
    "start",
    "`sightline up` until all is ready, on empty stores and again; the stack standing idle; the command line beside an "
    "empty Python.",
    run,
)
