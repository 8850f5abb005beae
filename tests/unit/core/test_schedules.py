"""When an analytic works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.messages import Schedule
from core.schedules import DAYS, MOST_SCHEDULES, check, next_change, open_at

BERLIN = "Europe/Berlin"
NIGHT = Schedule(days=("monday",), begin="22:00", end="06:00", time_zone=BERLIN)


def ms(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """The moment at which a place's clocks show this; `fold` 1: for the second time."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(local.timestamp() * 1000)


def shown(at_ms: int | None, zone: str = "UTC") -> str | None:
    """What a place's clocks show."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


def test_without_schedules_it_always_works() -> None:
    assert open_at((), 0)
    assert next_change((), 0) is None


def test_hours_hold_their_begin_and_not_their_end() -> None:
    office = (Schedule(begin="09:00", end="17:00"),)
    day = [
        (text, open_at(office, ms(f"2026-03-02T{text}"))) for text in ("08:59:59.999", "09:00", "16:59:59.999", "17:00")
    ]
    assert [works for _, works in day] == [False, True, True, False]


def test_every_day_is_meant_where_none_is_named_and_the_whole_day_where_no_hours_are() -> None:
    for day in range(7):
        at = ms("2026-03-02T00:00") + day * 86_400_000
        assert open_at((Schedule(),), at)
        assert [open_at((Schedule(days=(name,)),), at) for name in DAYS] == [i == day for i in range(7)]
    assert next_change((Schedule(),), ms("2026-03-02T12:00")) is None, "from midnight to midnight, for ever"


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    times = {
        "2026-03-02T21:59": False,
        "2026-03-02T22:00": True,
        "2026-03-03T05:59": True,
        "2026-03-03T06:00": False,
        "2026-03-03T22:00": False,
        "2026-03-02T03:00": False,
    }
    assert {text: open_at((NIGHT,), ms(text, BERLIN)) for text in times} == times


def test_hours_that_end_as_they_begin_last_a_day() -> None:
    round_the_clock = (Schedule(days=("monday",), begin="08:00", end="08:00"),)
    assert open_at(round_the_clock, ms("2026-03-03T07:59"))
    assert not open_at(round_the_clock, ms("2026-03-03T08:00"))
    assert shown(next_change(round_the_clock, ms("2026-03-02T09:00"))) == "2026-03-03T08:00+00:00"


def test_the_clock_is_that_of_the_place() -> None:
    morning = (Schedule(days=("tuesday",), begin="00:00", end="01:00", time_zone="Asia/Tokyo"),)
    assert open_at(morning, ms("2026-03-02T15:30")), "Monday in Greenwich"
    assert not open_at(morning, ms("2026-03-03T00:30"))


def test_any_of_several_is_enough() -> None:
    both = (Schedule(begin="09:00", end="12:00"), Schedule(begin="12:00", end="17:00"), NIGHT)
    assert open_at(both, ms("2026-03-05T11:00"))
    assert open_at(both, ms("2026-03-05T12:00"))
    assert shown(next_change(both, ms("2026-03-05T10:00"))) == "2026-03-05T17:00+00:00", "noon changes nothing"


def test_in_spring_a_night_is_an_hour_shorter() -> None:
    saturday = (Schedule(days=("saturday",), begin="22:00", end="06:00", time_zone=BERLIN),)
    begin = ms("2026-03-28T22:00", BERLIN)
    end = next_change(saturday, begin)
    assert shown(end, BERLIN) == "2026-03-29T06:00+02:00"
    assert end is not None
    assert end - begin == 7 * 3_600_000


def test_in_autumn_a_night_is_an_hour_longer() -> None:
    saturday = (Schedule(days=("saturday",), begin="22:00", end="06:00", time_zone=BERLIN),)
    begin = ms("2026-10-24T22:00", BERLIN)
    end = next_change(saturday, begin)
    assert shown(end, BERLIN) == "2026-10-25T06:00+01:00"
    assert end is not None
    assert end - begin == 9 * 3_600_000


def test_a_time_that_is_skipped_is_as_much_later_as_the_clocks_jump() -> None:
    from_gap = (Schedule(begin="02:30", end="05:00", time_zone=BERLIN),)
    to_gap = (Schedule(begin="00:00", end="02:30", time_zone=BERLIN),)
    assert not open_at(from_gap, ms("2026-03-29T03:29", BERLIN))
    assert open_at(from_gap, ms("2026-03-29T03:30", BERLIN))
    assert open_at(to_gap, ms("2026-03-29T03:29", BERLIN))
    assert not open_at(to_gap, ms("2026-03-29T03:30", BERLIN))


def test_a_time_that_comes_twice_begins_with_the_first_and_ends_with_the_second() -> None:
    from_fold = (Schedule(begin="02:30", end="05:00", time_zone=BERLIN),)
    to_fold = (Schedule(begin="00:00", end="02:30", time_zone=BERLIN),)
    assert open_at(from_fold, ms("2026-10-25T02:30", BERLIN))
    assert open_at(from_fold, ms("2026-10-25T02:00", BERLIN, fold=1)), "once begun it goes on"
    assert open_at(to_fold, ms("2026-10-25T02:40", BERLIN))
    assert open_at(to_fold, ms("2026-10-25T02:29", BERLIN, fold=1))
    assert not open_at(to_fold, ms("2026-10-25T02:30", BERLIN, fold=1))


def test_the_next_change_may_be_days_away() -> None:
    assert shown(next_change((NIGHT,), ms("2026-03-03T06:00", BERLIN)), BERLIN) == "2026-03-09T22:00+01:00"


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (Schedule(days=("funday",)), "schedules.1.days"),  # type: ignore[arg-type]
        (Schedule(begin="24:00"), "schedules.1.begin"),
        (Schedule(begin="9:00"), "schedules.1.begin"),
        (Schedule(begin="09:60"), "schedules.1.begin"),
        (Schedule(end="25:00"), "schedules.1.end"),
        (Schedule(end="24:01"), "schedules.1.end"),
        (Schedule(time_zone="Atlantis/Capital"), "schedules.1.time_zone"),
        (Schedule(time_zone=""), "schedules.1.time_zone"),
        (Schedule(time_zone="../etc/passwd"), "schedules.1.time_zone"),
        (Schedule(time_zone="Europe"), "schedules.1.time_zone"),
        (Schedule(time_zone="a\x00b"), "schedules.1.time_zone"),
    ],
)
def test_what_cannot_be_is_refused_by_name(schedule: Schedule, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check((NIGHT, schedule))
    assert caught.value.field == field


def test_too_many_are_refused() -> None:
    check((Schedule(),) * MOST_SCHEDULES)
    with pytest.raises(InvalidInput) as caught:
        check((Schedule(),) * (MOST_SCHEDULES + 1), "analytics.0.schedules")
    assert caught.value.field == "analytics.0.schedules"


clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
hours = st.builds(
    Schedule,
    days=st.lists(st.sampled_from(DAYS), max_size=3, unique=True).map(tuple),
    begin=clocks,
    end=st.one_of(clocks, st.just("24:00")),
    time_zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)


@given(
    schedules=st.lists(hours, min_size=1, max_size=3).map(tuple),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
)
def test_nothing_changes_before_the_next_change(schedules: tuple[Schedule, ...], at: datetime) -> None:
    check(schedules)
    now = round(at.replace(tzinfo=UTC).timestamp() * 1000)
    works, change = open_at(schedules, now), next_change(schedules, now)
    until = now + round(timedelta(days=8).total_seconds() * 1000) if change is None else change
    quarter = 15 * 60_000
    for look in range(now, until, max(quarter, (until - now) // 200)):
        assert open_at(schedules, look) == works
    if change is not None:
        assert open_at(schedules, change) != works
        assert open_at(schedules, change - 1) == works
