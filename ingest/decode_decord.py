"""Decoding whole files with decord, where it can be trusted.

decord counts some sound files wrongly, refuses others, and stops at the first damaged packet, at a
frame that differs from run to run. So it reads only files whose frames it counts as the packets
do; and since its pixels equal PyAV's to the last bit (8-bit formats, no resizing), PyAV can take
over at any frame without a difference in what is published.

It also decodes ahead of whoever takes the frames, without an end: read at a camera's pace, or behind
a broker that makes the reader wait, a video of ten minutes stands decoded in memory. So it reads
only what could stand there whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import decord

from core.log import get
from ingest.decoded import NotDecoded
from ingest.luma import Cells, Luma, of_rgb
from ingest.picture import Rgb
from ingest.probe import Probe

log = get(__name__)
decord.logging.set_level(decord.logging.QUIET)

SAME_PIXELS = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "bgra"})
"""Pixel formats that decord and PyAV turn into equal RGB."""

FAILING = frozenset({"vp9", "libvpx-vp9", "theora"})
"""Codecs whose packets may hold no frame to show, at which decord stops."""

MOST_DECODED = 128 << 20
"""Bytes of RGB that a file may come to, all its frames together."""

Errors = (decord.DECORDError, RuntimeError, StopIteration)


@dataclass(slots=True)
class DecordFrame:
    """The frame a reader stands before."""

    reader: Any
    pts: Fraction
    shape: tuple[int, int, int]
    taken: bool = field(default=False)
    failed: bool = field(default=False)
    pixels: Rgb | None = field(default=None)

    def cells(self, _: Luma) -> Cells:
        """What the motion gate looks at, of the RGB that decord gives and nothing else. Raises NotDecoded."""
        self.pixels = self._next()
        return of_rgb(self.pixels)

    def rgb(self) -> Rgb:
        """Pixels as coded. Raises NotDecoded."""
        return self._next() if self.pixels is None else self.pixels

    def _next(self) -> Rgb:
        try:
            pixels: Rgb = self.reader.next().asnumpy()
        except Errors as error:
            self.failed = True
            raise NotDecoded(again=True) from error
        if pixels.shape != self.shape:
            self.failed = True
            raise NotDecoded(again=True)
        self.taken = True
        return pixels

    @property
    def dts(self) -> None:
        """Decord tells none."""


def open_checked(path: str, probe: Probe) -> Any | None:
    """A decord reader of `path`, or None where PyAV has to read it."""
    if probe.times is None or probe.rotation or probe.pixels not in SAME_PIXELS or probe.codec in FAILING:
        return None
    if 3 * probe.coded.width * probe.coded.height * len(probe.times) > MOST_DECODED:
        return None
    try:
        reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=0)
        counted = len(reader)
    except Errors as error:
        log.info("decord refuses the file", reason=str(error).splitlines()[-1][:200])
        return None
    return reader if counted == len(probe.times) else None


def decode(reader: Any, probe: Probe) -> Iterator[DecordFrame]:
    """The file's frames up to its end, or to the first that decord fails at; never raises for that.

    A frame that raised NotDecoded is the last one given.
    """
    shape = (probe.coded.height, probe.coded.width, 3)
    for ticks in probe.times or ():
        frame = DecordFrame(reader, ticks * probe.time_base, shape)
        yield frame
        if frame.failed:
            return
        if not frame.taken:
            try:
                reader.skip_frames(1)
            except Errors:
                return
