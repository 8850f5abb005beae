"""The engine surface's registry of analytics."""

from __future__ import annotations

import falcon.asgi

from query_api import answers
from query_api.pool import Pool
from query_api.services.registry import Registry


class AnalyticListResource:
    """``/analytic_list``."""

    def __init__(self, pool: Pool, registry: Registry) -> None:
        self._pool = pool
        self._registry = registry

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Every analytic."""
        answers.json(resp, await self._pool.run(self._registry.all))


class AnalyticResource:
    """``/config/pipeline/{analytic_id}``, ``/rules/pipeline/{analytic_id}``, ``/config/preset/{analytic_id}``."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def on_get_schema(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, analytic_id: str) -> None:
        """JSON Schema of its configuration."""
        answers.json(resp, self._registry.schema(analytic_id))

    async def on_get_schema_v2(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, analytic_id: str) -> None:
        """JSON Schema of its configuration with its parts, which stand in it."""
        answers.json(resp, self._registry.schema(analytic_id))

    async def on_get_rules(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, analytic_id: str) -> None:
        """What its configuration decides by."""
        answers.json(resp, self._registry.rules(analytic_id))

    async def on_get_presets(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, analytic_id: str) -> None:
        """Configurations to begin with."""
        answers.json(resp, self._registry.presets(analytic_id))
