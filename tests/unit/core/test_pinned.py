"""Every way round the rule that a callback's connection goes to an address that may be opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core.addresses import Policy, Resolver, system_resolver
from core.errors import Forbidden, InvalidInput
from core.pinned import Answer, PinnedHttp
from core.settings import Settings

PUBLIC, OTHER, PUBLIC_6 = "93.184.216.34", "93.184.216.35", "2606:2800:220:1:248:1893:25c8:1946"


class Wire(httpx.AsyncBaseTransport):
    """What would be connected to; it answers what it was told."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.asked: list[httpx.Request] = []
        self.closed = False
        self._answers = list(answers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if self._answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def fixed(*addresses: str) -> Resolver:
    return lambda host, port: addresses


def in_turn(*answers: tuple[str, ...]) -> Resolver:
    """A name server that says something else each time it is asked."""
    left = list(answers)
    return lambda host, port: left.pop(0)


def post(
    url: str,
    resolver: Resolver,
    wire: httpx.AsyncBaseTransport,
    *,
    times: int = 1,
    timeout_s: float = 5.0,
    **ingest: Any,
) -> Answer:
    async def scene() -> Answer:
        http = PinnedHttp(Policy.of("callback", Settings(ingest=ingest)), resolver, wire)
        try:
            for _ in range(times - 1):
                await http.post(url, b"{}", {"X-A": "b"}, timeout_s)
            return await http.post(url, b"{}", {"X-A": "b"}, timeout_s)
        finally:
            await http.close()

    return asyncio.run(scene())


def test_the_connection_goes_to_the_address_and_the_host_stays_who_is_meant() -> None:
    wire = Wire(httpx.Response(204, headers={"Retry-After": "3"}))
    assert post("https://hooks.example:8443/a?b=c", fixed(PUBLIC), wire) == Answer(204, "3")
    (request,) = wire.asked
    assert (request.url.host, request.url.port, request.url.raw_path) == (PUBLIC, 8443, b"/a?b=c")
    assert request.headers["Host"] == "hooks.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.example", "certificates are the name's"
    assert request.extensions["timeout"]["read"] == 5.0
    assert (request.method, request.headers["Content-Length"], request.headers["X-A"]) == ("POST", "2", "b")
    assert request.headers["Connection"] == "close", "no second request goes over TLS that was made for another name"
    assert wire.closed


def test_an_ipv6_address_is_connected_to_as_such() -> None:
    wire = Wire()
    post("http://hooks.example/", fixed(PUBLIC_6), wire)
    assert wire.asked[0].url.host == PUBLIC_6
    assert wire.asked[0].url.raw_host == PUBLIC_6.encode()


def test_a_name_that_answers_differently_the_next_time_is_judged_anew() -> None:
    wire = Wire()
    with pytest.raises(Forbidden, match="loopback"):
        post("http://rebinding.example/", in_turn((PUBLIC,), ("127.0.0.1",)), wire, times=2)
    assert [request.url.host for request in wire.asked] == [PUBLIC]


def test_a_name_is_asked_for_once_a_request() -> None:
    wire = Wire(httpx.ConnectError("refused"))
    post("http://rebinding.example/", in_turn((PUBLIC, OTHER), ("127.0.0.1",)), wire)
    assert [request.url.host for request in wire.asked] == [PUBLIC, OTHER], "the next address is of the same answer"


def test_one_bad_address_of_a_name_is_enough() -> None:
    wire = Wire()
    with pytest.raises(Forbidden):
        post("http://both.example/", fixed(PUBLIC, "10.0.0.1"), wire)
    assert wire.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
    ],
)
def test_addresses_that_are_not_public_are_never_connected_to(address: str) -> None:
    wire = Wire()
    with pytest.raises(Forbidden):
        post("https://innocent.example/", fixed(address), wire)
    assert wire.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://user@127.0.0.1:8080/",
        "http://example.org@127.0.0.1/",
        "http://example.org:80@127.0.0.1/",
        "http://localhost/",
    ],
)
def test_every_spelling_of_this_machine_is_seen_through(url: str) -> None:
    """The system's own reading of numeric hosts is what counts; no name server is asked."""
    wire = Wire()
    with pytest.raises(Forbidden):
        post(url, system_resolver, wire)
    assert wire.asked == []


@pytest.mark.parametrize("url", ["http://[fe80::1%25lo]/", "http://[fe80::1%lo]/", "http://127.0.0.1%2f@x/", "http://"])
def test_odd_hosts_are_refused_one_way_or_the_other(url: str) -> None:
    wire = Wire()
    with pytest.raises((Forbidden, InvalidInput)):
        post(url, lambda host, port: ("fe80::1%lo",) if host else (), wire)
    assert wire.asked == []


def test_a_spelling_that_two_readers_read_differently_is_not_opened() -> None:
    wire = Wire()
    with pytest.raises(Forbidden, match="spelled"):
        post("http://0177.0.0.1/", fixed("127.0.0.1"), wire, allow_loopback=True)
    assert wire.asked == []


def test_a_trailing_dot_changes_nothing() -> None:
    with pytest.raises(Forbidden):
        post("http://localhost./", fixed("127.0.0.1"), Wire())
    wire = Wire()
    post("https://hooks.example./", fixed(PUBLIC), wire)
    assert wire.asked[0].extensions["sni_hostname"] == "hooks.example"


@pytest.mark.parametrize(
    "url",
    ["file:/etc/passwd", "file:///etc/passwd", "ftp://a.example/", "gopher://a.example/", "concat:http://a.example/"],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(Forbidden, match="scheme"):
        post(url, fixed(PUBLIC), Wire())


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    wire = Wire(httpx.Response(307, headers={"Location": "http://127.0.0.1/"}))
    assert post("http://hooks.example/", fixed(PUBLIC), wire).status == 307
    assert len(wire.asked) == 1


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    wire = Wire()
    post("http://hooks.example/", fixed(PUBLIC), wire)
    assert wire.asked[0].url.host == PUBLIC


def test_a_cookie_is_not_sent_back() -> None:
    wire = Wire(httpx.Response(200, headers={"Set-Cookie": "a=b"}))
    post("http://hooks.example/", fixed(PUBLIC), wire, times=2)
    assert "Cookie" not in wire.asked[1].headers


def test_no_address_that_takes_a_connection() -> None:
    with pytest.raises(httpx.ConnectError, match="second"):
        post("http://a.example/", fixed(PUBLIC, OTHER), Wire(httpx.ConnectError("first"), httpx.ConnectError("second")))


class Silent(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("make", [Silent])
def test_the_time_bounds_all_of_it(make: Callable[[], httpx.AsyncBaseTransport]) -> None:
    with pytest.raises(TimeoutError):
        post("http://a.example/", fixed(PUBLIC), make(), timeout_s=0.05)
