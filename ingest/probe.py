"""What a container holds, by reading its packets and decoding one frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import LimitExceeded, UnsupportedMedia
from core.messages import VideoInfo
from ingest.picture import Size, squared
from ingest.sampling import LONGEST_S

FIRST_FRAME_PACKETS = 3000
MOST_TIMES = 2_000_000
"""Packets whose times are kept: 22 hours at 25 a second. A longer file is read without them."""

MOST_PROMISED = 2**40
ALL_BUT_FEW = Fraction(99, 100)
"""Of the frames that a container's tables name, less two, must be there; some writers name a few too many."""

MOST_OF_IT = Fraction(3, 4)
"""Of the seconds that a container claims, where it names no frames, must have a picture: sound may last longer."""
DEFAULT_FPS = Fraction(25)
Threads = Literal["AUTO", "SLICE"]
FAULTS = (av.error.FFmpegError, OSError, ValueError, ArithmeticError, LookupError)
"""What PyAV raises about a file: FFmpeg's errors, and its own about its text, its numbers, and a stream that is
in no header."""

TAGS = "replace"
"""What becomes of bytes in a container's tags that are no text: a title that cannot be read refuses no video."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A video stream, measured.

    Attributes:
        coded: pixels as decoded; `shown`: upright, with square pixels.
        rotation: clockwise degrees that turn a decoded frame upright.
        times: presentation times of all packets that show a frame, rising, in `time_base`; None when
            they were not read, are damaged or too many, or do not order the frames.
        promised: frames the container claims; None when it claims none, or what cannot be.
        short: what the container claims and does not hold, as a sentence.
    """

    coded: Size
    shown: Size
    rotation: int
    fps: Fraction
    time_base: Fraction
    codec: str
    pixels: str
    promised: int | None
    duration_s: float | None
    times: array[int] | None = None
    short: str | None = None

    @property
    def frame_s(self) -> Fraction:
        """Nominal seconds a frame is shown."""
        return 1 / self.fps

    @property
    def expected(self) -> int | None:
        """Frames to expect, for progress."""
        return len(self.times) if self.times is not None else self.promised

    def info(self, decoder: str) -> VideoInfo:
        """As the messages say it, before the file is read."""
        return VideoInfo(
            width=self.shown.width,
            height=self.shown.height,
            fps=round(float(self.fps), 4),
            frames=self.expected,
            duration_s=self.duration_s,
            rotation=self.rotation,
            codec=self.codec,
            decoder=decoder,
        )


def video_stream(container: InputContainer, max_pixels: int, threads: Threads = "AUTO") -> VideoStream:
    """The video stream to read: the first that is no cover picture.

    Args:
        threads: of the decoder; those over frames are fastest, and hold each frame back for a while.

    Raises:
        UnsupportedMedia: there is none, or none that can be decoded.
        LimitExceeded: its frames are larger than `max_pixels`.
    """
    streams = [s for s in container.streams.video if s.codec_context is not None]
    if not streams:
        raise UnsupportedMedia("the file holds no video that can be decoded")
    moving = [s for s in streams if not _attached_picture(s)]
    stream = (moving or streams)[0]
    context = stream.codec_context
    if context.width * context.height > max_pixels:
        raise LimitExceeded(f"frames of {context.width}x{context.height} are larger than ingest.max_pixels allows")
    # FFmpeg holds this against sizes that it has padded; frames that grow in mid-stream are what it is for
    stream.thread_type = threads
    context.options = {**context.options, "max_pixels": str(2 * max_pixels)}
    return stream


