"""Ways to a camera, by the kind of its address; each gives FFmpeg the protocols it needs and no other.

| address | who connects | what FFmpeg may open |
|---|---|---|
| ``http:``, ``https:``: files, MJPEG, HLS | our own client, which checks each redirect | nothing: it is given bytes |
| ``rtsp:``, ``rtsps:`` | a relay, which reads the answers on their way | the relay; datagrams, where they are chosen |
| ``rtmp:``, ``rtmps:``, ``tcp:`` | a relay | the relay |
| ``udp:``, ``rtp:``, ``srt:`` | FFmpeg, by an address that was checked | that protocol |
| ``v4l2:``, ``usb:`` | FFmpeg | that device file |
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

import av
from av.container import InputContainer

from core.addresses import PORTS, WEB, Policy, resolve
from core.devices import device, is_device
from core.errors import ClientError, Forbidden, InvalidInput, NotFound, UnsupportedMedia
from core.log import mask
from core.settings import Settings
from ingest.decoded import Times
from ingest.file_source import CONTAINERS
from ingest.hls import MARK, HlsBody, whole_text
from ingest.http_client import MAX_REDIRECTS, HttpBody, HttpClient
from ingest.patience import FIRST_PICTURE_S, Patience, own
from ingest.probe import FAULTS, TAGS
from ingest.relay import CLOSED, Relay, Target

Transport = Literal["tcp", "udp"]
Wait = Callable[[float], object]
"""Lets seconds pass; False when nobody wants to wait any longer."""

MULTIPART = "multipart/x-mixed-replace"
V4L2 = "v4l2"
UNTIMED = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "vvc", "m4v", "mpegvideo", "h263", "obu"})
"""Containers without times: FFmpeg counts 25 pictures to a second of them, whatever the camera does."""

RECEIVE_BYTES = 1 << 20
LINE_BYTES = 4096
DATAGRAMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"udp": ("udp", CONTAINERS), "rtp": ("rtp,udp", "rtp,sdp"), "srt": ("srt", CONTAINERS)}
)
"""Protocols and containers of the schemes that FFmpeg opens by itself."""


@dataclass(slots=True)
class Connection:
    """An open way to a camera.

    Attributes:
        patience: with it; whoever takes its pictures renews it.
        times: what those of its frames are worth.
    """

    container: InputContainer
    patience: Patience
    body: Body | None = None
    relay: Relay | None = None
    times: Times = "live"

    @property
    def complete(self) -> bool:
        """Whether all there is has come, as of a file on a web server; a camera's end is never that."""
        return self.body is not None and self.body.at_end

    @property
    def fault(self) -> str | None:
        """What went wrong with it behind FFmpeg's back; None for a connection that was closed as it should be."""
        said = None if self.relay is None else self.relay.failure
        return None if said == CLOSED else said

    @property
    def failure(self) -> str:
        """Why it has ended, as far as can be said."""
        said = None if self.relay is None else self.relay.failure
        return said or "the connection was closed"

    def close(self) -> None:
        """Close it; FFmpeg's end first, since the relay passes on what it has."""
        self.container.close()
        if self.relay is not None:
            self.relay.close()
        if self.body is not None:
            self.body.close()


@dataclass(frozen=True, slots=True)
class Opening:
    """What all ways need to know.

    Attributes:
        following: HLS segment to go on with after a connection was lost.
    """

    settings: Settings
    policy: Policy
    patience: Patience
    transport: Transport
    wait: Wait
    following: int | None = None

    @property
    def timeouts(self) -> tuple[float, float]:
        """FFmpeg's own: to open, to find the video, and for each packet of it."""
        silence_s = self.settings.ingest.read_timeout_s
        return max(silence_s, FIRST_PICTURE_S), silence_s


def connect(
    url: str,
    settings: Settings,
    *,
    transport: Transport = "tcp",
    timeout_s: float | None = None,
    wait: Wait = time.sleep,
    following: int | None = None,
) -> Connection:
    """Connect to a camera, or a file on a web server.

    Args:
        timeout_s: of connecting and of silence; None: the settings'.

    Raises:
        InvalidInput, Forbidden, NotFound: the address is refused, or names no device that is there.
        UnsupportedMedia: nothing answers there in time, or no video.
        OSError, and what PyAV raises (`ingest.probe.FAULTS`).
    """
    ingest = own(settings.ingest, timeout_s)
    settings = settings.model_copy(update={"ingest": ingest})
    patience = Patience(ingest.read_timeout_s, ingest.read_timeout_s + FIRST_PICTURE_S)
    opening = Opening(settings, Policy.of("stream", settings), patience, transport, wait, following)
    scheme = url.partition(":")[0].lower()
    if is_device(url):
        return _device(url, opening)
    if scheme in WEB:
        return _web(url, opening)
    if scheme in {"rtsp", "rtsps"}:
        return _rtsp(url, opening)
    if scheme in {"rtmp", "rtmps", "tcp"}:
        return _relayed(url, opening)
    return _datagrams(url, opening)


# -- HTTP


