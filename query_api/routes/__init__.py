"""Every route, in one table: resources are registered from it, requests read by it, OpenAPI made of it."""

from __future__ import annotations

from query_api.routes import agent, engine, query, status, watching
from query_api.routes.route import Route, Surface

ROUTES: tuple[Route, ...] = (*status.ROUTES, *agent.ROUTES, *engine.ROUTES, *query.ROUTES, *watching.ROUTES)
_ENGINE = ("/smart-search/", "/mjpeg/", "/stream_jpeg/", "/visual/", "/event_channel/")


def surface_of(path: str) -> Surface:
    """The surface whose error shape answers for `path`, also where there is no route."""
    if path.startswith(("/1/", "/2/", "/docs/")) or path in {"/version", "/healthcheck"}:
        return Surface.AGENT
    if path in {"/", "/smart-search", "/event_channel"} or path.startswith(_ENGINE):
        return Surface.ENGINE
    return Surface.QUERY
