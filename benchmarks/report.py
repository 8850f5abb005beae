"""docs/benchmarks.md's section, written from the runs that are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from benchmarks.bench import Failed
from benchmarks.machine import Machine
from benchmarks.rows import Row
from benchmarks.store import Measured, Record, newest
from benchmarks.tables import by_process, number

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
GOALS = "### What is wanted, and what is reached"
GOALS_HEAD = (
    GOALS,
    "",
    "| benchmark | what | figure | ratio | wanted | measured |",
    "|---|---|---:|---:|---:|---|",
)
_ABOUT = re.compile(r"^### (?P<name>[a-z]+)\n.*?(?=^### |\Z)", re.DOTALL | re.MULTILINE)


def section(runs: Sequence[Record], order: Sequence[str], before: str = "") -> str:
    """The newest result of each benchmark, full ones before short ones.

    Args:
        runs: the newest first.
        order: of the benchmarks, by name.
        before: the section as it stands: what no run is kept of stays.
    """
    found: dict[str, tuple[Record, Measured]] = {}
    for run, measured in chain(newest(runs, short=False), newest(runs, short=True)):
        found.setdefault(measured.name, (run, measured))
    if not found:
        raise Failed("there is no result yet to write a report from: run `make bench`")
    shown = [found[name] for name in order if name in found]
    staying = {each["name"]: each[0].strip() for each in _ABOUT.finditer(before) if each["name"] in order}
    machines = [f"Machine: {_machine(run.machine)}." for run, _ in shown]
    if any(name not in found for name in staying):
        machines += [line for line in before.splitlines() if line.startswith("Machine: ")]
    lines = [
        "`make bench` measures each side in turn (A B A B) in one run. Figures are the best round's; the ratio is the "
        "median of neighbouring rounds; the spread is (most - least) / median. CPU is of all processes that take part, "
        "for one item; memory is the peak of their proportional set size.",
        "",
        *dict.fromkeys(machines),
    ]
    wanted = {name: _goals(*found[name]) if name in found else _goals_of(name, before) for name in order}
    lines += ["", *GOALS_HEAD, *chain.from_iterable(wanted.values())]
    for name in order:
        if name in found:
            lines += ["", *_benchmark(*found[name])]
        elif name in staying:
            lines += ["", staying[name]]
    return "\n".join(lines)


def on(page: Path) -> str:
    """The section that stands on the page; empty where there is none."""
    _, _, rest = page.read_text().partition(f"{BEGIN}\n")
    return rest.partition(END)[0]


def write(page: Path, text: str) -> None:
    """Put the section between its marks; the rest of the page stays. Raises Failed."""
    made, count = re.subn(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page.read_text(), flags=re.DOTALL)
    if count != 1:
        raise Failed(f"{page} needs one place between {BEGIN} and {END} for the report")
    page.write_text(made)


def _goals(run: Record, measured: Measured) -> list[str]:
    """Every figure of a benchmark that something is wanted of, a line of one table."""
    return [
        _cells(
            measured.name,
            row.name,
            f"{number(row.value)} {row.unit}",
            _ratio(row),
            _wanted(row),
            f"{run.date[:10]}{_form(run)}",
        )
        for row in measured.rows
        if row.goal is not None
    ]


def _goals_of(name: str, before: str) -> list[str]:
    """Its lines in the table that stands."""
    _, _, table = before.partition(GOALS)
    return [line for line in table.partition("\n###")[0].splitlines() if line.startswith(f"| {name} |")]


def _benchmark(run: Record, measured: Measured) -> list[str]:
    load = f"load {measured.load_begin:g} to {measured.load_end:g}"
    return [
        f"### {measured.name}",
        "",
        f"{measured.about} {run.date[:10]}, commit {run.commit}, {load}{_form(run)}.",
        "",
        "| what | figure | ratio | wanted | spread | CPU ms an item | memory, MB |",
        "|---|---:|---:|---:|---:|---|---|",
        *(_line(row) for row in measured.rows),
    ]


def _form(run: Record) -> str:
    return ", short form" if run.short else ""


def _line(row: Row) -> str:
    note = f" ({row.note})" if row.note else ""
    return _cells(
        f"{row.name}{note}",
        f"{number(row.value)} {row.unit}",
        _ratio(row),
        _wanted(row),
        f"{row.spread:.0%}" if len(row.rounds) > 1 else "",
        by_process(row.cpu_s, 1000),
        by_process(row.memory_mb, 1),
    )


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f} of {row.reference}"


def _wanted(row: Row) -> str:
    if row.goal is None:
        return ""
    kind = "ratio " if row.goal.of == "ratio" else ""
    missed = ", **missed**" if row.reached is False else ""
    return f"{kind}{number(row.goal.limit)}{missed}"


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in machine.versions.items())
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB; {machine.system}, "
        f"Python {machine.python}; {versions}"
    )
