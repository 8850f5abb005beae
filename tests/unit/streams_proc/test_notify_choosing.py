"""What is told and to whom: conditions, and the event policy over sequences that are cut and replayed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages import Event
from core.profile import Condition, EventPolicy
from streams_proc.notify.conditions import all_hold, holds
from streams_proc.notify.due import due
from tests.unit.streams_proc.notify_kit import events

BODY: dict[str, Any] = {
    "event_type": "crowd",
    "account_id": "",
    "event_end_time": None,
    "stream_id": "of the body",
    "event": {
        "stream_id": "of the event",
        "people_count": 3,
        "score": 0.5,
        "label": "person",
        "loud": True,
        "overview": {"people_coordinates": [[1.0, 2.0], [3.0, 4.0]]},
    },
}


@pytest.mark.parametrize(
    ("field", "is_", "value", "met"),
    [
        ("event_type", "eq", "crowd", True),
        ("event_type", "eq", "object", False),
        ("event_type", "ne", "object", True),
        ("event.people_count", "eq", 3, True),
        ("people_count", "eq", 3, True),
        ("people_count", "eq", 3.0, True),
        ("people_count", "eq", "3", False),
        ("people_count", "ne", 3, False),
        ("people_count", "gt", 2, True),
        ("people_count", "gt", 3, False),
        ("people_count", "gte", 3, True),
        ("people_count", "lt", 3.5, True),
        ("people_count", "lte", 3, True),
        ("people_count", "lte", 2, False),
        ("people_count", "gt", "2", False),
        ("label", "lt", "q", True),
        ("label", "lt", 5, False),
        ("label", "in", ["car", "person"], True),
        ("label", "in", ["car"], False),
        ("label", "in", "person", False),
        ("people_count", "in", [1, 2, 3], True),
        ("loud", "eq", True, True),
        ("loud", "eq", 1, False),
        ("loud", "in", [1], False),
        ("loud", "gt", 0, False),
        ("event_end_time", "eq", None, True),
        ("event_end_time", "ne", "x", True),
        ("event_end_time", "lt", "x", False),
        ("overview.people_coordinates.1.0", "gt", 2, True),
        ("overview.people_coordinates.2.0", "gt", 2, False),
        ("overview.people_coordinates.0", "eq", [1, 2], True),
        ("stream_id", "eq", "of the body", True),
        ("event.stream_id", "eq", "of the event", True),
        ("colour", "eq", None, False),
        ("colour", "ne", "red", False),
        ("event.overview.colour", "ne", "red", False),
        ("event_type.deeper", "ne", "red", False),
        ("", "ne", "red", False),
        (".", "ne", "red", False),
    ],
)
def test_a_condition(field: str, is_: Any, value: Any, met: bool) -> None:
    assert holds(Condition(field, value, is_), BODY) is met


def test_all_conditions_must_hold_and_none_always_do() -> None:
    crowd, many = Condition("event_type", "crowd"), Condition("people_count", 5, "gte")
    assert all_hold((), BODY)
    assert all_hold((crowd,), BODY)
    assert not all_hold((crowd, many), BODY)


def told(policy: EventPolicy, phases: list[Event]) -> list[int]:
    """Numbers of the phases that are told."""
    return [event.number for event in phases if due(event, policy)]


@pytest.mark.parametrize(
    ("policy", "at_s", "numbers"),
    [
        (EventPolicy(), (0.2, 1.0, 3.0), [2]),
        (EventPolicy("end", min_duration_s=3.0), (0.2, 1.0, 3.0), [2]),
        (EventPolicy("end", min_duration_s=3.1), (0.2, 1.0, 3.0), []),
        (EventPolicy("start"), (0.2, 1.0, 3.0), [0]),
        (EventPolicy("start", min_duration_s=0.5), (0.2, 1.0, 1.5, 3.0), [1]),
        (EventPolicy("start", min_duration_s=2.0), (0.2, 1.0, 3.0), [2]),
        (EventPolicy("start", min_duration_s=5.0), (0.2, 1.0, 3.0), []),
        (EventPolicy("period", 1.0), (0.2, 0.5, 0.9, 1.1, 1.9, 2.0, 5.5, 5.6), [0, 3, 5, 6]),
        (EventPolicy("period", 1.0), (0.2, 4.0), [0, 1]),
        (EventPolicy("period", 1.0, 2.0), (0.2, 1.5, 2.5, 2.6, 3.5, 3.9), [2, 4]),
        (EventPolicy("period", 1000.0), (0.2, 400.0, 900.0), [0]),
        (EventPolicy("period", 0.0001), (0.001, 0.002, 0.003), [0, 1, 2]),
    ],
)
def test_a_policy(policy: EventPolicy, at_s: tuple[float, ...], numbers: list[int]) -> None:
    assert told(policy, events(*at_s)) == numbers


def test_an_event_that_lasts_is_not_told_by_its_end() -> None:
    assert told(EventPolicy(), events(0.2, 5.0, ended=False)) == []


times = st.lists(st.integers(0, 60_000), min_size=1, max_size=12, unique=True).map(sorted)
policies = st.builds(
    EventPolicy,
    st.sampled_from(["start", "end", "period"]),
    st.floats(0.001, 30.0),
    st.floats(0.0, 20.0),
)


@given(times, policies, st.integers(0, 12))
def test_a_replay_from_anywhere_decides_the_same(at_ms: list[int], policy: EventPolicy, begin: int) -> None:
    phases = events(*(ms / 1000 for ms in at_ms))
    assert told(policy, phases[begin:]) == [number for number in told(policy, phases) if number >= begin]


@given(times, policies)
def test_start_and_end_tell_once_at_most_and_a_period_once_in_each_interval(
    at_ms: list[int], policy: EventPolicy
) -> None:
    phases = events(*(ms / 1000 for ms in at_ms))
    numbers = told(policy, phases)
    lasted = [phase.ts_ms - phase.begin_ms for phase in phases]
    assert all(lasted[number] >= round(policy.min_duration_s * 1000) for number in numbers)
    if policy.trigger != "period":
        assert len(numbers) <= 1
    slots = [lasted[number] // max(1, round(policy.interval_s * 1000)) for number in numbers]
    assert len(set(slots)) == len(slots)
