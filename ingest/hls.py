"""HLS as one body: segments one after another, each address checked like any other.

FFmpeg's own HLS reader opens segments and follows their redirects by itself; this one hands it the
bytes only. MPEG-TS and fragmented MP4 read on across segments; encryption and byte ranges are refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urljoin

from core.errors import SightlineError, UnsupportedMedia
from core.log import mask
from ingest.http_client import HttpBody, HttpClient

MAX_PLAYLIST = 4 * 1024 * 1024
MARK = b"#EXTM3U"
SEGMENTS_BEHIND = 3
"""How far from its end a list that is still growing is begun."""

SEGMENTS_MISSED = 3
"""So many segments late, and it does not grow any more."""

_BANDWIDTH = re.compile(r"[:,]BANDWIDTH=(\d+)")
_URI = re.compile(r'URI="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist.

    Attributes:
        first: sequence number of the first of `segments`.
        begin: address of what comes before the first segment (fragmented MP4), None where nothing does.
        target_s: longest segment, by which it is read again.
        ended: nothing will be added.
    """

    first: int
    segments: tuple[str, ...]
    begin: str | None
    target_s: float
    ended: bool


def best_variant(text: str, url: str) -> str | None:
    """Address of the variant with the highest bandwidth; None for a media playlist."""
    found: list[tuple[int, str]] = []
    lines = [line.strip() for line in text.splitlines()]
    for line, following in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF:") and following and not following.startswith("#"):
            rate = _BANDWIDTH.search(line)
            found.append((int(rate[1]) if rate else 0, urljoin(url, following)))
    return max(found)[1] if found else None


def parse(text: str, url: str) -> Playlist:
    """Read a media playlist. Raises UnsupportedMedia."""
    first, target, begin, ended = 0, 2.0, None, False
    segments: list[str] = []
    for line in (line.strip() for line in text.splitlines()):
        name, _, value = line.partition(":")
        if name == "#EXT-X-BYTERANGE" or (name == "#EXT-X-KEY" and "METHOD=NONE" not in value):
            raise UnsupportedMedia(f"{mask(url)}: encrypted HLS and byte ranges are not read")
        if name == "#EXT-X-MEDIA-SEQUENCE" and value.isdecimal():
            first = int(value)
        elif name == "#EXT-X-TARGETDURATION":
            target = _seconds(value)
        elif name == "#EXT-X-MAP" and (uri := _URI.search(value)):
            begin = urljoin(url, uri[1])
        elif name == "#EXT-X-ENDLIST":
            ended = True
        elif line and not line.startswith("#"):
            segments.append(urljoin(url, line))
    return Playlist(first, tuple(segments), begin, target, ended)


def _seconds(value: str) -> float:
    try:
        return min(max(float(value), 0.5), 60.0)
    except ValueError:
        return 2.0


class HlsBody:
    """The bytes of an HLS stream, as a file that cannot be wound back.

    A list that is still growing is begun near its end, as players do, or behind what was read of it before.

    Args:
        url: of the playlist, whose `text` has been read.
        patience_s: without a new segment for this long, or three segments' time, the stream is broken.
        wait: lets seconds pass; False ends the stream.
        following: number of the segment to go on with, where the list still has it.
        told: hears how many seconds may pass between two segments.

    Attributes:
        recorded: nothing will be added to it.
        following: number of the segment after the last one that was read whole.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        text: str,
        patience_s: float,
        wait: Callable[[float], object] = time.sleep,
        *,
        following: int | None = None,
        told: Callable[[float], None] = lambda _: None,
    ) -> None:
        variant = best_variant(text, url)
        if variant is not None:
            url, text = variant, read_text(client, variant)
        self.name = url
        self.at_end = False
        self.following = following
        self._client = client
        self._patience_s = patience_s
        self._wait = wait
        self._told = told
        playlist = parse(text, url)
        self.recorded = playlist.ended
        self._bodies = self._open_all(playlist)
        self._body: HttpBody | None = None
        self._failure: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end. Raises OSError."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._body is None:
                try:
                    self._body = next(self._bodies, None)
                except SightlineError as error:
                    self._failure = OSError(str(error))
                    raise self._failure from error
                if self._body is None:
                    self.at_end = True
                    return b""
            data = self._body.read(size)
            if data:
                return data
            self._body.close()
            self._body = None

    def close(self) -> None:
        """Close the connection."""
        if self._body is not None:
            self._body.close()

    def _open_all(self, playlist: Playlist) -> Iterator[HttpBody]:
        following, waited = _beginning(playlist, self.following), 0.0
        if playlist.begin is not None:
            yield self._client.get(playlist.begin)
        while True:
            # a live playlist may have moved on past what was not fetched in time
            following = max(following, playlist.first)
            for segment in playlist.segments[following - playlist.first :]:
                yield self._client.get(segment)
                following, waited = following + 1, 0.0
                self.following = following
            if playlist.ended:
                return
            patience_s = max(self._patience_s, SEGMENTS_MISSED * playlist.target_s)
            self._told(patience_s)
            if waited >= patience_s:
                raise UnsupportedMedia(f"{mask(self.name)}: no new segment for {waited:.0f} s")
            if self._wait(playlist.target_s / 2) is False:
                raise UnsupportedMedia(f"{mask(self.name)} is not waited for any longer")
            waited += playlist.target_s / 2
            playlist = parse(read_text(self._client, self.name), self.name)


def _beginning(playlist: Playlist, following: int | None) -> int:
    """Number of the segment to begin with."""
    end = playlist.first + len(playlist.segments)
    if following is not None and playlist.first <= following <= end:
        return following
    return playlist.first if playlist.ended else max(playlist.first, end - SEGMENTS_BEHIND)


def read_text(client: HttpClient, url: str) -> str:
    """A playlist's text. Raises UnsupportedMedia, InvalidInput, Forbidden."""
    body = client.get(url)
    try:
        return whole_text(body, b"")
    finally:
        body.close()


def whole_text(body: HttpBody, begun: bytes) -> str:
    """What is left of `body` after `begun`, as text. Raises UnsupportedMedia."""
    try:
        data = begun
        while len(data) <= MAX_PLAYLIST and (more := body.read(65536)):
            data += more
    except OSError as error:
        raise UnsupportedMedia(f"{mask(body.name)} broke off: {error}") from error
    if len(data) > MAX_PLAYLIST or not data.startswith(MARK):
        raise UnsupportedMedia(f"{mask(body.name)} is no playlist")
    return data.decode("utf-8", "replace")
