"""A camera or any other address that is read as it comes, with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from core.addresses import WEB, Policy, resolve
from core.errors import SightlineError
from core.log import mask
from core.settings import Settings
from ingest import decode_av
from ingest.decode_av import AvFrame
from ingest.decoded import Decoded, ProblemSink
from ingest.http_client import HttpBody, HttpClient
from ingest.probe import Probe, first_frame, measure, refusal, video_stream


@dataclass(slots=True)
class LiveSource:
    """An open connection; read once."""

    container: InputContainer
    stream: VideoStream
    first: VideoFrame
    probe: Probe
    decoder: str = "pyav"
    broken: str | None = None

    @classmethod
    def open(cls, url: str, settings: Settings, rotation: int | None) -> LiveSource:
        """Connect and decode one frame.

        Raises:
            InvalidInput, Forbidden: the address is refused.
            UnsupportedMedia: nothing answers there, or no video.
        """
        policy = Policy.of("stream", settings)
        resolve(url, policy)
        with refusal(f"{mask(url)} cannot be read"):
            container = _open(url, policy, settings)
            try:
                stream = video_stream(container, settings.ingest.max_pixels)
                frame = first_frame(container, stream)
                probe = measure(container, stream, frame, rotation)
            except BaseException:
                container.close()
                raise
        return cls(container, stream, frame, probe)

    def frames(self, problem: ProblemSink) -> Iterator[Decoded]:
        """Frames as they come, to the end of the stream."""
        last: str | None = None

        def noted(reason: str) -> None:
            nonlocal last
            last = reason
            problem(reason)

        yield AvFrame(self.first, VideoReformatter())
        for frame in decode_av.decode(self.container, self.stream, noted):
            last = None
            yield frame
        self.broken = last if last and last.startswith(decode_av.UNREADABLE) else None
        self.container.close()


def _open(url: str, policy: Policy, settings: Settings) -> InputContainer:
    ingest = settings.ingest
    allowed = [name for name in ingest.protocols if name not in {"file", "data"}]
    options = {"protocol_whitelist": ",".join(allowed), "rtsp_transport": "tcp"}
    timeout = (ingest.connect_timeout_s, ingest.read_timeout_s)
    more: dict[str, Any] = {}
    if urlsplit(url).scheme.lower() in WEB:
        client = HttpClient(policy, ingest)
        more["io_open"] = _Nested(client)
    container: InputContainer = av.open(url, options=options, timeout=timeout, **more)
    return container


@dataclass(frozen=True, slots=True)
class _Nested:
    """Opens what FFmpeg asks for (the address itself, a playlist's parts), checked like any address."""

    client: HttpClient

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> HttpBody:
        """The body at `url`. Raises OSError, which FFmpeg understands."""
        try:
            return self.client.get(url)
        except SightlineError as error:
            raise OSError(str(error)) from error
