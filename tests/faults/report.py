"""docs/reliability.md's section that a campaign writes."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.faults.campaign import Figures


def table(figures: Figures) -> list[str]:
    """A Markdown table, a line for each kind of fault."""
    lines = [
        "| fault | times | lost | duplicated | out of order | ledger did not sum | recovery s, median / longest |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, tally in sorted(figures.tallies.items()):
        seconds = tally.recovery_s
        recovery = f"{median(seconds):.1f} / {max(seconds):.1f}" if seconds else "not measured"
        late = f" ({tally.slow} late)" if tally.slow else ""
        lines.append(
            f"| {name} | {tally.times} | {tally.lost} | {tally.duplicated} | {tally.disordered} | {tally.unsummed} "
            f"| {recovery}{late} |"
        )
    return lines


def section(figures: Figures, seed: int, minutes: float, command: str, *, code: str, more: Sequence[str] = ()) -> str:
    """The whole section; `code`: the commit that was run."""
    assert figures.rounds, "nothing was run"
    times = sum(tally.times for tally in figures.tallies.values())
    verdict = (
        "Lost 0, duplicated 0, out of order 0, and the ledger summed whenever it was asked."
        if not figures.bad_rounds
        else f"**{figures.bad_rounds} rounds were not as promised**; what differed is below the table."
    )
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, commit {code}, seed {seed}, {minutes:.0f} minutes, "
        f"{platform.machine()}, `{command}`: {times} faults in {figures.rounds} rounds over {figures.frames} "
        f"frames, and {figures.gated} that a camera's gate held back. {verdict}",
        "",
        *table(figures),
        *(["", "What differed:", "", *(f"* `{note}`" for note in figures.notes[:40])] if figures.notes else []),
        *(["", *more] if more else []),
    ]
    return "\n".join(lines)


def write(path: Path, mark: str, text: str) -> None:
    """Put the section between its marks; the rest of the page stays."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    page = path.read_text()
    made, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)
    assert count == 1, f"{path} has no place for the report"
    path.write_text(made)
