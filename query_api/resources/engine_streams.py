"""The engine surface's streams and pipelines."""

from __future__ import annotations

from typing import Any

import falcon.asgi

from core.settings import Settings
from query_api import answers
from query_api.context import body_of, request_id_of
from query_api.pool import Pool
from query_api.services.engine_streams import NodeStreams
from query_api.services.pipelines import Pipelines
from query_api.services.submissions import Asker
from query_api.types.engine import EngineStreamChange, EngineStreamRequest


class EngineStreamsResource:
    """``/streams``."""

    def __init__(self, pool: Pool, streams: NodeStreams) -> None:
        self._pool = pool
        self._streams = streams

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Every stream."""
        answers.json(resp, await self._pool.share(self._streams.all))


class NodeStreamsResource:
    """``/streams/{node_num}``."""

    def __init__(self, settings: Settings, pool: Pool, streams: NodeStreams) -> None:
        self._settings = settings
        self._pool = pool
        self._streams = streams

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int) -> None:
        """The streams of a node."""
        answers.json(resp, await self._pool.share(self._streams.all, node_num))

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int) -> None:
        """A new stream."""
        request, asker = body_of(req, EngineStreamRequest), asker_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._streams.create, node_num, request, asker))


class NodeStreamResource:
    """``/streams/{node_num}/{stream_id}``."""

    def __init__(self, settings: Settings, pool: Pool, streams: NodeStreams) -> None:
        self._settings = settings
        self._pool = pool
        self._streams = streams

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str) -> None:
        """A stream."""
        answers.json(resp, await self._pool.run(self._streams.get, node_num, stream_id))

    async def on_put(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str) -> None:
        """Change what is given."""
        change, asker = body_of(req, EngineStreamChange), asker_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._streams.change, node_num, stream_id, change, asker))

    async def on_delete(
        self, _: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str
    ) -> None:
        """Remove it and all that it left."""
        answers.json(resp, await self._pool.run(self._streams.delete, node_num, stream_id))


class PipelineResource:
    """``/pipeline/{node_num}/{stream_id}/{analytic_id}``."""

    def __init__(self, pool: Pool, pipelines: Pipelines) -> None:
        self._pool = pool
        self._pipelines = pipelines

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """Run an analytic on a stream."""
        configuration: dict[str, Any] = body_of(req, dict)
        made = await self._pool.run(self._pipelines.attach, node_num, stream_id, analytic_id, configuration)
        answers.json(resp, made)

    async def on_delete(
        self, _: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """Run it no longer."""
        answers.json(resp, await self._pool.run(self._pipelines.remove, node_num, stream_id, analytic_id))


def asker_of(req: falcon.asgi.Request, settings: Settings) -> Asker:
    """Who asks: on this surface always the default account."""
    return Asker(answers.base_of(req, settings), request_id_of(req))
