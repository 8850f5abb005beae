"""Results that are made up."""

from __future__ import annotations

from benchmarks.machine import Machine
from benchmarks.rows import Row
from benchmarks.store import Measured, Record

MACHINE = Machine("A processor", 2, 24.0, "Linux", "3.11", {"numpy": "2.0"})


def measured(name: str, *rows: Row) -> Measured:
    return Measured(name, "What it is.", 1.0, 0.1, 0.2, rows)


def record(date: str, *benchmarks: Measured, short: bool = False, machine: Machine = MACHINE) -> Record:
    return Record(f"{date}T12:00:00Z", "abc1234", short, machine, benchmarks)
