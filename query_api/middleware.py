"""What every request passes: its id, authentication, its input, and how it is counted."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import falcon.asgi
import structlog

from core import metrics
from core.clock import Clock, wall_clock
from core.errors import InvalidInput
from core.settings import Query
from query_api.context import Given
from query_api.inputs import check_content_type, read_json, read_params
from query_api.refusals import Unauthenticated
from query_api.routes import surface_of
from query_api.routes.route import Route

REQUEST_ID = "Luna-Request-Id"
_ID = re.compile(r"[0-9]{10},[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}")


class RequestIds:
    """Takes or makes the request's id, binds it to the logs, and echoes it on every answer."""

    def __init__(self, clock: Clock = wall_clock) -> None:
        self._clock = clock

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Raises InvalidInput for an id of another form; the answer then carries a new one."""
        given = req.get_header(REQUEST_ID)
        valid = given is not None and _ID.fullmatch(given) is not None
        req.context.request_id = given if valid else f"{int(self._clock()):010d},{uuid4()}"
        resp.set_header(REQUEST_ID, req.context.request_id)
        structlog.contextvars.bind_contextvars(request_id=req.context.request_id)
        if given is not None and not valid:
            raise InvalidInput("it is <10-digit unix seconds>,<lower-case uuid>", REQUEST_ID)


class Counting:
    """Counts and times every answer."""

    async def process_request(self, req: falcon.asgi.Request, _: falcon.asgi.Response) -> None:
        """Note when it began."""
        req.context.began = time.perf_counter()

    async def process_response(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, *_: object) -> None:
        """Count it."""
        surface = surface_of(req.path).value
        method = req.method if req.method in falcon.HTTP_METHODS else "OTHER"
        metrics.counter("sightline_http_requests_total").labels(surface, method, str(resp.status_code)).inc()
        metrics.histogram("sightline_http_seconds").labels(surface).observe(time.perf_counter() - req.context.began)
        resp.set_header("X-Content-Type-Options", "nosniff")


class Reading:
    """Finds the route's row, checks the token, and reads parameters and body as the row says.

    Tokens do not exist yet: with `query.auth` every route that needs one is closed.
    """

    def __init__(self, query: Query, routes: tuple[Route, ...]) -> None:
        self._query = query
        self._routes: Mapping[tuple[str, str], Route] = {(r.method, r.path): r for r in routes}

    async def process_resource(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _: object, params: dict[str, Any]
    ) -> None:
        """Raises Unauthenticated, InvalidInput, WrongContentType, TooLarge."""
        route = self._routes.get((req.method, req.uri_template or ""))
        if route is None:
            return
        self._refuse_unknown(req, route)
        read: Any = read_params(req.query_string, route.params)
        body = None
        if route.body_media:
            check_content_type(req, route)
        if route.body is not None:
            body = await read_json(req, route.body, self._query.max_body_bytes)
        req.context.given = Given(route, read, body)

    async def process_resource_ws(
        self, req: falcon.asgi.Request, _: falcon.asgi.WebSocket, __: object, ___: dict[str, Any]
    ) -> None:
        """A socket's way in; it reads its parameters itself. Raises Unauthenticated."""
        route = self._routes.get(("GET", req.uri_template or ""))
        if route is not None:
            self._refuse_unknown(req, route)

    def _refuse_unknown(self, req: falcon.asgi.Request, route: Route) -> None:
        """Raises Unauthenticated; a signed token is let through to the resource, which knows what it is for."""
        if self._query.auth and route.scope is not None and not (route.signed and brings_signed_token(req)):
            raise Unauthenticated("a token is required")


def brings_signed_token(req: falcon.asgi.Request) -> bool:
    """Whether a token in the query stands for the header that is missing."""
    return req.get_header("Authorization") is None and bool(req.get_param("token"))
