"""What a container holds, by reading its packets and decoding one frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import LimitExceeded, UnsupportedMedia
from core.messages import VideoInfo
from ingest.picture import Size, squared

FIRST_FRAME_PACKETS = 3000
DEFAULT_FPS = Fraction(25)
Threads = Literal["AUTO", "SLICE"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A video stream, measured.

    Attributes:
        coded: pixels as decoded; `shown`: upright, with square pixels.
        rotation: clockwise degrees that turn a decoded frame upright.
        times: presentation times of all packets that show a frame, rising, in `time_base`; None when
            they were not read, are damaged, or do not order the frames.
        promised: frames the container claims.
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
    except (av.error.FFmpegError, OSError, ValueError, UnicodeDecodeError) as error:
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
    with refusal("not a video that can be read"), av.open(path, **options) as container:
        stream = video_stream(container, max_pixels)
        probe = measure(container, stream, first_frames(container, stream)[0], forced_rotation)
    with refusal("not a video that can be read"), av.open(path, **options) as container:
        times = _times(container, video_stream(container, max_pixels))
    return Probe(**{name: getattr(probe, name) for name in Probe.__slots__ if name != "times"}, times=times)


def first_frames(container: InputContainer, stream: VideoStream) -> list[VideoFrame]:
    """Frames of the first packet that gives any. Raises UnsupportedMedia, with FFmpeg's first complaint."""
    complaint: str | None = None
    for number, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
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
        promised=stream.frames or (round(duration * fps) if duration else None),
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


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _times(container: InputContainer, stream: VideoStream) -> array[int] | None:
    """Presentation times of the packets that show a frame; None when a packet is damaged or has no time."""
    times: array[int] = array("q")
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.is_corrupt:
                return None
            if not packet.is_discard:
                times.append(packet.pts)
    except av.error.FFmpegError:
        return None
    ordered = array("q", sorted(times))
    return ordered if all(a < b for a, b in pairwise(ordered)) else None
