"""Events, tracks, detections and statistics under ``/query/v1``; pictures too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import falcon.asgi

from core.errors import InvalidInput, NotFound
from core.settings import Settings
from query_api import answers, tables
from query_api.context import params_of
from query_api.negotiate import choose
from query_api.paging import page_limit
from query_api.ports import Collaborators
from query_api.routes.route import JSON, TABLES
from query_api.services.findings import detection_item, event_item, filter_of, statistics_item, track_item
from query_api.services.uploads import FOLDER
from query_api.types import query
from warehouse.filters import Table
from warehouse.page import Page

Lists = Callable[..., Page[Any]]


class RowsResource:
    """Lists out of the analytics store."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._settings = settings
        self._parts = parts

    async def on_get_events(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Events."""
        params = params_of(req, query.EventsParams)
        page = await self._list(req, resp, "events", params, self._parts.analytics.events)
        if page is not None:
            answers.json(resp, query.EventsPage([event_item(row) for row in page.items], page.next_cursor))

    async def on_get_tracks(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Tracks."""
        params = params_of(req, query.TracksParams)
        page = await self._list(req, resp, "tracks", params, self._parts.analytics.tracks)
        if page is not None:
            answers.json(resp, query.TracksPage([track_item(row) for row in page.items], page.next_cursor))

    async def on_get_detections(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Detections."""
        params = params_of(req, query.DetectionsParams)
        page = await self._list(req, resp, "detections", params, self._parts.analytics.detections)
        if page is not None:
            answers.json(resp, query.DetectionsPage([detection_item(row) for row in page.items], page.next_cursor))

    async def on_get_statistics(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Counts."""
        media = choose(req, TABLES)
        params = params_of(req, query.StatisticsParams)
        rows = await self._parts.pool.run(
            self._parts.analytics.statistics,
            filter_of(params),
            metric=params.metric,
            bucket=params.bucket,
            group_by=tuple(dict.fromkeys(params.group_by)),
        )
        items = [statistics_item(row) for row in rows]
        if media == JSON:
            answers.json(resp, query.StatisticsAnswer(params.metric, items))
            return
        batches = tables.from_items(items, tables.STATISTICS)
        await answers.table(resp, self._parts.pool, tables.encode(batches, tables.STATISTICS, media), media)

    async def _list(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        name: Table,
        params: query.EventsParams | query.DetectionsParams,
        lists: Lists,
    ) -> Page[Any] | None:
        """A page for JSON; None when the answer was made as a table."""
        media = choose(req, TABLES)
        resp.set_header("Vary", "Accept")
        chosen = filter_of(params)
        chosen.check_applies(name)
        if media == JSON:
            limit = page_limit(params.limit, self._settings)
            return await self._parts.pool.run(
                lists, chosen, limit=limit, cursor=params.cursor, descending=params.order == "desc"
            )
        if params.cursor is not None or params.order == "desc":
            raise InvalidInput("a table is given whole and in order; cursors and order are for JSON", "cursor")
        pieces = await self._parts.pool.run(self._pieces, name, chosen, params.limit, media)
        await answers.table(resp, self._parts.pool, pieces, media)
        return None

    def _pieces(self, name: Table, chosen: Any, limit: int | None, media: str) -> Iterator[bytes]:
        batches = iter(self._parts.analytics.export(name, chosen))
        first = next(batches, None)
        if first is None:
            raise NotFound("the store gave no table")

        def whole() -> Iterator[Any]:
            yield first
            yield from batches

        return tables.encode(tables.first_rows(whole(), limit), first.schema, media)


class MediaResource:
    """``/query/v1/media/{key}``."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, key: str) -> None:
        """A picture. Uploads have an address of their own."""
        if key.split("/", maxsplit=1)[0] == FOLDER:
            raise NotFound(f"no media {key}")
        try:
            await answers.file(req, resp, self._parts.pool, self._parts.media, key=key, etag=f'"{key}"')
        except InvalidInput as error:
            if error.field == "key":
                raise NotFound("no such media") from error
            raise
