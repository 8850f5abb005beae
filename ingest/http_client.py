"""HTTP for sources: every address checked before it is connected to, on every redirect too.

FFmpeg follows redirects and resolves names by itself, so it is given this reader instead of the URL.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from core.addresses import Policy, Resolver, resolve, system_resolver
from core.errors import Forbidden, InvalidInput, UnsupportedMedia
from core.log import mask
from core.settings import Ingest

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpBody:
    """The body of an answer, as a file that cannot be wound back."""

    def __init__(self, url: str, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.name = url
        self._connection = connection
        self._response = response

    @property
    def length(self) -> int | None:
        """Bytes that the server promised."""
        return self._response.length

    @property
    def content_type(self) -> str:
        """Media type, lower case."""
        return self._response.headers.get_content_type().lower()

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end. Raises OSError."""
        try:
            return self._response.read(size if size >= 0 else None)
        except http.client.HTTPException as error:
            raise OSError(f"the answer ended early: {error!r}") from error

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Opens HTTP addresses that a policy allows."""

    policy: Policy
    ingest: Ingest
    resolver: Resolver = system_resolver

    def get(self, url: str) -> HttpBody:
        """GET `url`, following redirects.

        Raises:
            InvalidInput, Forbidden: the address, or one it leads to, is refused.
            UnsupportedMedia: the server refuses, or does not answer.
        """
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._once(url)
            if isinstance(answer, HttpBody):
                return answer
            url = answer
        raise UnsupportedMedia(f"{mask(url)}: more than {MAX_REDIRECTS} redirects")

    def _once(self, url: str) -> HttpBody | str:
        addresses = resolve(url, self.policy, self.resolver)
        parts = urlsplit(url)
        if parts.scheme.lower() not in {"http", "https"}:
            raise Forbidden(f"{parts.scheme}: cannot be fetched over HTTP")
        connection = _Pinned(parts, addresses, self.ingest)
        try:
            connection.request("GET", _target(parts), headers=_headers(parts))
            response = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise UnsupportedMedia(f"{mask(url)} does not answer: {error}") from error
        body = HttpBody(url, connection, response)
        if response.status == 200:
            return body
        body.close()
        if response.status in REDIRECTS and (location := response.headers.get("Location")):
            return urljoin(url, location)
        raise UnsupportedMedia(f"{mask(url)} answers {response.status} {response.reason}")


class _Pinned(http.client.HTTPConnection):
    """A connection to addresses that were checked, not to whatever the name says by then."""

    def __init__(self, parts: SplitResult, addresses: tuple[str, ...], ingest: Ingest) -> None:
        if parts.hostname is None:
            raise InvalidInput("the URL names no host", "url")
        self._tls = parts.scheme.lower() == "https"
        self._addresses = addresses
        self._connect_timeout = ingest.connect_timeout_s
        self._read_timeout = ingest.read_timeout_s
        super().__init__(parts.hostname, parts.port or (443 if self._tls else 80), timeout=ingest.connect_timeout_s)

    def connect(self) -> None:
        """Connect to the first address that answers. Raises OSError."""
        failure: OSError | None = None
        for address in self._addresses:
            try:
                self.sock = socket.create_connection((address, self.port), self._connect_timeout)
                break
            except OSError as error:
                failure = error
        else:
            raise failure or OSError("no address")
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        self.sock.settimeout(self._read_timeout)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "sightline", "Accept": "*/*"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return headers