def _attached_picture(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


@contextmanager
def refusal(what: str) -> Iterator[None]:
    """Turn FFmpeg's errors into UnsupportedMedia with a sentence."""
    try:
        yield
    except FAULTS as error:
        raise UnsupportedMedia(f"{what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """FFmpeg's sentence without the address it adds."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]


def probe_file(path: str, max_pixels: int, forced_rotation: int | None, **options: Any) -> Probe:
    """Measure a local file.

    Raises:
        UnsupportedMedia: no decoder reads it.
        LimitExceeded: its frames are too large.
    """
    with refusal("not a video that can be read"), av.open(path, metadata_errors=TAGS, **options) as container:
        stream = video_stream(container, max_pixels)
        first = first_frames(container, stream)[0]
        first.reformat(format="rgb24")
        probe = measure(container, stream, first, forced_rotation)
    with refusal("not a video that can be read"), av.open(path, metadata_errors=TAGS, **options) as container:
        stream = video_stream(container, max_pixels)
        packets = Packets()
        packets.read(container, stream)
        return replace(probe, times=packets.times, short=packets.missing(stream, probe))


def first_frames(container: InputContainer, stream: VideoStream) -> list[VideoFrame]:
    """Frames of the first packet that gives any. Raises UnsupportedMedia, with FFmpeg's first complaint."""
    complaint: str | None = None
    for number, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except FAULTS as error:
            complaint = complaint or reason(error)
            continue
        if frames:
            return [frame for frame in frames if isinstance(frame, VideoFrame)]
        if number > FIRST_FRAME_PACKETS:
            break
    raise UnsupportedMedia(f"not one frame can be decoded: {complaint or 'the video is empty'}")


def measure(container: InputContainer, stream: VideoStream, frame: VideoFrame, forced_rotation: int | None) -> Probe:
    """What the headers and the first frame say."""
    rotation = forced_rotation if forced_rotation is not None else _rotation(stream, frame)
    coded = Size(frame.width, frame.height)
    fps = _fps(stream)
    duration = _duration(container, stream)
    return Probe(
        coded=coded,
        shown=squared(coded, _pixel_aspect(stream, frame)).turned(rotation),
        rotation=rotation,
        fps=fps,
        time_base=stream.time_base or Fraction(1, 1000),
        codec=stream.codec_context.name,
        pixels=frame.format.name,
        promised=_promised(stream, duration, fps),
        duration_s=duration,
    )


def _rotation(stream: VideoStream, frame: VideoFrame) -> int:
    """Clockwise degrees by the display matrix, else by the older `rotate` tag, to the nearest quarter."""
    if frame.rotation:
        return round(-frame.rotation / 90) * 90 % 360
    tag = stream.metadata.get("rotate", stream.metadata.get("ROTATE", "0"))
    try:
        return round(float(tag) / 90) * 90 % 360
    except ValueError:
        return 0


def _pixel_aspect(stream: VideoStream, frame: VideoFrame) -> Fraction | None:
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return aspect if aspect and Fraction(1, 20) <= aspect <= 20 else None


def _fps(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and Fraction(1, 1000) < rate <= 1000:
            return Fraction(rate)
    return DEFAULT_FPS


def _promised(stream: VideoStream, duration_s: float | None, fps: Fraction) -> int | None:
    claimed = stream.frames or (round(duration_s * fps) if duration_s else 0)
    return claimed if 0 < claimed <= MOST_PROMISED else None


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds by the headers; None when they say none, or what cannot be."""
    own = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    whole = container.duration / av.time_base if container.duration else 0.0
    return next((said for said in (own, whole) if 0.0 < said <= LONGEST_S), None)


@dataclass(slots=True)
class Packets:
    """What a container's packets say, without decoding them.

    Attributes:
        times: see `Probe.times`.
        count: of them, those of frames that are not shown included.
        whole: they could be read to the end.
    """

    times: array[int] | None = None
    count: int = 0
    whole: bool = False
    first: int | None = None
    last: int | None = None

    def read(self, container: InputContainer, stream: VideoStream) -> None:
        """Read all packets of `stream`."""
        times: array[int] | None = array("q")
        try:
            for packet in container.demux(stream):
                if packet.size:
                    self._note(packet.pts)
                    times = self._with(times, packet)
        except FAULTS:
            return
        self.whole = True
        ordered = array("q", sorted(times or ()))
        sound = times is not None and all(a < b for a, b in pairwise(ordered))
        self.times = ordered if sound else None

    def _note(self, pts: int | None) -> None:
        self.count += 1
        if pts is not None:
            self.first = pts if self.first is None else min(self.first, pts)
            self.last = pts if self.last is None else max(self.last, pts)

    def _with(self, times: array[int] | None, packet: Packet[VideoStream]) -> array[int] | None:
        if times is None or packet.pts is None or packet.is_corrupt or len(times) >= MOST_TIMES:
            return None
        if not packet.is_discard:
            times.append(packet.pts)
        return times

    def missing(self, stream: VideoStream, probe: Probe) -> str | None:
        """What the container claims and these packets do not hold; None where nothing is known to be missing."""
        if not self.whole:
            return None
        if 0 < stream.frames <= MOST_PROMISED:
            fewer = self.count < stream.frames * ALL_BUT_FEW - 2
            return f"the container names {stream.frames} frames and holds {self.count}" if fewer else None
        if probe.duration_s is None or self.first is None or self.last is None:
            return None
        lasts = (self.last - self.first) * probe.time_base + probe.frame_s
        if lasts >= Fraction(probe.duration_s) * MOST_OF_IT:
            return None
        return f"the container lasts {probe.duration_s:.1f} s and holds video for {float(lasts):.1f} s"
