"""Where no token is asked for, only this machine's programs and the service's own pages are let in."""

from __future__ import annotations

from typing import Any

import pytest
from falcon import testing
from structlog.testing import capture_logs

from core import metrics
from query_api.complaints import EVERY_S, MOST_LETTERS, Complaints
from query_api.local import Local, name_of
from query_api.refusals import Misdirected, NotAllowed
from tests.unit.query_api.conftest import TEST_HOSTS

LOCAL = Local(["cams.example"])
OWN = "http://127.0.0.1:4004"


def headers(**given: str) -> Any:
    """A request's headers by their names."""
    return {name.replace("_", "-"): value for name, value in given.items()}.get


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:4004",
        "127.9.9.9:80",
        "localhost",
        "LOCALHOST:4004",
        "localhost.:4004",
        "[::1]",
        "[::1]:4004",
        "cams.example",
        "Cams.Example:443",
    ],
)
def test_its_own_names_are_let_in(host: str) -> None:
    LOCAL.check_host(headers(Host=host))


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "evil.example",
        "evil.example:4004",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example, 127.0.0.1",
        "127.0.0.1,evil.example",
        "127.0.0.1 evil",
        "0.0.0.0:4004",
        "[::]:4004",
        "192.168.1.7",
        "sub.cams.example",
        "cams.example.evil",
        "::1",
        "127.1",
        "2130706433",
    ],
)
def test_another_name_is_refused_whatever_else_is_said(host: str) -> None:
    for more in ({}, {"X_Forwarded_Host": "cams.example"}, {"X_Forwarded_For": "127.0.0.1"}):
        with pytest.raises(Misdirected, match=r"query\.allowed_hosts"):
            LOCAL.check_host(headers(Host=host, **more))


def test_a_program_without_host_is_let_in() -> None:
    LOCAL.check_host(headers())


def test_a_name_that_is_none_is_never_allowed() -> None:
    with pytest.raises(Misdirected):
        Local(["."]).check_host(headers(Host="a b"))


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X_Real_IP", "Forwarded", "X_Forwarded_Host"])
def test_a_proxy_is_let_in_only_for_a_host_that_is_named(name: str) -> None:
    for value in ("127.0.0.1", "for=127.0.0.1", "localhost"):
        with pytest.raises(Misdirected, match="proxy"):
            LOCAL.check_host(headers(Host="127.0.0.1:4004", **{name: value}))
    LOCAL.check_host(headers(Host="cams.example", X_Forwarded_For="203.0.113.9"))
    LOCAL.check_host(headers(Host="127.0.0.1", X_Forwarded_For="203.0.113.9", X_Forwarded_Host="cams.example"))
    with pytest.raises(Misdirected, match="proxy"):
        LOCAL.check_host(headers(Host="127.0.0.1", X_Forwarded_Host="cams.example, other.example"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Origin": OWN},
        {"Origin": OWN, "Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://cams.example"},
        {"Origin": "https://cams.example:8443", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin"},
    ],
)
def test_its_own_pages_and_programs_may_change_things(given: dict[str, str]) -> None:
    LOCAL.check_page(headers(Host="127.0.0.1:4004", **given))


@pytest.mark.parametrize(
    "given",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:4004"},
        {"Origin": "http://127.0.0.1:4004.evil.example"},
        {"Origin": "https://cams.example.evil"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_site_s_page_may_not(given: dict[str, str]) -> None:
    with pytest.raises(NotAllowed) as refused:
        LOCAL.check_page(headers(Host="127.0.0.1:4004", **given))
    assert refused.value.reason == "page"


def test_a_name_is_taken_out_of_an_authority() -> None:
    assert [name_of(text) for text in ("A.b:1", "[FE80::1]:9", "a:b:c", "[::1", "a/b", "a@b", " a ")] == [
        "a.b", "fe80::1", "", "", "", "", "a",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/health", "/version", "/smart-search", "/query/v1/streams", "/nowhere"])
def test_a_wrong_host_is_answered_421_on_every_path(client: testing.TestClient, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = client.simulate_request(method, path, host="evil.example")
        assert answer.status_code == 421
        assert TEST_HOSTS[0] not in answer.text


def test_a_cross_site_write_is_answered_403_and_a_read_is_not(client: testing.TestClient) -> None:
    page = {"Origin": "https://evil.example"}
    assert client.simulate_get("/query/v1/streams", headers=page).status_code == 200
    refused = client.simulate_post("/query/v1/videos", headers=page, params={"name": "a.mp4"}, body=b"0")
    assert (refused.status_code, refused.json["status"]) == (403, 403)
    own = {"Origin": f"http://{TEST_HOSTS[0]}"}
    assert client.simulate_post("/query/v1/videos", headers=own, params={"name": "a"}, body=b"0").status_code == 201


def test_where_tokens_are_asked_for_neither_matters(closed: testing.TestClient) -> None:
    page = {"Origin": "https://evil.example", "X-Forwarded-For": "203.0.113.9"}
    assert closed.simulate_get("/health", headers=page, host="any.example").status_code == 200
    assert closed.simulate_post("/query/v1/videos", headers=page, host="any.example").status_code == 401


def test_refusals_are_counted_and_logged_once_in_a_while() -> None:
    now = [100.0]
    complaints = Complaints(lambda: now[0])
    req = testing.create_asgi_req(path="/a" * MOST_LETTERS, query_string="token=hush", headers={"X-Api-Key": "hush"})
    before = counted("unknown")
    with capture_logs() as logs:
        for _ in range(3):
            complaints.add("unknown", req, "no such token is known")
        complaints.add("scope", req, "not that")
        now[0] += EVERY_S
        complaints.add("unknown", req, "no such token is known")
    assert [(line["reason"], line["count"]) for line in logs] == [("unknown", 1), ("scope", 1), ("unknown", 3)]
    assert counted("unknown") == before + 4
    assert "hush" not in str(logs)
    assert len(logs[0]["path"]) == MOST_LETTERS


def counted(reason: str) -> float:
    """How often that was refused, by this process."""
    return float(metrics.counter("sightline_http_refused_total").labels(reason)._value.get())
