"""What every decoder gives."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal, Protocol

from ingest.luma import Cells, Luma
from ingest.picture import Rgb

ProblemSink = Callable[[str], None]
"""Told of each damaged place as it is met; the caller knows at which frame that is."""

Times = Literal["recorded", "live", "missing"]
"""What the times of a source's frames are worth: a file's; a camera's, whose clock may be set; none to believe."""

Unneeded = Callable[[], Fraction | None]
"""Presentation time up to which frames may be left out; None: all are needed."""


def all_needed() -> None:
    """No frame may be left out."""


class NotDecoded(Exception):
    """This frame could not be decoded after all; the source goes on with the next that can.

    Attributes:
        again: the source may give the same frame once more, by another decoder.
    """

    def __init__(self, *, again: bool = False) -> None:
        super().__init__()
        self.again = again


class Decoded(Protocol):
    """A frame that has been reached and not yet been converted."""

    @property
    def dts(self) -> Fraction | None:
        """Decoding time in seconds; None when the container, or the decoder, tells none."""

    @property
    def pts(self) -> Fraction | None:
        """Presentation time in seconds; None when the container has none."""

    def cells(self, luma: Luma, /) -> Cells:
        """The small luma picture that the motion gate looks at, made by `luma`, the same one for a source's frames.

        To be called before `rgb`, if at all. Raises NotDecoded.
        """

    def rgb(self) -> Rgb:
        """Pixels as coded, neither turned nor scaled.

        To be called once at most, and before the next frame is asked for. Raises NotDecoded.
        """
