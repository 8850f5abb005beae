"""HTTP for sources: every address checked before it is connected to, on every redirect too.

FFmpeg follows redirects and resolves names by itself, so it is given this reader instead of the URL.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from core.addresses import Policy, Resolver, resolve, system_resolver
from core.errors import Forbidden, InvalidInput, UnsupportedMedia
from core.log import mask
from core.settings import Ingest
from ingest.patience import Patience

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 64 * 1024
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpBody:
    """The body of an answer, as a file that cannot be wound back.

    Args:
        patience: of the connection; renewed by each byte that comes, or else by whoever takes the pictures.

    Attributes:
        length: bytes that the server promised; None when it promised none.
        whole: all that was promised has been read; never true where nothing was.
    """

    def __init__(
        self,
        url: str,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        patience: Patience,
        *,
        renewing: bool = True,
    ) -> None:
        self.name = url
        self.length: int | None = response.length
        self.whole = False
        self._connection = connection
        self._response = response
        self._patience = patience
        self._renewing = renewing
        self._left = response.length
        self._chunked = bool(response.chunked)

    @property
    def in_parts(self) -> bool:
        """Whether the server gives a part of it as well (RFC 9110, section 14)."""
        return "bytes" in (self._response.headers.get("Accept-Ranges") or "").lower()

    @property
    def content_type(self) -> str:
        """Media type, lower case."""
        return self._response.headers.get_content_type().lower()

    @property
    def broke_off(self) -> bool:
        """Whether less has come than was promised; known at the end."""
        return bool(self._left)

    def read(self, size: int = -1) -> bytes:
        """The next bytes that come, at most `size`; all that is left below 0; empty at the end. Raises OSError."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._left == 0 or size == 0:
            self.whole = self.whole or self._left == 0
            return b""
        if self._renewing:
            self._patience.renew()
        try:
            # `read` would wait until there are `size` bytes: of a camera that is seconds of video
            data = self._response.read1(size)
        except http.client.HTTPException as error:
            raise OSError(f"the answer ended early: {error!r}") from error
        if self._left is not None:
            self._left -= len(data)
        self.whole = self._left == 0 or (self._chunked and not data)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Opens HTTP addresses that a policy allows.

    Attributes:
        patience: of a camera, for all that is fetched of it; None: each answer has its own, by the settings.
    """

    policy: Policy
    ingest: Ingest
    resolver: Resolver = system_resolver
    patience: Patience | None = None

    def get(self, url: str, begin: int = 0) -> HttpBody:
        """GET `url` from its byte `begin` on, following redirects.

        Raises:
            InvalidInput, Forbidden: the address, or one it leads to, is refused.
            UnsupportedMedia: the server refuses, does not answer in time, or gives another part.
        """
        patience = self.patience or Patience(
            self.ingest.read_timeout_s, self.ingest.connect_timeout_s + self.ingest.read_timeout_s
        )
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._once(url, patience, begin)
            if isinstance(answer, HttpBody):
                return answer
            url = answer
        raise UnsupportedMedia(f"{mask(url)}: more than {MAX_REDIRECTS} redirects")

    def _once(self, url: str, patience: Patience, begin: int) -> HttpBody | str:
        addresses = resolve(url, self.policy, self.resolver)
        parts = urlsplit(url)
        if parts.scheme.lower() not in {"http", "https"}:
            raise Forbidden(f"{parts.scheme}: cannot be fetched over HTTP")
        connection = _Pinned(parts, addresses, self.ingest, patience)
        try:
            connection.request("GET", _target(parts), headers=_headers(parts, begin))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise UnsupportedMedia(f"{mask(url)} does not answer: {error}") from error
        body = HttpBody(url, connection, response, patience, renewing=self.patience is None)
        if begin and (response.headers.get("Content-Range") or "").startswith(f"bytes {begin}-"):
            return body
        if response.status == 200 and not begin:
            return body
        body.close()
        if response.status in REDIRECTS and (location := response.headers.get("Location")):
            return urljoin(url, location)
        raise UnsupportedMedia(f"{mask(url)} answers {response.status} {response.reason}")


class _Pinned(http.client.HTTPConnection):
    """A connection to addresses that were checked, not to whatever the name says by then."""

    def __init__(self, parts: SplitResult, addresses: tuple[str, ...], ingest: Ingest, patience: Patience) -> None:
        if parts.hostname is None:
            raise InvalidInput("the URL names no host", "url")
        self._tls = parts.scheme.lower() == "https"
        self._addresses = addresses
        self._connect_timeout = ingest.connect_timeout_s
        self._patience = patience
        super().__init__(parts.hostname, parts.port or (443 if self._tls else 80), timeout=ingest.connect_timeout_s)

    def connect(self) -> None:
        """Connect to the first address that answers. Raises OSError."""
        failure: OSError | None = None
        for address in self._addresses:
            patience_s = min(self._connect_timeout, self._patience.left())
            try:
                connection = socket.create_connection((address, self.port), patience_s)
                break
            except OSError as error:
                failure = error
        else:
            raise failure or OSError("no address")
        if self._tls:
            try:
                connection = ssl.create_default_context().wrap_socket(connection, server_hostname=self.host)
            except OSError:
                connection.close()
                raise
        self.sock = _Patient(connection, self._patience)


class _Patient:
    """A socket whose bytes are waited for as long as there is patience left: the part that http.client uses."""

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience

    def sendall(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError."""
        self._connection.settimeout(self._patience.left())
        self._connection.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        """What comes, as a file."""
        raw = self._connection.makefile("rb", buffering=0)
        return io.BufferedReader(_Bytes(raw, self._connection, self._patience))

    def close(self) -> None:
        """Close it, once its file is closed too."""
        self._connection.close()


class _Bytes(io.RawIOBase):
    """A header that drips is never silent: so each byte is waited for no longer than for the whole."""

    def __init__(self, raw: socket.SocketIO, connection: socket.socket, patience: Patience) -> None:
        super().__init__()
        self._raw = raw
        self._connection = connection
        self._patience = patience

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """The next bytes. Raises OSError, TimeoutError."""
        self._connection.settimeout(self._patience.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            self._patience.end()

    def close(self) -> None:
        """Close the file, and the connection if nobody else has it."""
        if not self.closed:
            self._raw.close()
        super().close()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult, begin: int) -> dict[str, str]:
    headers = {"User-Agent": "sightline", "Accept": "*/*"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return headers
