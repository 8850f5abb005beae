"""Where tokens are asked for: every route, every way to send one, every way it is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import falcon
import falcon.asgi
import pytest
from falcon import testing
from structlog.testing import capture_logs

from core import metrics
from core.scopes import SCOPES
from core.secrets import new_secret
from core.settings import Settings
from query_api.app import Errors, create_app, resources
from query_api.complaints import Complaints
from query_api.context import params_of
from query_api.disconnect import Application
from query_api.guard import Guard, within
from query_api.middleware import LocalOnly, Reading
from query_api.refusals import NotAllowed, Unauthenticated
from query_api.routes import ROUTES
from query_api.routes.route import Answer, Route, Surface
from query_api.services.access import Access
from query_api.services.configuration import Configuration
from query_api.types.common import NoParams
from query_api.types.query import StreamsParams
from tests.unit.query_api.conftest import NOW, TEST_HOSTS
from tests.unit.query_api.fakes import Parts
from warehouse.control import ControlStore
from warehouse.control.tokens import MARKS

SHAPES = {
    Surface.AGENT: {"error_code", "desc", "detail", "link"},
    Surface.ENGINE: {"code", "message"},
    Surface.QUERY: {"type", "title", "status", "detail", "request_id"},
}
GUARDED = [route for route in ROUTES if route.scope is not None]
OPEN = [route for route in ROUTES if route.scope is None]
ACCOUNT = "557d54ec-29ad-4f3c-93b4-c9092ef12515"
OTHER = "11111111-29ad-4f3c-93b4-c9092ef12515"


def path_of(route: Route) -> str:
    """A path of this route, of things that are not there."""
    values = {"uuid": ACCOUNT, "path": "a.jpg", "int": "0"}
    return re.sub(r"\{\w+(?::(\w+)[^}]*)?\}", lambda found: values.get(found[1], "5136c6c0916cd30c"), route.path)


def ask(client: testing.TestClient, route: Route, headers: dict[str, str] | None = None) -> Any:
    return client.simulate_request(route.method, path_of(route), headers=headers or {})


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def refused_as(answer: Any, route: Route, status: int) -> None:
    """The answer has this status and its surface's shape."""
    assert answer.status_code == status, answer.text
    if route.method != "HEAD":
        assert set(answer.json) == SHAPES[route.surface]


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.operation)
def test_every_route_with_a_scope_is_closed(
    closed: testing.TestClient, secret_for: Callable[..., str], route: Route
) -> None:
    right = secret_for(*SCOPES)
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {right}"},
        {"Authorization": right},
        {"Authorization": f"Bearer {right}x"},
        {"Authorization": f"Bearer {new_secret(MARKS['token'])}"},
        {"X-Api-Key": new_secret(MARKS["api_key"])},
        {"X-Api-Key": "", **bearer(right)},
    ):
        answer = ask(closed, route, headers)
        refused_as(answer, route, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    wrong = secret_for(*(SCOPES.keys() - {route.scope}))
    refused_as(ask(closed, route, bearer(wrong)), route, 403)


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.operation)
def test_every_route_with_a_scope_opens_to_it_alone(
    closed: testing.TestClient, secret_for: Callable[..., str], route: Route
) -> None:
    assert route.scope in SCOPES
    answer = ask(closed, route, bearer(secret_for(route.scope)))
    assert answer.status_code not in {401, 403, 421}, answer.text


@pytest.mark.parametrize("route", OPEN, ids=lambda route: route.operation)
def test_a_route_without_scope_asks_nobody(closed: testing.TestClient, route: Route) -> None:
    without, wrong = ask(closed, route), ask(closed, route, bearer("nonsense"))
    assert without.status_code == wrong.status_code
    assert without.status_code in {200, 302, 404}  # 404: a page of the manual that is not there


