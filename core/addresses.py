"""Which addresses may be opened: schemes, and where their hosts resolve to.

Loopback, link-local (cloud metadata lives there), multicast, reserved and unspecified addresses
are never opened; private ranges only for live streams, whose cameras live in them. Two settings
loosen this: `ingest.allow_loopback` and `ingest.allow_private_videos`.

A name is judged by every address it resolves to, and the address that is then connected to must
be one of them (`resolve` hands them out), because a name may answer differently a moment later.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from core.devices import device, is_device
from core.errors import Forbidden, InvalidInput
from core.local_files import is_local, local_path
from core.log import mask
from core.settings import Settings

Purpose = Literal["video", "stream", "callback"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to the textual addresses it has. Raises OSError when it has none."""

WEB = frozenset({"http", "https"})
LIVE = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "udp", "tcp", "srt", "rtp"})
PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
MAX_URL = 4096

_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/3",
        "100.100.100.200/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",
        "2001::/32",
        "::ffff:0:0:0/96",
    )
)
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7")
)
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class NoAddress(InvalidInput):
    """The host has no address, for now: its name may have one later."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one purpose allows.

    Attributes:
        schemes: URL schemes, lower case.
        loopback, private: whether such addresses may be opened.
    """

    schemes: frozenset[str]
    loopback: bool
    private: bool

    @classmethod
    def of(cls, purpose: Purpose, settings: Settings) -> Policy:
        """The policy of `purpose` under these settings."""
        ingest = settings.ingest
        if purpose == "stream":
            return cls(LIVE & frozenset(ingest.protocols), ingest.allow_loopback, private=True)
        return cls(WEB & frozenset(ingest.protocols), ingest.allow_loopback, ingest.allow_private_videos)


def is_web(url: str) -> bool:
    """Whether it is an address on a web server: a camera's, or a file's."""
    return url.partition(":")[0].lower() in WEB


def system_resolver(host: str, port: int) -> tuple[str, ...]:
    """Addresses of `host` by the system's own rules, which also read 127.1, 0x7f.1 and 2130706433."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_video_url(url: str, settings: Settings, resolver: Resolver = system_resolver) -> None:
    """Refuse a video's URL that must not be opened; ``file:`` and ``media:`` too, by their folders.

    Raises:
        InvalidInput: it is no URL, or its host has no address.
        Forbidden: its scheme, address or folder is not allowed.
        NotFound: the local file is not there.
    """
    _check(url, "video", settings, resolver)


def check_stream_url(url: str, settings: Settings, resolver: Resolver = system_resolver) -> None:
    """Refuse a live stream's URL that must not be opened. Raises as `check_video_url`."""
    _check(url, "stream", settings, resolver)


def check_callback_url(url: str, settings: Settings, resolver: Resolver = system_resolver) -> None:
    """Refuse a callback's URL that must not be opened. Raises InvalidInput, Forbidden."""
    resolve(url, Policy.of("callback", settings), resolver)


def _check(url: str, purpose: Purpose, settings: Settings, resolver: Resolver) -> None:
    if is_local(url):
        local_path(url, settings)
    elif purpose == "stream" and is_device(url):
        device(url, settings)
    else:
        resolve(url, Policy.of(purpose, settings), resolver)


def resolve(url: str, policy: Policy, resolver: Resolver = system_resolver) -> tuple[str, ...]:
    """The addresses that `url` may be opened at, every one of them allowed.

    Raises:
        InvalidInput: no URL, no host, a port out of range; NoAddress: a host without an address.
        Forbidden: a scheme or an address that the policy refuses.
    """
    parts = _split(url)
    if parts.scheme.lower() not in policy.schemes:
        raise Forbidden(f"{parts.scheme}: is not among the allowed schemes ({', '.join(sorted(policy.schemes))})")
    host = parts.hostname
    if not host:
        raise InvalidInput(f"{mask(url)} names no host", "url")
    try:
        addresses = resolver(host, _port(parts))
    except (OSError, UnicodeError) as error:
        raise NoAddress(f"the host {host} has no address: {error}", "url") from error
    if not addresses:
        raise NoAddress(f"the host {host} has no address", "url")
    for text in addresses:
        refusal = refuse(text, policy)
        if refusal is not None:
            raise Forbidden(f"the host {host} is {refusal}, which may not be opened")
    return tuple(addresses)


def refuse(text: str, policy: Policy) -> str | None:
    """Why this address may not be opened, or None when it may."""
    try:
        address = _embedded(ipaddress.ip_address(text.split("%", maxsplit=1)[0]))
    except ValueError:
        return "at no address that can be read"
    if any(address in network for network in _LOOPBACK):
        return None if policy.loopback else "this machine (a loopback address)"
    if any(address in network for network in _NEVER):
        return "at a link-local, metadata, multicast or reserved address"
    if any(address in network for network in _PRIVATE):
        return None if policy.private else "at a private address"
    return None if address.is_global else "at a reserved address"


def _embedded(address: Address) -> Address:
    """The IPv4 address inside a mapped, 6to4 or NAT64 IPv6 address; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    if any(address in network for network in _NAT64) or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL:
        raise InvalidInput(f"a URL has at most {MAX_URL} characters", "url")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url) or "\\" in url:
        raise InvalidInput("a URL has no blanks, control characters or backslashes", "url")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput(f"{mask(url)} is no URL: {error}", "url") from error
    if not parts.scheme:
        raise InvalidInput(f"{mask(url)} has no scheme such as https:", "url")
    return parts


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"the port of {parts.hostname} is out of range", "url") from error
    return port if port is not None else PORTS.get(parts.scheme.lower(), 0)
