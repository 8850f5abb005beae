"""The one state machine of runs and streams."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from core.messages import StreamStatus
from core.states import (
    ENDED,
    ENGINE,
    LEGAL,
    NUMBERS,
    STATES,
    EngineState,
    can_resume,
    can_stop,
    items,
    legal,
    settled,
    shown,
)

GOING = ("pending", "in_progress", "restart", "handler_lost", "unknown", "paused")


def test_the_words_are_those_of_the_message_in_the_order_of_their_numbers() -> None:
    assert get_args(get_type_hints(StreamStatus)["state"]) == STATES
    assert dict(NUMBERS) == {
        "pending": 0, "in_progress": 1, "done": 2, "restart": 3, "failure": 4, "stop": 5, "handler_lost": 6,
        "unknown": 7, "paused": 8,
    }  # fmt: skip


def test_each_state_has_one_name_on_the_engine_surface() -> None:
    assert tuple(ENGINE) == STATES
    assert sorted(ENGINE.values()) == sorted(get_args(EngineState))


def test_every_state_says_what_may_follow_it() -> None:
    assert tuple(sorted(LEGAL)) == tuple(sorted(STATES))


@pytest.mark.parametrize("end", sorted(ENDED))
def test_an_end_may_come_at_any_time_and_nothing_after_it(end: str) -> None:
    for state in GOING:
        assert legal(state, end)
        assert not legal(end, state)
    for other in ENDED - {end}:
        assert not legal(end, other)
    assert legal(end, end), "a replay is nothing new"


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("pending", "in_progress", True),
        ("in_progress", "restart", True),
        ("restart", "pending", True),
        ("restart", "in_progress", True),
        ("handler_lost", "restart", True),
        ("handler_lost", "pending", True),
        ("in_progress", "paused", True),
        ("paused", "in_progress", True),
        ("in_progress", "pending", False),
        ("paused", "pending", False),
        ("unknown", "pending", False),
    ],
)
def test_what_may_follow(before: str, after: str, allowed: bool) -> None:
    assert legal(before, after) is allowed


def test_what_can_be_stopped_and_resumed() -> None:
    assert [state for state in STATES if can_resume(state)] == ["done", "failure", "stop"]
    assert [state for state in STATES if can_stop(state)] == [state for state in STATES if not can_resume(state)]


@pytest.mark.parametrize(
    ("analytics", "paused", "expected"),
    [(2, (), "in_progress"), (2, (1,), "in_progress"), (2, (0, 1), "paused"), (0, (), "in_progress")],
)
def test_a_run_of_which_every_analytic_is_paused_is_paused(
    analytics: int, paused: tuple[int, ...], expected: str
) -> None:
    assert settled("in_progress", analytics, paused) == expected
    assert settled("restart", analytics, paused) == "restart"


@pytest.mark.parametrize(
    ("state", "paused", "desired", "expected"),
    [
        ("in_progress", (), "run", "in_progress"),
        ("in_progress", (1,), "run", "unknown"),
        ("restart", (1,), "run", "restart"),
        ("paused", (0, 1), "run", "paused"),
        ("in_progress", (1,), "stop", "stop"),
        ("done", (), "stop", "stop"),
        ("failure", (), "run", "failure"),
    ],
)
def test_what_the_stream_is_shown_as(state: str, paused: tuple[int, ...], desired: str, expected: str) -> None:
    assert shown(state, paused, desired) == expected


def test_each_analytic_has_its_own_state() -> None:
    assert items("in_progress", 3, (1,), "run") == {0: "in_progress", 1: "paused", 2: "in_progress"}
    assert items("in_progress", 2, (1,), "stop") == {0: "stop", 1: "stop"}
    assert items("pending", 2, (1,), "run") == {0: "pending", 1: "pending"}
    assert items("pending", 0, (), "run") == {None: "pending"}
