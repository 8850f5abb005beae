"""A camera or any other address that is read as it comes, with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from core.addresses import WEB, Policy, resolve
from core.log import mask
from core.settings import Ingest, Settings
from ingest import decode_av
from ingest.decode_av import AvFrame
from ingest.decoded import Decoded, ProblemSink, Unneeded, all_needed
from ingest.file_source import CONTAINERS
from ingest.hls import MARK, HlsBody, whole_text
from ingest.http_client import HttpBody, HttpClient
from ingest.probe import TAGS, Probe, first_frames, measure, refusal, video_stream


@dataclass(slots=True)
class LiveSource:
    """An open connection; read once."""

    container: InputContainer
    stream: VideoStream
    first: list[VideoFrame]
    probe: Probe
    body: Body | None = None
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
            container, body = _open(url, policy, settings)
            try:
                stream = video_stream(container, settings.ingest.max_pixels, threads="SLICE")
                first = first_frames(container, stream)
                probe = measure(container, stream, first[0], rotation)
            except BaseException:
                _close(container, body)
                raise
        return cls(container, stream, first, probe, body)

    def frames(self, problem: ProblemSink, _: Unneeded = all_needed) -> Iterator[Decoded]:
        """Frames as they come, to the end of the stream."""
        last: str | None = None

        def noted(reason: str) -> None:
            nonlocal last
            last = reason
            problem(reason)

        converter = VideoReformatter()
        for early in self.first:
            yield AvFrame(early, converter, noted)
        for frame in decode_av.decode(self.container, self.stream, noted):
            last = None
            yield frame
        ended = self.body is not None and self.body.at_end
        self.broken = last if last and last.startswith(decode_av.UNREADABLE) and not ended else None
        _close(self.container, self.body)


def _open(url: str, policy: Policy, settings: Settings) -> tuple[InputContainer, Body | None]:
    """Let FFmpeg at it: HTTP as bytes that are fetched for it, anything else by its own means."""
    ingest = settings.ingest
    if urlsplit(url).scheme.lower() in WEB:
        body = _body(HttpClient(policy, ingest), url, ingest)
        plain = {"format_whitelist": f"{CONTAINERS},mpjpeg", "protocol_whitelist": "none"}
        try:
            return av.open(body, "r", options=plain, metadata_errors=TAGS), body
        except BaseException:
            body.close()
            raise
    allowed = [name for name in ingest.protocols if name not in {"file", "data"}]
    options = {"protocol_whitelist": ",".join(allowed), "rtsp_transport": "tcp"}
    patience = (ingest.connect_timeout_s, ingest.read_timeout_s)
    return av.open(url, "r", options=options, metadata_errors=TAGS, timeout=patience), None


def _close(container: InputContainer, body: Body | None) -> None:
    container.close()
    if body is not None:
        body.close()


class Rest:
    """A body of which the first bytes were read already."""

    def __init__(self, begun: bytes, body: HttpBody) -> None:
        self.name = body.name
        self.at_end = False
        self._begun = begun
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end. Raises OSError."""
        if not self._begun:
            data = self._body.read(size)
            self.at_end = not data
            return data
        size = len(self._begun) if size < 0 else size
        part, self._begun = self._begun[:size], self._begun[size:]
        return part

    def close(self) -> None:
        """Close the connection."""
        self._body.close()


Body: TypeAlias = Rest | HlsBody


def _body(client: HttpClient, url: str, ingest: Ingest) -> Body:
    body = client.get(url)
    begun = body.read(len(MARK))
    if begun != MARK:
        return Rest(begun, body)
    try:
        text = whole_text(body, begun)
    finally:
        body.close()
    return HlsBody(client, body.name, text, ingest.read_timeout_s * 3)
