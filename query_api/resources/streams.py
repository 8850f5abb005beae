"""Streams: ``/query/v1/streams``."""

from __future__ import annotations

from uuid import UUID

import falcon.asgi
import msgspec

from core.settings import Settings
from query_api import answers, tables
from query_api.context import body_of, params_of
from query_api.negotiate import choose
from query_api.paging import page_limit
from query_api.pool import Pool
from query_api.resources.analysis import asker_of
from query_api.routes.route import TABLES
from query_api.services.streams import Streams
from query_api.services.submissions import Submissions
from query_api.types.query import StreamRequest, StreamsPage, StreamsParams


class StreamsResource:
    """``/query/v1/streams``."""

    def __init__(self, settings: Settings, pool: Pool, submissions: Submissions, streams: Streams) -> None:
        self._settings = settings
        self._pool = pool
        self._submissions = submissions
        self._streams = streams

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Some streams."""
        media = choose(req, TABLES)
        params = params_of(req, StreamsParams)
        page, encoded = await self._pool.share(self._page, params, page_limit(params.limit, self._settings))
        await answers.page(resp, self._pool, page, tables.STREAMS, media, encoded=encoded)

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Watch a camera, a URL or a file."""
        asker = asker_of(req, self._settings)
        spec = await self._pool.run(self._submissions.stream, body_of(req, StreamRequest), asker)
        item = await self._pool.run(self._streams.create, spec)
        resp.set_header("Location", f"{asker.base}/query/v1/streams/{item.stream_id}")
        answers.json(resp, item, 201)

    def _page(self, params: StreamsParams, limit: int) -> tuple[StreamsPage, bytes]:
        """A page, and its JSON: once for all whom it is told. Blocking."""
        page = self._streams.page(params, limit)
        return page, msgspec.json.encode(page)


class StreamResource:
    """``/query/v1/streams/{stream_id}``."""

    def __init__(self, pool: Pool, streams: Streams) -> None:
        self._pool = pool
        self._streams = streams

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """A stream."""
        answers.json(resp, await self._pool.share(self._streams.get, stream_id))

    async def on_delete(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """Remove it and all that it left."""
        await self._pool.run(self._streams.delete, stream_id)
        resp.status = 204
