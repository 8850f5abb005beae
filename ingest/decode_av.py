"""Decoding with PyAV, packet by packet, so that a damaged packet costs itself only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from ingest.decoded import NotDecoded, ProblemSink
from ingest.luma import Cells, Luma
from ingest.picture import Rgb
from ingest.probe import FAULTS, reason

DEMUX_RETRIES = 16
UNREADABLE = "the container cannot be read here"


@dataclass(frozen=True, slots=True)
class AvFrame:
    """A frame as FFmpeg decoded it."""

    frame: VideoFrame
    converter: VideoReformatter
    problem: ProblemSink

    @property
    def dts(self) -> Fraction | None:
        """Decoding time in seconds of the packet that gave it; None when the container has none."""
        if self.frame.dts is None or self.frame.time_base is None:
            return None
        return self.frame.dts * self.frame.time_base

    @property
    def pts(self) -> Fraction | None:
        """Presentation time in seconds; None when the container has none."""
        if self.frame.pts is None or self.frame.time_base is None:
            return None
        return self.frame.pts * self.frame.time_base

    def cells(self, luma: Luma) -> Cells:
        """What the motion gate looks at. Raises NotDecoded for a frame of a kind that has no grey."""
        try:
            return luma.of_frame(self.frame)
        except FAULTS as error:
            self.problem(f"a frame cannot be converted: {reason(error)}")
            raise NotDecoded from error

    def rgb(self) -> Rgb:
        """Pixels as coded. Raises NotDecoded for a frame of a kind or size that cannot be had as RGB."""
        try:
            made = self.converter.reformat(self.frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
            return np.asarray(made.to_ndarray(), dtype=np.uint8)
        except FAULTS as error:
            self.problem(f"a frame cannot be converted: {reason(error)}")
            raise NotDecoded from error


def decode(container: InputContainer, stream: VideoStream, problem: ProblemSink, entry: int = 0) -> Iterator[AvFrame]:
    """All frames of `stream` that can be decoded, in order of presentation.

    Args:
        entry: number of the packet to begin with (`entry`).
    """
    converter = VideoReformatter()
    for packet in islice(_packets(container, stream, problem), entry, None):
        try:
            frames = packet.decode()
        except FAULTS as error:
            problem(f"a packet cannot be decoded: {reason(error)}")
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame):
                yield AvFrame(frame, converter, problem)


def entry(container: InputContainer, stream: VideoStream, until: Fraction) -> int:
    """Number of the last packet at which decoding can begin and every frame after `until` is given.

    Args:
        until: presentation time, seconds.

    Returns:
        0 where only the beginning is such a place, times are missing, or jump back.
    """
    best, newest = 0, None
    for number, packet in enumerate(_packets(container, stream, lambda _: None)):
        if packet.pts is None or packet.time_base is None:
            if packet.size:  # its frame's time follows from those before it
                return 0
            continue
        if packet.is_keyframe:
            if newest is not None and packet.pts <= newest:
                return 0
            if packet.pts * packet.time_base <= until:
                best = number
        newest = packet.pts if newest is None else max(newest, packet.pts)
    return best


def _packets(container: InputContainer, stream: VideoStream, problem: ProblemSink) -> Iterator[Packet[VideoStream]]:
    """Packets, going on after an error of the container a few times in a row."""
    failures = 0
    while failures < DEMUX_RETRIES:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except av.error.EOFError:
            return
        except FAULTS as error:
            failures += 1
            if failures in {1, DEMUX_RETRIES}:
                problem(f"{UNREADABLE}: {reason(error)}")
