"""The engine surface's nodes."""

from __future__ import annotations

import falcon.asgi

from query_api import answers
from query_api.pool import Pool
from query_api.services.configuration import Configuration
from query_api.services.nodes import Nodes
from query_api.types.engine import Done


class NodeStatusResource:
    """``/node_status``."""

    def __init__(self, pool: Pool, nodes: Nodes) -> None:
        self._pool = pool
        self._nodes = nodes

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Every node."""
        answers.json(resp, await self._pool.run(self._nodes.status))


class ResourceStatsResource:
    """``/resource_stats``, ``/v2/resource_stats``."""

    def __init__(self, pool: Pool, nodes: Nodes) -> None:
        self._pool = pool
        self._nodes = nodes

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How busy the nodes are."""
        answers.json(resp, await self._pool.run(self._nodes.resources))

    async def on_get_v2(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How busy the nodes are, and where they are."""
        answers.json(resp, await self._pool.run(self._nodes.addressed_resources))


class RestartResource:
    """``/system/restart``."""

    def __init__(self, pool: Pool, configuration: Configuration) -> None:
        self._pool = pool
        self._configuration = configuration

    async def on_post(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Have all workers begin again."""
        await self._pool.run(self._configuration.restart)
        answers.json(resp, Done(200, "System restart initiated"))
