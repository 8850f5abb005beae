"""Frames of a local file, upright, in its own time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import UnsupportedMedia

FALLBACK_RATE = Fraction(25)
DEMUX_RETRIES = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded frame.

    Attributes:
        index: position among the decoded frames, from 0.
        pts: presentation time in the file's time base, rising.
        image: BGR `[height, width, 3]`, upright.
    """

    index: int
    pts: int
    image: NDArray[np.uint8]


class UprightVideo:
    """A video file whose frames are given turned and scaled to one size.

    Args:
        path: the file.
        rotation: clockwise degrees to turn each frame.
        size: `(width, height)` of the pictures given.

    Raises:
        UnsupportedMedia: no decoder opens it, or it has no video.
    """

    def __init__(self, path: Path, rotation: int, size: tuple[int, int]) -> None:
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise UnsupportedMedia(f"{path.name} cannot be read: {error}") from error
        if not self._container.streams.video:
            self._container.close()
            raise UnsupportedMedia(f"{path.name} has no video in it")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"  # with frame threads a damaged packet takes a good frame with it
        self._turns = rotation // 90 % 4
        self._size = size

    @property
    def rate(self) -> Fraction:
        """Frames a second on average."""
        return self._stream.average_rate or self._stream.guessed_rate or FALLBACK_RATE

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of `Picture.pts`."""
        return self._stream.time_base or 1 / self.rate

    def pictures(self) -> Iterator[Picture]:
        """Every frame that can be decoded; a packet that cannot is passed over."""
        least_step = 1
        ordinary_step = max(1, round(1 / (self.rate * self.time_base)))
        last: int | None = None
        for index, frame in enumerate(self._frames()):
            pts = frame.pts if frame.pts is not None else (0 if last is None else last + ordinary_step)
            if last is not None and pts <= last:
                pts = last + least_step
            last = pts
            yield Picture(index, pts, self._upright(frame))

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _frames(self) -> Iterator[Any]:
        for packet in self._packets():
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue

    def _packets(self) -> Iterator[Any]:
        failures = 0
        while failures < DEMUX_RETRIES:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    yield packet
                return
            except av.EOFError:
                return
            except av.FFmpegError:
                failures += 1

    def _upright(self, frame: Any) -> NDArray[np.uint8]:
        image = frame.to_ndarray(format="bgr24")
        if self._turns:
            image = np.rot90(image, -self._turns)
        width, height = self._size
        if image.shape[:2] != (height, width):
            image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(image)