def test_every_responder_has_a_row(settings: Settings, parts: Parts) -> None:
    """One without would be reached without a token."""
    made = resources(settings, parts.collaborators, Configuration(settings, parts.collaborators))
    rows = {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        for method in falcon.HTTP_METHODS:
            name = "_".join(filter(None, ("on", method.lower(), route.suffix)))
            assert not hasattr(made[route.resource], name) or (method, route.path) in rows, (name, route.path)


def test_a_token_and_a_key_are_taken_by_either_header(
    closed: testing.TestClient, parts: Parts, secret_for: Callable[..., str]
) -> None:
    token, key = secret_for("read"), new_secret(MARKS["api_key"])
    parts.control.create_token(key, name="k", kind="api_key", scopes=("read",))
    for secret in (token, key):
        for headers in (
            {"Authorization": f"Bearer {secret}"},
            {"Authorization": f"bearer   {secret} "},
            {"X-Api-Key": secret},
            {"x-api-key": f" {secret} "},
            {"X-Api-Key": secret, "Authorization": "Basic dXNlcjpwYXNz"},
        ):
            assert closed.simulate_get("/query/v1/streams", headers=headers).status_code == 200, headers
    assert closed.simulate_get("/query/v1/streams", params={"token": token}).status_code == 401


def test_a_token_that_has_expired_or_was_revoked_is_refused(
    closed: testing.TestClient, parts: Parts, settings: Settings, secret_for: Callable[..., str]
) -> None:
    earlier = ControlStore.connect(settings, clock=lambda: NOW - 100)
    old, fresh, gone = (new_secret(MARKS["token"]) for _ in range(3))
    for secret, valid_s in ((old, 100), (fresh, 101), (gone, 1000)):
        earlier.create_token(secret, name="t", kind="token", scopes=("read",), valid_ms=valid_s * 1000)
    earlier.revoke_token(gone[:12])
    earlier.close()
    assert closed.simulate_get("/query/v1/streams", headers=bearer(fresh)).status_code == 200
    for secret, says in ((old, "has expired"), (gone, "was revoked")):
        answer = closed.simulate_get("/query/v1/streams", headers=bearer(secret))
        assert answer.status_code == 401
        assert says in answer.json["detail"]
        assert secret not in answer.text


def test_a_body_is_not_read_before_the_token(closed: testing.TestClient) -> None:
    answer = closed.simulate_post("/query/v1/streams", body=b"no json", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


def test_no_secret_is_logged_counted_or_answered(closed: testing.TestClient, secret_for: Callable[..., str]) -> None:
    secrets = [secret_for("read"), secret_for("write"), new_secret(MARKS["token"]), "hunter2-is-my-password"]
    seen = []
    with capture_logs() as logs:
        for secret in secrets:
            for headers in (bearer(secret), {"X-Api-Key": secret}, {"Authorization": f"Basic {secret}"}):
                answer = closed.simulate_get("/query/v1/streams", headers=headers)
                seen.append(f"{answer.headers} {answer.text}")
    assert {line["reason"] for line in logs} == {"missing", "unknown", "scope"}
    seen += [str(logs), metrics.exposition().decode()]
    for secret in secrets:
        assert not any(secret in text for text in seen)


def test_the_time_of_use_is_there_when_the_service_ends(
    settings: Settings, parts: Parts, secret_for: Callable[..., str]
) -> None:
    secret = secret_for("read")
    query = settings.query.model_copy(update={"auth": True})
    app = create_app(settings.model_copy(update={"query": query}), parts.collaborators)

    async def ask_once() -> int:
        async with testing.ASGIConductor(app) as conductor:
            return int((await conductor.simulate_get("/query/v1/streams", headers=bearer(secret))).status_code)

    assert asyncio.run(ask_once()) == 200
    assert [row.last_used_ms for row in parts.control.tokens()] == [int(NOW * 1000)]


def test_without_authentication_a_token_is_not_looked_at(client: testing.TestClient) -> None:
    assert client.simulate_get("/query/v1/streams", headers=bearer("nonsense")).status_code == 200


def test_a_token_of_an_account_reaches_nothing_that_has_none(
    closed: testing.TestClient, secret_for: Callable[..., str]
) -> None:
    answer = closed.simulate_get("/query/v1/streams", headers=bearer(secret_for("read", account_id=ACCOUNT)))
    assert answer.status_code == 403
    assert ACCOUNT in answer.json["detail"]


class OfAccount(NoParams, frozen=True, forbid_unknown_fields=True):
    """Of a route that is divided by accounts."""

    account_id: UUID | None = None
    name: str = ""


def made(params: type = NoParams, **more: Any) -> Route:
    return Route("GET", "/channel", Surface.AGENT, "channel", "", "watch", {200: Answer("")}, params=params, **more)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("", f"account_id={ACCOUNT}"),
        ("name=a", f"name=a&account_id={ACCOUNT}"),
        (f"account_id={ACCOUNT}", f"account_id={ACCOUNT}"),
        (f"account_id={ACCOUNT.upper()}&name=a", f"account_id={ACCOUNT.upper()}&name=a"),
    ],
)
def test_a_query_is_read_within_the_token_s_account(query: str, read: str) -> None:
    assert within(ACCOUNT, testing.create_asgi_req(query_string=query), made(OfAccount)) == read


