"""Faults that need a stack of their own: a broker's full disk, a clock that is set back, a broker gone for long."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.campaign import Campaign, Figures, Say
from tests.faults.faults import Fault, broker_out_of_reach
from tests.faults.load import STREAMS, TASKS, Service, until
from tests.faults.rig import Rig, standing

SMALL, LARGE = "96m", "2g"
FULL_S = 150.0
OUT_OF_REACH_S = 600.0


@dataclass(frozen=True, slots=True)
class Course:
    """What all of a run have in common; the figures are added to."""

    shared: Path
    seed: int
    figures: Figures
    say: Say


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A small disk."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "sightline-faults", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def disk_full(folder: Path, course: Course) -> None:
    """The broker's disk fills up under load and is made larger afterwards."""
    folder.mkdir(parents=True)
    with tmpfs(folder / "disk", LARGE) as disk, standing(folder, kafka_dir=disk) as rig:

        def fill(rig: Rig, _: random.Random) -> bool:
            broker = rig.pid("kafka")
            filler = disk / "filler"
            with filler.open("wb") as file, suppress(OSError):  # until nothing more fits
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            until(lambda: rig.pid("kafka") != broker or None, "the broker has stopped on its full disk", FULL_S)
            time.sleep(5.0)
            filler.unlink()
            return True

        _campaign(rig, course, [Fault("broker's disk full, then freed", "kafka", fill)])


def clock_set_back(folder: Path, course: Course) -> None:
    """The workers' wall clock goes back by an hour, and on again by two."""
    folder.mkdir(parents=True)

    def to(offset: str) -> Callable[[Rig, random.Random], bool]:
        def act(rig: Rig, _: random.Random) -> bool:
            rig.set_clock(offset)
            time.sleep(3.0)
            return True

        return act

    faults = [
        Fault("clock set on by 2 h", "all", to("+1h")),
        Fault("clock set back 1 h", "all", to("-1h")),
    ]
    with standing(folder, clock=True) as rig:
        _campaign(rig, course, faults)


def broker_gone(folder: Path, course: Course) -> None:
    """The broker is out of everybody's reach for ten minutes."""
    folder.mkdir(parents=True)
    with standing(folder) as rig:
        _campaign(rig, course, [broker_out_of_reach(OUT_OF_REACH_S)])


RUNS = {"disk-full": disk_full, "clock": clock_set_back, "broker-gone": broker_gone}
NAMES = tuple(RUNS)


def _campaign(rig: Rig, course: Course, faults: Sequence[Fault]) -> None:
    service = Service(rig.url, course.shared)
    campaign = Campaign(rig, service, course.seed, course.say, tasks=TASKS[:1], streams=STREAMS[1:])
    campaign.figures = course.figures
    campaign.prepare()
    deck = list(reversed(faults))
    while deck:
        verdict = campaign.round(deck)
        course.say(f"{'as promised' if verdict.good else verdict}")
    service.close()
