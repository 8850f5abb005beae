"""The table of guards, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.guards.run import ROOT, Finding

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- guards -->", "<!-- /guards -->"


def table(findings: Sequence[Finding], when: str) -> str:
    """Markdown: each guard, what it is against, where it stands, and the test that fails without it."""
    held = sum(finding.held for finding in findings)
    lines = [
        f"{when}, `python -m tests.guards`: {held} of {len(findings)} guards, taken away, are missed by their tests.",
        "",
        "| guard | what happens without it | where | test | fails without it | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for finding in findings:
        guard = finding.guard
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in guard.tests)
        verdict = "yes" if finding.held else "**no**"
        lines.append(f"| {guard.name} | {guard.trap} | `{guard.file}` | {tests} | {verdict} | {finding.seconds:.0f} |")
    return "\n".join(lines)


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between its markers."""
    whole = page.read_text() if page.is_file() else f"# Reliability\n\n## Guards\n\n{BEGIN}\n{END}\n"
    before, _, rest = whole.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
