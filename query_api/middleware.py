"""What every request passes: its id, who sends it, its input, and how it is counted."""

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
from core.errors import InvalidInput, NotFound
from core.settings import Query
from query_api.complaints import Complaints
from query_api.context import Given
from query_api.guard import Guard
from query_api.inputs import check_content_type, read_json, read_params
from query_api.local import Local
from query_api.refusals import Misdirected, NotAllowed
from query_api.routes import surface_of
from query_api.routes.route import Route

REQUEST_ID = "Luna-Request-Id"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
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


class LocalOnly:
    """Where no token is asked for: lets in what this machine's programs and the service's own pages send."""

    def __init__(self, query: Query, complaints: Complaints) -> None:
        self._open = not query.auth
        self._local = Local(query.allowed_hosts)
        self._listening = Local(query.allowed_hosts, query.origins)
        self._complaints = complaints

    async def process_request(self, req: falcon.asgi.Request, _: falcon.asgi.Response) -> None:
        """Raises Misdirected, NotAllowed."""
        self._check(self._local, req, page_matters=req.method not in SAFE)

    async def process_request_ws(self, req: falcon.asgi.Request, _: falcon.asgi.WebSocket) -> None:
        """The same; any page may open a WebSocket to anywhere, and read what comes."""
        self._check(self._listening, req, page_matters=True)

    def _check(self, local: Local, req: falcon.asgi.Request, *, page_matters: bool) -> None:
        if not self._open:
            return
        try:
            local.check_host(req.get_header)
            if page_matters:
                local.check_page(req.get_header)
        except (Misdirected, NotAllowed) as error:
            self._complaints.add(error.reason, req, str(error))
            raise


class Reading:
    """Finds the route's row, has the guard look at who asks, and reads parameters and body as the row says."""

    def __init__(self, query: Query, routes: tuple[Route, ...], guard: Guard) -> None:
        self._query = query
        self._guard = guard
        self._routes: Mapping[tuple[str, str], Route] = {(r.method, r.path): r for r in routes}

    async def process_resource(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _: object, __: dict[str, Any]
    ) -> None:
        """Raises Unauthenticated, NotAllowed, InvalidInput, WrongContentType, TooLarge."""
        route = self._routes.get((req.method, req.uri_template or ""))
        if route is None:
            return
        read: Any = read_params(await self._guard.check(req, route), route.params)
        body = None
        if route.body_media:
            check_content_type(req, route)
        if route.body is not None:
            try:
                body = await read_json(req, route.body, self._query.max_body_bytes)
            except InvalidInput as error:
                if not route.wrong:
                    raise
                what = f"{error.field}: {error}" if error.field else str(error)
                raise InvalidInput(f"{route.wrong}: {what}") from error
        req.context.given = Given(route, read, body)

    async def process_resource_ws(
        self, req: falcon.asgi.Request, _: falcon.asgi.WebSocket, __: object, ___: dict[str, Any]
    ) -> None:
        """The same for a WebSocket, which is not accepted yet; its row's method is WEBSOCKET, or GET.

        Raises:
            Unauthenticated, NotAllowed, InvalidInput: as for any other request.
            NotFound: there is no such row.
        """
        template = req.uri_template or ""
        route = self._routes.get(("WEBSOCKET", template)) or self._routes.get(("GET", template))
        if route is None:
            raise NotFound(f"nothing is at {req.path}")
        read: Any = read_params(await self._guard.check(req, route), route.params)
        req.context.given = Given(route, read, None)

    async def process_shutdown(self, _: Mapping[str, Any], __: Mapping[str, Any]) -> None:
        """Leave nothing half written."""
        await self._guard.settled()
