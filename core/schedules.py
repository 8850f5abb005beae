"""When an analytic works: hours of days of the week, by the clock of a place.

Hours belong to the day they begin on: Monday's 22:00 to 06:00 ends on Tuesday morning. A time that
the clocks skip is as much later as they jump; of one that comes twice, hours begin with the first and
end with the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from core.errors import InvalidInput
from core.messages import Day, Schedule

MOST_SCHEDULES = 100
"""Of one analytic."""

DAYS: tuple[Day, ...] = get_args(Day)
WHOLE_DAY = 24 * 60
LOOK_AHEAD_DAYS = 9
"""What has not changed in a week and a day more will never change."""

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def check(schedules: Sequence[Schedule], field: str = "schedules") -> None:
    """That each of them can be.

    Raises:
        InvalidInput: a day, time or time zone that there is not; the field is a dotted path below `field`.
    """
    if len(schedules) > MOST_SCHEDULES:
        raise InvalidInput(f"{len(schedules)} schedules; {MOST_SCHEDULES} are the most", field)
    for i, schedule in enumerate(schedules):
        at = f"{field}.{i}"
        for day in schedule.days:
            if day not in DAYS:
                raise InvalidInput(f"no day {day!r}; there are {', '.join(DAYS)}", f"{at}.days")
        if not _TIME.fullmatch(schedule.begin):
            raise InvalidInput(f"{schedule.begin!r} is no time from 00:00 to 23:59", f"{at}.begin")
        if not _TIME.fullmatch(schedule.end) and schedule.end != "24:00":
            raise InvalidInput(f"{schedule.end!r} is no time from 00:00 to 24:00", f"{at}.end")
        try:
            ZoneInfo(schedule.time_zone)
        except (KeyError, ValueError, OSError) as error:  # not there; no name at all; a folder of names
            raise InvalidInput(
                f"no time zone {schedule.time_zone!r} in the IANA database", f"{at}.time_zone"
            ) from error


def open_at(schedules: Sequence[Schedule], ts_ms: int) -> bool:
    """Whether an analytic with these valid schedules works at a wall time; without any it always does."""
    return not schedules or any(_holds(schedule, ts_ms) for schedule in schedules)


def next_change(schedules: Sequence[Schedule], ts_ms: int) -> int | None:
    """The wall time, in ms, after `ts_ms` at which `open_at` first answers otherwise; None: never."""
    now = open_at(schedules, ts_ms)
    edges = {edge for schedule in schedules for hours in _hours(schedule, ts_ms, LOOK_AHEAD_DAYS) for edge in hours}
    return next((edge for edge in sorted(edges) if edge > ts_ms and open_at(schedules, edge) != now), None)


def _holds(schedule: Schedule, ts_ms: int) -> bool:
    return any(begin <= ts_ms < end for begin, end in _hours(schedule, ts_ms, 1))


def _hours(schedule: Schedule, ts_ms: int, ahead: int) -> Iterator[tuple[int, int]]:
    """Begin and end, in ms, of the hours of the days around `ts_ms`: from the day before to `ahead` days after."""
    zone = ZoneInfo(schedule.time_zone)
    first, last = _minutes(schedule.begin), _minutes(schedule.end)
    if last <= first:
        last += WHOLE_DAY
    today = datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone).date()
    for offset in range(-1, ahead + 1):
        day = today + timedelta(days=offset)
        if not schedule.days or DAYS[day.weekday()] in schedule.days:
            yield _instant(day, first, zone, 0), max(_instant(day, last, zone, fold) for fold in (0, 1))


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _instant(day: date, minutes: int, zone: ZoneInfo, fold: int) -> int:
    """Milliseconds since the epoch at which the clocks of a zone show a time, `minutes` after the day's midnight."""
    shown = datetime.combine(day, time()) + timedelta(minutes=minutes)
    return round(shown.replace(tzinfo=zone, fold=fold).timestamp() * 1000)
