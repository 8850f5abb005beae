"""The time axis that all charts of the page share."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

WIDTH = 1000.0
LEFT = 132.0
RIGHT = 20.0
TICKS = 8


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on the time axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Media seconds to the x of a drawing `WIDTH` wide."""

    duration_s: float

    def x(self, seconds: float) -> float:
        """Where `seconds` is; what lies outside of the video is at its edge."""
        part = seconds / self.duration_s if self.duration_s > 0 else 0.0
        return round(LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT), 2)

    @property
    def ticks(self) -> list[Tick]:
        """A handful of round times from 0 on."""
        step = _round_step(self.duration_s / TICKS)
        count = floor(self.duration_s / step + 1e-9) if self.duration_s > 0 else 0
        return [Tick(self.x(i * step), clock(i * step, step)) for i in range(count + 1)]


def clock(seconds: float, step: float = 0.01) -> str:
    """Such as `0.25 s`, `12 s`, `3:05` or `1:00:00`; as many decimals as `step` needs."""
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    decimals = 0 if step >= 1 else 1 if step >= 0.1 else 2
    return f"{seconds:.{decimals}f} s"


def _round_step(least: float) -> float:
    """The next of 1, 2, 5 times a power of ten; from a minute on of 1, 2, 5, 10, 15, 30, 60 ... minutes."""
    if least > 30:
        return next((60.0 * m for m in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480) if 60 * m >= least), 86_400.0)
    if least > 10:
        return 30.0 if least > 15 else 15.0
    if least <= 0:
        return 1.0
    base = 10.0 ** floor(log10(least))
    return next(base * factor for factor in (1, 2, 5, 10) if base * factor >= least - 1e-12)
