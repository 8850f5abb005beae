"""The error tree and the one table that says what follows from an error."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import infra
import ingest
import query_api
import streams_proc
import warehouse
from core import errors
from core.errors import POLICIES, Handling, SightlineError, policy_of

BRANCHES = {
    errors.TransientError: Handling.RETRY,
    errors.PoisonError: Handling.DEAD_LETTER,
    errors.FatalError: Handling.STOP,
    errors.DroppedFrame: Handling.DROP,
    errors.ClientError: Handling.CLIENT_ERROR,
}
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
SAID = {
    Handling.RETRY: "try again",
    Handling.DEAD_LETTER: "dead letter",
    Handling.STOP: "stop the line",
    Handling.DROP: "drop",
    Handling.CLIENT_ERROR: "answer the client",
}


def descendants(kind: type[SightlineError]) -> set[type[SightlineError]]:
    return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))


def of_core() -> list[type[SightlineError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, SightlineError) and kind is not SightlineError
    ]


@pytest.mark.parametrize("kind", of_core(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_row_of_its_own_that_agrees_with_its_branch(kind: type[SightlineError]) -> None:
    (branch,) = [base for base in BRANCHES if issubclass(kind, base)]
    assert POLICIES[kind].handling is BRANCHES[branch]


def test_the_tables_rows_are_the_tree_and_nothing_else() -> None:
    assert set(POLICIES) == set(of_core())


def test_an_error_of_a_room_has_its_branch_s_policy() -> None:
    for room in (ingest, streams_proc, warehouse, query_api, infra):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            source = Path(str(importlib.util.find_spec(module.name).origin))  # type: ignore[union-attr]
            if source.suffix == ".py" and re.search(
                r"^class \w+\(.*(Error|Exceeded|Input|Media)\):", source.read_text(), re.M
            ):
                importlib.import_module(module.name)
    found = descendants(SightlineError) - {SightlineError} - set(of_core())
    assert {"BadRow", "StackDown", "TooLarge", "Busy"} <= {kind.__name__ for kind in found}
    for kind in found:
        (branch,) = [base for base in BRANCHES if issubclass(kind, base)]
        assert policy_of(kind).handling is BRANCHES[branch], kind


@pytest.mark.parametrize(("kind", "policy"), POLICIES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_row_says_what_its_handling_needs_and_nothing_else(kind: type[SightlineError], policy: errors.Policy) -> None:
    assert (0 < policy.first_s <= policy.longest_s) == (policy.handling is Handling.RETRY)
    assert bool(policy.reason) == (policy.handling is Handling.DROP)
    assert not policy.remedy or policy.handling is Handling.STOP
    policy.remedy.format(stage="detect")


def test_an_error_from_outside_the_tree_stops_the_line() -> None:
    assert policy_of(RuntimeError("x")).handling is Handling.STOP
    assert policy_of(KeyError).handling is Handling.STOP


def test_the_manual_s_table_is_this_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", OPERATIONS.read_text(), re.M)
    told = {name: said.split(",")[0].strip() for name, said in rows if hasattr(errors, name)}
    expected = {
        kind.__name__: SAID[policy.handling]
        for kind, policy in POLICIES.items()
        if kind not in BRANCHES and policy.handling is not Handling.CLIENT_ERROR
    }
    assert told == expected | {"ClientError": SAID[Handling.CLIENT_ERROR]}
