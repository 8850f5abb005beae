"""Every route, in one table: resources are registered from it, requests read by it, OpenAPI made of it."""

from __future__ import annotations

from query_api.routes import agent, engine, query, status, watching
from query_api.routes.route import Route, Surface

ROUTES: tuple[Route, ...] = (*status.ROUTES, *agent.ROUTES, *engine.ROUTES, *query.ROUTES, *watching.ROUTES)


ENGINE = frozenset(
    {
        "",
        "analytic_list",
        "config",
        "database",
        "event_channel",
        "extract",
        "mjpeg",
        "node_status",
        "pipeline",
        "resource_stats",
        "rules",
        "smart-search",
        "stream_jpeg",
        "streams",
        "v2",
        "visual",
    }
)
"""First parts of the engine surface's paths."""


def surface_of(path: str) -> Surface:
    """The surface whose error shape answers for `path`, also where there is no route."""
    if path.startswith(("/1/", "/2/", "/docs/")) or path in {"/version", "/healthcheck"}:
        return Surface.AGENT
    if path.strip("/").split("/", maxsplit=1)[0] in ENGINE or path == "/system/restart":
        return Surface.ENGINE
    return Surface.QUERY
