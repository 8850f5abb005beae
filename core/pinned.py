"""HTTP requests whose connection goes to an address that was checked, and to no other.

The host is resolved once for each request, every address it has is judged, and the connection is made to one of
these: a name that answers differently a moment later changes nothing. The host itself stays in the ``Host`` header
and in TLS, so certificates are checked as ever. Redirects are not followed, proxies of the environment are not
asked, cookies are not kept, and no connection is used twice, because its TLS was made for one name only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from core.addresses import Policy, Resolver, resolve, system_resolver
from core.errors import Forbidden

CONNECT_S = 10.0
LOOKUPS = 64
"""Names that are looked up at once; a name server that hangs holds a thread for seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; its body is not read.

    Attributes:
        retry_after: the header as it came; empty without.
    """

    status: int
    retry_after: str = ""


class PinnedHttp:
    """Posts to addresses that a policy allows.

    Args:
        transport: what makes the connections; it is given requests whose URL names an address.
    """

    def __init__(
        self, policy: Policy, resolver: Resolver = system_resolver, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._transport = transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """POST `body` to `url`.

        Args:
            timeout_s: for all of it, from the look-up to the answer's first line.

        Raises:
            Forbidden: the address may not be opened.
            InvalidInput: it is no URL, or its host has no address now.
            TimeoutError, httpx.TransportError: no answer.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            addresses = await loop.run_in_executor(self._threads, resolve, url, self._policy, self._resolver)
            return await self._first(_request(url, body, headers, timeout_s), addresses)

    async def close(self) -> None:
        """End what is open."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._transport.aclose()

    async def _first(self, request: httpx.Request, addresses: tuple[str, ...]) -> Answer:
        """The answer at the first address that takes a connection."""
        failure: httpx.TransportError | None = None
        for address in addresses:
            try:
                response = await self._transport.handle_async_request(_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                continue
            await response.aclose()
            return Answer(response.status_code, response.headers.get("Retry-After", ""))
        raise failure or httpx.ConnectError("no address")


def _request(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> httpx.Request:
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))
    try:
        return httpx.Request(
            "POST",
            url,
            content=body,
            headers={"Connection": "close", **headers},
            extensions={"timeout": timeout.as_dict()},
        )
    except httpx.InvalidURL as error:  # an odd spelling that the system would resolve and httpx does not take
        raise Forbidden(f"the URL is spelled in a way that is not opened: {error}") from error


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The same request, sent to an address; who is meant stays in ``Host`` and in TLS."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host.rstrip(".")},
    )
