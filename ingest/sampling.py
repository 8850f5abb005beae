"""Choosing frames by presentation time.

The rule: due times lie on the grid ``k / fps``, k = 0, 1, 2, ... A frame is chosen when its time
is at or past the next due time; the next due time is then the first grid point after that frame.
So a source slower than the rate gives every frame once (none is repeated), a gap gives no burst,
and the choice depends on presentation times alone, not on how the file is read. Times in a
container are rounded to its time base, so "at" allows for that rounding (see `tolerance`).
"""

from __future__ import annotations

from fractions import Fraction

MILLISECOND = Fraction(1, 1000)
AHEAD_S = 10
"""How much further than real time a camera may come at once: some send what they have kept."""

LONGEST_S = 10 * 366 * 86_400
"""No source lasts so long: a presentation time beyond it is damage."""


def tolerance(time_base: Fraction) -> Fraction:
    """How much earlier than its true time a stamp in `time_base` may be: half a tick where it is
    rounded, and a whole one, up to a millisecond, because some writers cut instead.
    """
    return max(min(time_base, MILLISECOND), time_base / 2)


class Sampler:
    """Chooses frames at a rate; every frame when `fps` is 0.

    Args:
        fps: frames a second to choose.
        start_s: frames before this media second are not chosen; the grid begins there.
        slack: allowance for rounded times, seconds.
    """

    def __init__(self, fps: float, start_s: float = 0.0, slack: Fraction = Fraction(0)) -> None:
        self._fps = Fraction(repr(float(fps)))
        self._start = Fraction(repr(float(start_s)))
        self._slack = slack
        self._due = self._start

    def wants(self, time: Fraction) -> bool:
        """Whether the frame at `time` (media seconds) is read."""
        return time + self._slack >= self._due

    def chosen(self, time: Fraction) -> None:
        """Note that the frame at `time` was read; times rise from call to call."""
        if self._fps:
            passed = int((time + self._slack - self._start) * self._fps) + 1
            self._due = self._start + passed / self._fps


class Timeline:
    """Presentation times as media seconds: from `begin` at the first frame, and always rising.

    A missing or repeated time becomes one frame after the last, and so does one that lies years
    away; where the source jumps back (a file that begins again, a camera that resets its clock) the
    line goes on from there.

    Where it is known when each frame came, the line goes on by as much as has really passed, and a
    jump ahead is not believed either: nobody sends ten seconds in none.
    """

    def __init__(self, frame_s: Fraction, begin: Fraction = Fraction(0)) -> None:
        self._frame_s = frame_s
        self._begin = begin
        self._shift: Fraction | None = None
        self._last: Fraction | None = None
        self._came: Fraction | None = None

    def at(self, pts: Fraction | None, came: Fraction | None = None) -> Fraction:
        """Media second of a frame, if it comes next.

        Args:
            pts: its presentation time, seconds; None when it has none.
            came: when it came, by a clock that never jumps, seconds; None where that says nothing.
        """
        passed = None if came is None or self._came is None else max(came - self._came, MILLISECOND)
        expected = self._begin if self._last is None else self._last + (passed or self._frame_s)
        if pts is None or self._shift is None:
            return expected
        time = pts + self._shift
        if (self._last is not None and time <= self._last) or time > self._begin + LONGEST_S:
            return expected
        if self._last is not None and passed is not None and time - self._last > passed + AHEAD_S:
            return expected
        return time

    def advance(self, pts: Fraction | None, came: Fraction | None = None) -> Fraction:
        """The same, and the frame has come."""
        time = self.at(pts, came)
        if pts is not None:
            self._shift = time - pts
        self._last = time
        self._came = came
        return time

    def gap(self, seconds: Fraction, frame_s: Fraction) -> None:
        """Nothing came for so long, and what comes next has times of its own and another rate."""
        self._shift = self._came = None
        self._frame_s = frame_s
        if self._last is not None:
            self._last += max(seconds - frame_s, Fraction(0))

    def stamp(self, time: Fraction) -> Fraction | None:
        """Presentation time of what would come at a media second; None before the first frame that has one."""
        return None if self._shift is None else time - self._shift

    @property
    def end(self) -> Fraction:
        """Media second at which the last frame's showing ends; 0 before the first."""
        return Fraction(0) if self._last is None else self._last + self._frame_s
