"""Results as JSON, a file for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.machine import Machine
from benchmarks.rows import Row


class Measured(Struct, frozen=True, omit_defaults=True):
    """One benchmark of a run.

    Attributes:
        load_begin, load_end: the machine's load average around it.
        error: why it has no rows.
    """

    name: str
    about: str
    seconds: float
    load_begin: float
    load_end: float
    rows: tuple[Row, ...] = ()
    error: str = ""


class Record(Struct, frozen=True, omit_defaults=True):
    """One run.

    Attributes:
        date: its begin, ``2026-01-31T12:00:00Z``.
        short: whether the form of some minutes was run.
    """

    date: str
    commit: str
    short: bool
    machine: Machine
    benchmarks: tuple[Measured, ...] = ()


def save(record: Record, folder: Path) -> Path:
    """Write ``<date>-<commit>.json``; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.date.replace(':', '')}-{record.commit.replace('+', '-changed')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    return path


def records(folder: Path) -> list[Record]:
    """Every run that is kept, the newest first."""
    found = (msgspec.json.decode(path.read_bytes(), type=Record) for path in folder.glob("*.json"))
    return sorted(found, key=lambda record: record.date, reverse=True)


def newest(runs: Sequence[Record], *, short: bool) -> Iterator[tuple[Record, Measured]]:
    """The newest result of each benchmark among `runs` of one form, which come newest first."""
    seen: set[str] = set()
    for run in runs:
        for measured in run.benchmarks if run.short == short else ():
            if measured.rows and measured.name not in seen:
                seen.add(measured.name)
                yield run, measured