def _web(url: str, opening: Opening) -> Connection:
    ingest = opening.settings.ingest
    body = _body(HttpClient(opening.policy, ingest, patience=opening.patience), url, opening)
    options = {"format_whitelist": f"{CONTAINERS},mpjpeg", "protocol_whitelist": "none"}
    multipart = False
    try:
        if isinstance(body, Rest) and body.content_type == MULTIPART:
            multipart = True
            body.read_line()
            # a camera that sends a picture each few seconds is not to be listened to for its rate
            options |= {"fpsprobesize": "0"}
        container = av.open(body, "r", format="mpjpeg" if multipart else None, options=options, metadata_errors=TAGS)
    except BaseException:
        body.close()
        raise
    times: Times = "recorded" if body.recorded else _times(container)
    return Connection(container, opening.patience, body=body, times=times)


class Rest:
    """A body of which the first bytes were read already.

    A file whose server gives parts of it can be read from any place: many have what is needed first at their end.

    Args:
        part: the body from that byte on. Raises ClientError.

    Attributes:
        recorded: it is a file, whose length was told.
        at_end: all that the server promised has come.
    """

    def __init__(self, begun: bytes, body: HttpBody, part: Callable[[int], HttpBody]) -> None:
        self.name = body.name
        self.content_type = body.content_type
        self.recorded = body.length is not None
        self.at_end = False
        self._length = body.length or 0
        self._in_parts = self.recorded and body.in_parts
        self._at = 0
        self._begun = begun
        self._body = body
        self._part = part
        self._moved = False

    def read_line(self) -> None:
        """Have the first line in one piece: FFmpeg goes back behind it, and can only within what it read at once."""
        while b"\n" not in self._begun.lstrip() and len(self._begun) < LINE_BYTES:
            more = self._body.read(LINE_BYTES)
            if not more:
                return
            self._begun += more

    def seekable(self) -> bool:
        """Whether it can be read from any place."""
        return self._in_parts

    def tell(self) -> int:
        """Where the next byte lies."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on from another place. Raises OSError."""
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "there is nothing before its begin")
        if at != self._at:
            self._at, self._begun, self._moved, self.at_end = at, b"", True, False
        return at

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end. Raises OSError."""
        if self._in_parts and self._at >= self._length:  # beyond the end there is nothing, as in any file
            self.at_end = True
            return b""
        if self._begun:
            size = len(self._begun) if size < 0 else size
            data, self._begun = self._begun[:size], self._begun[size:]
        else:
            data = self._next(size) if self._in_parts else self._rest(size)
        self._at += len(data)
        return data

    def _next(self, size: int) -> bytes:
        """Of a file that comes in parts: a part that ends before the file, or breaks off, is gone on behind."""
        came = not self._moved
        if self._moved:
            self._move()
        with suppress(OSError):
            if data := self._body.read(size):
                return data
        if not came:
            raise OSError("it broke off before its end")
        self._move()
        if data := self._body.read(size):
            return data
        raise OSError("it broke off before its end")

    def _rest(self, size: int) -> bytes:
        data = self._body.read(size)
        if not data and self._body.broke_off:
            raise OSError("it broke off before its end")
        self.at_end = not data and self._body.whole
        return data

    def _move(self) -> None:
        """Ask for the part from here on."""
        self._body.close()
        try:
            self._body = self._part(self._at)
        except ClientError as error:
            raise OSError(str(error)) from error
        self._moved = False

    def close(self) -> None:
        """Close the connection."""
        self._body.close()


Body: TypeAlias = Rest | HlsBody


def _body(client: HttpClient, url: str, opening: Opening) -> Body:
    body = client.get(url)
    try:
        begun = b""
        while len(begun) < len(MARK) and (more := body.read(len(MARK) - len(begun))):
            begun += more
        if begun != MARK:
            return Rest(begun, body, lambda begin: client.get(body.name, begin))
        text = whole_text(body, begun)
    except BaseException:
        body.close()
        raise
    body.close()
    silence_s = opening.settings.ingest.read_timeout_s
    return HlsBody(
        client,
        body.name,
        text,
        silence_s * 3,
        opening.wait,
        following=opening.following,
        told=opening.patience.allow,
    )


# -- through a relay


def _rtsp(url: str, opening: Opening) -> Connection:
    """RTSP, to wherever redirects lead: each is checked as the first address was."""
    if opening.transport == "udp" and "udp" not in opening.settings.ingest.protocols:
        raise Forbidden("udp: is not among the allowed protocols (ingest.protocols)")
    options = {
        "rtsp_transport": opening.transport,
        "allowed_media_types": "video",
        "protocol_whitelist": "tcp,udp,rtp" if opening.transport == "udp" else "tcp",
        "format_whitelist": "rtsp",
        "buffer_size": str(RECEIVE_BYTES),
    }
    for _ in range(MAX_REDIRECTS + 1):
        addresses = resolve(url, opening.policy)
        parts = urlsplit(url)
        if parts.scheme.lower() not in {"rtsp", "rtsps"}:
            raise Forbidden(f"{parts.scheme}: is not where RTSP may lead")
        relay = _relay(parts, addresses, opening, guarded=True)
        try:
            container = _by(relay, _through(parts, "rtsp", relay), opening, options, "rtsp")
        except OSError:
            if relay.redirect is None:
                raise
            url = relay.redirect
        else:
            return Connection(container, opening.patience, relay=relay)
    raise UnsupportedMedia(f"{mask(url)}: more than {MAX_REDIRECTS} redirects")


def _relayed(url: str, opening: Opening) -> Connection:
    addresses = resolve(url, opening.policy)
    parts = urlsplit(url)
    if parts.scheme.lower() == "tcp":
        scheme, options = "tcp", {"protocol_whitelist": "tcp", "format_whitelist": CONTAINERS}
        parts = _without_options(parts)
    else:
        scheme, options = "rtmp", {"protocol_whitelist": "rtmp,tcp", "format_whitelist": "flv,live_flv"}
        # servers of many names choose by the name that the client says it has called
        options["rtmp_tcurl"] = f"{parts.scheme.lower()}://{_host_and_port(parts)}/{application(parts)}"
    relay = _relay(parts, addresses, opening, guarded=False)
    container = _by(relay, _through(parts, scheme, relay), opening, options)
    return Connection(container, opening.patience, relay=relay, times=_times(container))


def application(parts: SplitResult) -> str:
    """The part of an RTMP address that names the application, as FFmpeg takes it: one folder, or two of three."""
    path = parts.path.removeprefix("/")
    if path.startswith("ondemand/"):
        return "ondemand"
    first, found, rest = path.partition("/")
    if not found:
        return ""
    second, found, _ = rest.partition("/")
    return f"{first}/{second}" if found and ":" not in second else first


def _relay(parts: SplitResult, addresses: tuple[str, ...], opening: Opening, *, guarded: bool) -> Relay:
    scheme = parts.scheme.lower()
    port = parts.port or PORTS.get(scheme)
    if port is None:
        raise InvalidInput(f"a {scheme}: address names its port", "url")
    target = Target(addresses, port, parts.hostname or "", tls=scheme in {"rtsps", "rtmps"})
    ingest = opening.settings.ingest
    return Relay(
        target, ingest.connect_timeout_s, ingest.read_timeout_s, guarded=guarded, quiet=opening.transport == "udp"
    )


def _through(parts: SplitResult, scheme: str, relay: Relay) -> str:
    """The address with the relay in the place of the camera; who signs in stays the same."""
    who, at, _ = parts.netloc.rpartition("@")
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{who}{at}{relay.netloc}{parts.path}{query}"


def _by(relay: Relay, url: str, opening: Opening, options: dict[str, str], kind: str | None = None) -> InputContainer:
    """Open `url` by a relay, which is closed where that fails; it may know why, where FFmpeg cannot."""
    try:
        return _opened(url, opening, options, kind)
    except BaseException as error:
        relay.close()
        told = isinstance(error, (TimeoutError, av.error.HTTPError, av.error.HTTPClientError))
        if isinstance(error, FAULTS) and not told and relay.failure is not None:
            raise OSError(relay.failure) from error
        raise


def _opened(url: str, opening: Opening, options: dict[str, str], kind: str | None = None) -> InputContainer:
    timeouts = opening.timeouts
    try:
        return av.open(url, "r", format=kind, options=options, metadata_errors=TAGS, timeout=timeouts)
    except av.error.ExitError as error:  # FFmpeg's word for a time-out of PyAV's
        raise TimeoutError(f"no video came within {timeouts[0]:.0f} s") from error


# -- the rest


def _datagrams(url: str, opening: Opening) -> Connection:
    address = resolve(url, opening.policy)[0]
    parts = _without_options(urlsplit(url))
    scheme = parts.scheme.lower()
    if scheme not in DATAGRAMS or parts.port is None:
        raise InvalidInput(f"a {scheme}: address names its port", "url")
    protocols, containers = DATAGRAMS[scheme]
    options = {"protocol_whitelist": protocols, "format_whitelist": containers, "buffer_size": str(RECEIVE_BYTES)}
    host = f"[{address}]" if ":" in address else address
    container = _opened(f"{scheme}://{host}:{parts.port}", opening, options)
    return Connection(container, opening.patience, times=_times(container))


def _device(url: str, opening: Opening) -> Connection:
    asked = device(url, opening.settings)
    if not asked.path.exists():
        raise NotFound(f"{asked.path}: no camera is there")
    container = av.open(str(asked.path), "r", format=V4L2, options=dict(asked.options), metadata_errors=TAGS)
    return Connection(container, opening.patience)


def _times(container: InputContainer) -> Times:
    return "missing" if container.format.name in UNTIMED else "live"


def _without_options(parts: SplitResult) -> SplitResult:
    """Raises InvalidInput for options of FFmpeg's in the address, by which it would listen, or write."""
    if parts.query:
        raise InvalidInput(f"a {parts.scheme}: address takes no options", "url")
    return parts


def _host_and_port(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