@pytest.mark.parametrize(
    ("query", "headers", "route"),
    [
        (f"account_id={OTHER}", {}, made(OfAccount)),
        (f"account_id={ACCOUNT}&account_id={OTHER}", {}, made(OfAccount)),
        (f"accoun%74_id={OTHER}", {}, made(OfAccount)),
        ("account_id=", {}, made(OfAccount)),
        ("", {"Luna-Account-Id": OTHER}, made(OfAccount)),
        ("", {"Luna-Account-Id": ACCOUNT}, made()),
        ("", {"Luna-Account-Id": OTHER}, made(headers={"Luna-Account-Id": "whose"})),
        ("", {}, made(headers={"Luna-Account-Id": "whose"})),
        ("", {}, made(StreamsParams)),
    ],
)
def test_another_account_is_refused(query: str, headers: dict[str, str], route: Route) -> None:
    with pytest.raises(NotAllowed) as refused:
        within(ACCOUNT, testing.create_asgi_req(query_string=query, headers=headers), route)
    assert refused.value.reason == "account"


def test_the_header_names_the_account_where_the_route_reads_it() -> None:
    req = testing.create_asgi_req(query_string="name=a", headers={"Luna-Account-Id": ACCOUNT.upper()})
    assert within(ACCOUNT, req, made(headers={"Luna-Account-Id": "whose"})) == "name=a"


class Channel:
    """Accepts a WebSocket and says what it was asked."""

    async def on_websocket(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket) -> None:
        await ws.accept()
        await ws.send_text(str(params_of(req, OfAccount).account_id))
        with suppress(falcon.WebSocketDisconnected):  # Falcon's simulator hears nothing of a channel that has closed
            await ws.receive_text()


@pytest.fixture
def channel(settings: Settings, parts: Parts) -> Callable[..., str | int]:
    """Opens a WebSocket; returns what it says, or the code with which it was refused."""

    def open_one(*, auth: bool, path: str = "/channel", **more: Any) -> str | int:
        query = settings.query.model_copy(update={"auth": auth})
        complaints = Complaints()
        access = Access(parts.collaborators.pool, parts.control, lambda: NOW)
        guard = Guard(query, access, complaints)
        app = Application(middleware=[LocalOnly(query, complaints), Reading(query, (made(OfAccount),), guard)])
        app.add_route("/channel", Channel())
        app.add_route("/unlisted", Channel())
        errors = Errors(settings)
        app.add_error_handler(Exception, errors.unexpected)
        app.add_error_handler(falcon.HTTPError, errors.of_falcon)

        async def listen() -> str | int:
            async with testing.ASGIConductor(app) as conductor:
                try:
                    async with conductor.simulate_ws(path, **more) as ws:
                        return str(await ws.receive_text())
                except falcon.WebSocketDisconnected as refused:
                    return int(refused.code)

        return asyncio.run(listen())

    return open_one


def test_a_websocket_passes_the_same_check(channel: Callable[..., Any], secret_for: Callable[..., str]) -> None:
    assert channel(auth=True) == 4401
    assert channel(auth=True, headers=bearer(new_secret(MARKS["token"]))) == 4401
    assert channel(auth=True, headers=bearer(secret_for("read"))) == 4403
    assert channel(auth=True, headers=bearer(secret_for("watch"))) == "None"
    assert channel(auth=True, headers={"X-Api-Key": secret_for("watch", account_id=ACCOUNT)}) == ACCOUNT
    assert channel(auth=True, headers=bearer(secret_for("watch")), query_string="nonsense=1") == 4400


def test_a_websocket_without_a_row_is_not_there(channel: Callable[..., Any], secret_for: Callable[..., str]) -> None:
    for auth in (False, True):
        assert channel(auth=auth, path="/unlisted", headers=bearer(secret_for("watch"))) == 4404
        assert channel(auth=auth, path="/nowhere", headers=bearer(secret_for("watch"))) == 4404


def test_another_site_s_page_opens_no_websocket_where_no_token_is_asked_for(channel: Callable[..., Any]) -> None:
    assert channel(auth=False) == "None"
    assert channel(auth=False, headers={"Origin": f"http://{TEST_HOSTS[0]}"}) == "None"
    assert channel(auth=False, headers={"Origin": "https://evil.example"}) == 4403
    assert channel(auth=False, host="evil.example") == 4421


def test_a_signed_token_is_let_through_to_what_takes_one(
    settings: Settings, parts: Parts, secret_for: Callable[..., str]
) -> None:
    query = settings.query.model_copy(update={"auth": True})
    guard = Guard(query, Access(parts.collaborators.pool, parts.control, lambda: NOW), Complaints())

    async def check(query_string: str, route: Route, **headers: str) -> str:
        return await guard.check(testing.create_asgi_req(query_string=query_string, headers=headers), route)

    assert asyncio.run(check("token=any", made(signed=True))) == "token=any"
    for wrong in (check("", made(signed=True)), check("token=any", made())):
        with pytest.raises(Unauthenticated, match="a token is required"):
            asyncio.run(wrong)
    with pytest.raises(Unauthenticated):  # who sends a header is judged by it
        asyncio.run(check("token=any", made(signed=True), Authorization="Bearer nonsense"))
