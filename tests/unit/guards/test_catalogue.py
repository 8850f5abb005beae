"""The list of guards stays true: every text is there, every test is there, and the table is read back."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.guards.catalogue import GUARDS
from tests.guards.guard import Guard
from tests.guards.report import write
from tests.guards.run import ROOT, Finding


@cache
def names_of(file: str) -> frozenset[str]:
    """Functions, methods and assigned classes of a test file, as pytest names them."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).endswith(".TestCase"):
            found |= {f"{ast.unparse(target)}::runTest" for target in node.targets}
    return frozenset(found)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda g: g.name)
def test_a_guard_stands_where_it_is_said_and_its_tests_exist(guard: Guard) -> None:
    text = (ROOT / guard.file).read_text()
    without = guard.removed_from(text)
    assert without != text
    ast.parse(without)
    assert guard.tests
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert name.partition("[")[0] in names_of(file), test


def test_names_are_not_used_twice() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


def test_a_guard_that_is_not_there_or_there_twice_is_an_error() -> None:
    guard = Guard("g", "t", "f", "x = 1", "x = 2", ("t",))
    assert guard.removed_from("x = 1\n") == "x = 2\n"
    for text in ("", "x = 1\nx = 1\n"):
        with pytest.raises(ValueError, match="occurs"):
            guard.removed_from(text)


def test_a_row_takes_the_place_of_the_former_one_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- guards -->\n| no guard any more | old |\n<!-- /guards -->\n\n## More\n")
    guards = GUARDS[:2]
    write([Finding(guards[0], (), 1.2), Finding(guards[1], guards[1].tests, 2.0)], guards, "yesterday", page)
    write([Finding(guards[1], (), 3.0)], guards, "today", page)
    written = page.read_text()
    assert written.startswith("# Page\n\n<!-- guards -->\n`python -m tests.guards`: of 2 guards")
    assert written.endswith("<!-- /guards -->\n\n## More\n")
    assert [line.split("| ")[-1] for line in written.splitlines() if "| yes |" in line] == [
        "yesterday, 1 |",
        "today, 3 |",
    ]
    assert "**no**" not in written
    assert "any more" not in written
