"""`python -m tests.faults`: the fault suite, and docs/reliability.md's table.

A campaign deals a shuffled deck of faults over rounds of load until the deck is empty; the seed
gives the same deck and the same pauses. Faults that need a stack of their own come after it.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import commit
from tests.conftest import ROOT
from tests.faults import report, special
from tests.faults.campaign import Campaign, Figures
from tests.faults.faults import Fault, catalogue
from tests.faults.load import CARS, LONG_STREAMS, WATCHED_S, Service, camera
from tests.faults.memory import Peaks
from tests.faults.rig import standing
from tests.fixtures_cameras import packets_file, rtsp_camera

KILLS = 20
OTHERS = 2


def deck(chance: random.Random, only: str, kills: int, others: int) -> list[Fault]:
    """Each kill so many times, each other fault so many, shuffled."""
    faults = [fault for fault in catalogue() if only in fault.name]
    dealt = [f for f in faults for _ in range(kills if f.name.startswith("kill -9") else others)]
    chance.shuffle(dealt)
    return dealt


def say(line: str) -> None:
    """With the time, at once."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main() -> int:
    """Run it; 0 when every promise held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120.0, help="no new round after so many")
    parser.add_argument("--kills", type=int, default=KILLS, help="of each process")
    parser.add_argument("--others", type=int, default=OTHERS, help="times each other fault")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--special", nargs="*", choices=special.NAMES, default=list(special.NAMES))
    parser.add_argument("--report", type=Path, help="write the table there, such as docs/reliability.md")
    chosen = parser.parse_args()
    shared = Path(os.environ.get("SIGHTLINE_SHARED", ROOT.parent / "shared")).resolve()
    if not shared.is_dir():
        sys.exit(f"the test data is not at {shared}: set SIGHTLINE_SHARED to its folder")
    code = commit(ROOT)
    rounds = Progress(chosen, "faults", code)
    with tempfile.TemporaryDirectory(prefix="sightline-faults-", ignore_cleanup_errors=True) as folder:
        chance = random.Random(chosen.seed)
        dealt = deck(chance, chosen.only, chosen.kills, chosen.others)
        if dealt:
            _rounds(Path(folder) / "main", shared, dealt, rounds)
        apart = Progress(chosen, "special", code)
        for name in chosen.special:
            say(name)
            special.RUNS[name](Path(folder) / name, special.Course(shared, chosen.seed, apart.figures, say))
            apart.tell()
    done = [progress for progress in (rounds, apart) if progress.figures.rounds]
    print(*(progress.told for progress in done), sep="\n\n")
    return 0 if all(progress.good for progress in done) else 1


@dataclass(slots=True)
class Progress:
    """What was asked for, and what has come of it so far.

    Attributes:
        mark: of its section in the report.
        code: the commit that is run: writing the report already changes the folder.
        left: faults of the deck for which the time was too short.
        told: the report's section as it was written last.
    """

    chosen: argparse.Namespace
    mark: str
    code: str
    begun: float = field(default_factory=time.monotonic)
    figures: Figures = field(default_factory=Figures)
    peaks: Peaks = field(default_factory=Peaks)
    left: int = 0
    told: str = ""

    @property
    def good(self) -> bool:
        """Whether every promise held under every fault that was asked for."""
        return (
            not self.left
            and not self.figures.bad_rounds
            and not any(tally.slow for tally in self.figures.tallies.values())
        )

    def tell(self) -> None:
        """Make the report's section and write it where it is wanted: whatever ends the run, its figures are kept."""
        minutes = (time.monotonic() - self.begun) / 60
        more = [f"{self.left} faults that were asked for were not dealt.", ""] if self.left else []
        command = shlex.join(["python", "-m", "tests.faults", *sys.argv[1:]])
        self.told = report.section(
            self.figures, self.chosen.seed, minutes, command, code=self.code, more=[*more, *self.peaks.table()]
        )
        if self.chosen.report:
            report.write(self.chosen.report, self.mark, self.told)


def _rounds(folder: Path, shared: Path, dealt: list[Fault], progress: Progress) -> None:
    """Rounds until the deck is empty or the time is over."""
    folder.mkdir(parents=True)
    packets = packets_file(shared / CARS, folder / "cars")
    with rtsp_camera(packets) as shown, standing(folder, camera=shown) as rig, progress.peaks.watching(rig):
        service = Service(rig.url, shared)
        streams = (*LONG_STREAMS, camera(shown.url, WATCHED_S))
        campaign = Campaign(rig, service, progress.chosen.seed, say, streams=streams)
        campaign.figures = progress.figures
        campaign.prepare()
        end = time.monotonic() + progress.chosen.minutes * 60
        while dealt and time.monotonic() < end:
            verdict = campaign.round(dealt)
            progress.left = len(dealt)
            held = "as promised" if verdict.good else str(verdict)
            say(f"round {progress.figures.rounds}: {held}; {len(dealt)} to go")
            progress.tell()
        service.close()


if __name__ == "__main__":
    sys.exit(main())
