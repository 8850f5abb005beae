"""Passing over what a live file has given before, however often it began again."""

from __future__ import annotations

from fractions import Fraction

from ingest.sampling import Timeline

ROUNDED = Fraction(1, 1_000_000)
"""Media seconds of messages have six places."""


class Behind:
    """Says of a file's frames which lie up to a media second, by their times alone.

    Not by their number: a frame that cannot be converted has no position among the published, and
    whether it can be is not tried for what is passed over.

    Attributes:
        last: media second of the newest frame that was passed over; None before the first.
        next: media second of the first frame that was not.
    """

    def __init__(self, until: Fraction, frame_s: Fraction) -> None:
        self._until = until + ROUNDED
        self._frame_s = frame_s
        self._line = Timeline(frame_s)
        self._base = Fraction(0)
        self.last: Fraction | None = None
        self.next = Fraction(0)

    def passes(self, pts: Fraction | None) -> bool:
        """Whether the frame whose presentation time is `pts` comes not after; frames come in order."""
        time_s = self._base + self._line.advance(pts)
        if time_s > self._until:
            self.next = time_s
            return False
        self.last = time_s
        return True

    def unneeded(self) -> Fraction | None:
        """Presentation time up to which frames need not be given, but the first; None while it is not known."""
        return self._line.stamp(self._until - self._base)

    def again(self) -> None:
        """The file begins again; whole rounds that lie before are passed over without reading them."""
        rounds = max(1, int((self._until - self._base) / self._line.end))
        self._base += rounds * self._line.end
        self._line = Timeline(self._frame_s)
