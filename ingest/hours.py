"""Which of a stream's analytics are outside of their schedules now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.clock import Clock, wall_clock
from core.messages import Analytic, Schedule


def as_they_were() -> None:
    """Nothing has changed."""


class Hours:
    """Asked for each frame; looks at the clock, and for other analytics, once a second.

    Args:
        newest: the analytics that the run has got since; None while they are `analytics`.
    """

    def __init__(
        self,
        analytics: Sequence[Analytic],
        clock: Clock = wall_clock,
        newest: Callable[[], Sequence[Analytic] | None] = as_they_were,
    ) -> None:
        self._schedules = [analytic.schedules for analytic in analytics]
        self._newest = newest
        self._clock = clock
        self._asked_at: int | None = None
        self._paused: tuple[int, ...] = ()

    @property
    def paused(self) -> tuple[int, ...]:
        """Positions of those that do not work now."""
        second = int(self._clock())
        if second != self._asked_at:
            self._asked_at = second
            newest = self._newest()
            if newest is not None:
                self._schedules = [analytic.schedules for analytic in newest]
            self._paused = tuple(
                at for at, schedules in enumerate(self._schedules) if not open_at(schedules, second * 1000)
            )
        return self._paused

    @property
    def shut(self) -> bool:
        """Whether none works; a stream without analytics is watched at all hours."""
        paused = self.paused
        return bool(self._schedules) and len(paused) == len(self._schedules)


def open_at(schedules: tuple[Schedule, ...], ts_ms: int) -> bool:
    """Whether one of the schedules is open at a wall time; without any it always is."""
    from core import schedules as hours  # noqa: PLC0415 - most streams have none, and time zones are loaded with it

    return not schedules or hours.open_at(schedules, ts_ms)
