"""`python -m benchmarks`: measure, keep the figures, and show them beside those of the run before."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import compare, machine, report, store
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import sweep
from benchmarks.rows import Row
from benchmarks.store import Measured, Record
from benchmarks.suite import ALL
from core.errors import SightlineError
from tests.conftest import ROOT

OUT = ROOT / "var" / "bench"


class Say:
    """Lines of progress, with the seconds since the begin."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self, line: str) -> None:
        """Show a line."""
        print(f"{time.monotonic() - self._begun:7.0f} s  {line}", flush=True)


def main() -> int:
    """Exit code: 0, 1 when a benchmark failed, 2 for wrong use, 130 when interrupted."""
    chosen = _arguments()
    if chosen.list:
        for benchmark in ALL:
            print(f"{benchmark.name:<12} {benchmark.about}")
        return 0
    try:
        if chosen.report is not None:
            names = [each.name for each in ALL]
            report.write(chosen.report, report.section(store.records(chosen.out), names, report.on(chosen.report)))
            return 0
        return _measure([each for each in ALL if not chosen.only or each.name in chosen.only], chosen)
    except Failed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [benchmark.name for benchmark in ALL]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help="these benchmarks: " + ", ".join(names)
    )
    parser.add_argument("--short", action="store_true", help="the form of some minutes")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help="where runs are kept (var/bench)")
    parser.add_argument("--list", action="store_true", help="say what there is, and measure nothing")
    parser.add_argument(
        "--report", type=Path, metavar="PAGE", help="write the kept figures into a page, and measure nothing"
    )
    return parser.parse_args()


def _measure(benchmarks: Sequence[Benchmark], chosen: argparse.Namespace) -> int:
    shared = Path(os.environ.get("SIGHTLINE_SHARED", ROOT.parent / "shared")).resolve()
    if not shared.is_dir():
        raise Failed(f"the test data is not at {shared}: set SIGHTLINE_SHARED to its folder")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    say = Say()
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = Record(date, machine.commit(ROOT), chosen.short, machine.describe())
    then = compare.before(store.records(chosen.out), record)
    found: list[Measured] = []
    interrupted = False
    for benchmark in benchmarks:
        try:
            found.append(_one(benchmark, chosen.short, shared, say))
        except KeyboardInterrupt:
            say(f"{benchmark.name}: interrupted")
            interrupted = True
            break
        for line in compare.table(found[-1], then):
            print(line, flush=True)
    if any(measured.rows for measured in found):
        record = Record(record.date, record.commit, record.short, record.machine, tuple(found))
        say(f"kept as {store.save(record, chosen.out)}")
    if interrupted:
        return 130
    return 1 if any(measured.error for measured in found) else 0


def _one(benchmark: Benchmark, short: bool, shared: Path, say: Say) -> Measured:
    """Measure; a benchmark that fails takes no other down. Nothing that it started is left after it."""
    say(f"{benchmark.name}: {benchmark.about}")
    begun, load = time.monotonic(), machine.load()
    error = ""
    rows: tuple[Row, ...] = ()
    with tempfile.TemporaryDirectory(prefix="sightline-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            rows = tuple(benchmark.run(Bench(short, shared, folder, lambda line: say(f"{benchmark.name}: {line}"))))
        except (Failed, SightlineError, OSError, AssertionError) as failure:
            error = f"{type(failure).__name__}: {failure}"
            say(f"{benchmark.name} failed: {error}")
        finally:
            if left := sweep(folder):
                say(f"{benchmark.name}: ended {left} processes that were left")
    seconds = round(time.monotonic() - begun, 1)
    return Measured(benchmark.name, benchmark.about, seconds, load, machine.load(), rows, error)


def _interrupted(number: int, _: object) -> None:
    """Once; what is running is then ended in order, and not interrupted again."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
