"""The table of guards, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.guards.guard import Guard
from tests.guards.run import ROOT, Finding

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- guards -->", "<!-- /guards -->"
HEAD = (
    "| guard | what happens without it | where | test | fails without it | tried, seconds |",
    "|---|---|---|---|---|---|",
)


def row(finding: Finding, when: str) -> str:
    """A guard, what it is against, where it stands, and the tests that fail without it."""
    guard = finding.guard
    tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in guard.tests)
    verdict = "yes" if finding.held else "**no**"
    return f"| {guard.name} | {guard.trap} | `{guard.file}` | {tests} | {verdict} | {when}, {finding.seconds:.0f} |"


def table(rows: Mapping[str, str], guards: Sequence[Guard]) -> str:
    """Markdown of the rows, by guard's name, in the order of `guards`; what is in none of them is left out."""
    found = [rows[guard.name] for guard in guards if guard.name in rows]
    held = sum("| yes |" in each for each in found)
    line = (
        f"`python -m tests.guards`: of {len(guards)} guards, taken away one by one, {held} make all their tests fail."
    )
    return "\n".join([line, "", *HEAD, *found])


def write(findings: Sequence[Finding], guards: Sequence[Guard], when: str, page: Path = PAGE) -> None:
    """Put the table between its markers; rows of guards that were not tried now stay as they are."""
    whole = page.read_text() if page.is_file() else f"# Reliability\n\n## Guards\n\n{BEGIN}\n{END}\n"
    before, _, rest = whole.partition(BEGIN)
    former, _, after = rest.partition(END)
    lines = [line for line in former.splitlines() if line.startswith("| ") and line not in HEAD]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    rows |= {finding.guard.name: row(finding, when) for finding in findings}
    page.write_text(f"{before}{BEGIN}\n{table(rows, guards)}\n{END}{after}")
