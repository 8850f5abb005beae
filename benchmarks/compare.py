"""A run beside the run before."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.rows import Row
from benchmarks.store import Measured, Record, newest
from benchmarks.tables import number

Then = dict[tuple[str, str], Row]


def before(runs: Sequence[Record], now: Record) -> Then:
    """Each figure as it was last, in runs of the same form on a machine of the same processor and cores."""
    alike = [
        run
        for run in runs
        if run.date < now.date and (run.machine.cpu, run.machine.cores) == (now.machine.cpu, now.machine.cores)
    ]
    return {(measured.name, row.name): row for _, measured in newest(alike, short=now.short) for row in measured.rows}


def table(measured: Measured, then: Then) -> list[str]:
    """Lines of a text: each figure with its ratio, what it was, and by how much it has changed."""
    lines = [f"{'':<44} {'then':>10} {'now':>10} {'change':>8} {'ratio':>7} {'spread':>7}  unit"]
    for row in measured.rows:
        old = then.get((measured.name, row.name))
        was, change = (number(old.value), _change(old, row)) if old else ("", "")
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        missed = "  below its goal" if row.reached is False else ""
        lines.append(
            f"{row.name[:44]:<44} {was:>10} {number(row.value):>10} {change:>8} {ratio:>7} "
            f"{row.spread:>7.0%}  {row.unit}{missed}"
        )
    return lines


def _change(old: Row, row: Row) -> str:
    return f"{row.value / old.value - 1:+.0%}" if old.value else ""
