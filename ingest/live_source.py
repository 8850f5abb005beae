"""A camera or any other address that is read as it comes, with PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from core.errors import UnsupportedMedia
from core.log import mask
from core.settings import Settings
from ingest.connection import Connection, Transport, Wait, connect
from ingest.decode_av import DEMUX_RETRIES, UNREADABLE, AvFrame
from ingest.decoded import Decoded, ProblemSink, Times, Unneeded, all_needed
from ingest.hls import HlsBody
from ingest.probe import FAULTS, Probe, measure, reason, refusal, video_stream

END_S = 2.0
"""What may be missing of a length that was told before, when a recording has been shown to its end."""

AGAIN = (av.error.InvalidDataError, av.error.BlockingIOError)
"""Errors of one place in a stream, behind which it may go on; after any other the connection is lost."""


@dataclass(slots=True)
class Decoding:
    """A connection's frames, packet by packet, so that a damaged packet costs itself only.

    Attributes:
        problem: hears of damaged places; the first is kept until somebody listens.
        complaint: the first of them.
        error: why it could not go on; None while it can, and at an end.
    """

    connection: Connection
    stream: VideoStream
    problem: ProblemSink | None = None
    complaint: str | None = None
    error: str | None = None

    def frames(self) -> Iterator[AvFrame]:
        """All that can be decoded, as they come; the camera has time from one to the next."""
        converter = VideoReformatter()
        for packet in self._packets():
            try:
                frames = packet.decode()
            except FAULTS as error:
                self._note(f"a packet cannot be decoded: {reason(error)}")
                continue
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    yield AvFrame(frame, converter, self._note)
                    self.connection.patience.renew()

    def _packets(self) -> Iterator[Packet[Any]]:
        """Of the video; all are looked at, for sound alone is no sign that pictures will come."""
        failures = 0
        while failures < DEMUX_RETRIES:
            try:
                for packet in self.connection.container.demux():
                    self.connection.patience.left()
                    if packet.stream_index == self.stream.index:
                        failures = 0
                        yield packet
                return
            except AGAIN as error:
                failures += 1
                if failures in {1, DEMUX_RETRIES}:
                    self._note(f"{UNREADABLE}: {reason(error)}")
                self.error = f"{UNREADABLE}: {reason(error)}" if failures == DEMUX_RETRIES else None
            except FAULTS as error:
                self.error = self._why(error)
                return

    def _why(self, error: BaseException) -> str:
        if isinstance(error, av.error.ExitError):  # FFmpeg's word for a time-out of PyAV's
            return self.connection.patience.over
        relay = self.connection.relay
        return (None if relay is None else relay.failure) or reason(error)

    def _note(self, problem: str) -> None:
        self.complaint = self.complaint or problem
        if self.problem is not None:
            self.problem(problem)


@dataclass(slots=True)
class LiveSource:
    """An open connection; read once.

    Attributes:
        broken: the error that it ended with; None where it was closed, or has come to its end.
        lost: why it ended before its end, an error or not; None where all has come.
    """

    connection: Connection
    decoding: Decoding
    coming: Iterator[AvFrame]
    first: AvFrame
    probe: Probe
    decoder: str = "pyav"
    broken: str | None = None
    lost: str | None = field(default="it was not read to its end")

    @classmethod
    def open(
        cls,
        url: str,
        settings: Settings,
        rotation: int | None,
        *,
        transport: Transport = "tcp",
        timeout_s: float | None = None,
        wait: Wait = time.sleep,
        before: object = None,
    ) -> LiveSource:
        """Connect and decode one frame.

        Args:
            timeout_s: of connecting, and of silence; None: the settings'.
            wait: lets seconds pass; False when nobody wants to wait any longer.
            before: a connection to the same address that was lost, for this one to go on behind.

        Raises:
            InvalidInput, Forbidden, NotFound: the address is refused, or names no device that is there.
            UnsupportedMedia: nothing answers there in time, or no video.
            LimitExceeded: its frames are too large.
        """
        with refusal(f"{mask(url)} cannot be read"):
            connection = connect(
                url, settings, transport=transport, timeout_s=timeout_s, wait=wait, following=_following(before)
            )
            try:
                stream = video_stream(connection.container, settings.ingest.max_pixels, threads="SLICE")
                decoding = Decoding(connection, stream)
                coming = decoding.frames()
                first = next(coming, None)
                if first is None:
                    why = decoding.error or decoding.complaint or "the video is empty"
                    raise UnsupportedMedia(f"{mask(url)} cannot be read: not one frame can be decoded: {why}")
                probe = measure(connection.container, stream, first.frame, rotation)
            except BaseException:
                connection.close()
                raise
        return cls(connection, decoding, coming, first, probe)

    @property
    def times(self) -> Times:
        """What its frames' own times are worth."""
        return self.connection.times

    def frames(self, problem: ProblemSink, _: Unneeded = all_needed) -> Iterator[Decoded]:
        """Frames as they come, to the end of the stream."""
        self.decoding.problem = problem
        last = self.first
        self.connection.patience.renew()
        yield self.first
        for last in self.coming:
            yield last
        error = self.decoding.error or self.connection.fault
        ended = error is None and (self.connection.complete or self._shown_to_its_end(last))
        self.broken = error
        self.lost = None if ended else error or self.connection.failure
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _shown_to_its_end(self, last: AvFrame) -> bool:
        """Whether a recording, which told its length before, has come that far."""
        length, begun, now = self.probe.duration_s, self.first.pts, last.pts
        return length is not None and begun is not None and now is not None and now - begun >= length - END_S


def _following(before: object) -> int | None:
    body = before.connection.body if isinstance(before, LiveSource) else None
    return body.following if isinstance(body, HlsBody) else None
