"""Ledgers: ``/query/v1/ledger``."""

from __future__ import annotations

from uuid import UUID

import falcon.asgi

from core.settings import Settings
from query_api import answers, tables
from query_api.context import params_of
from query_api.negotiate import choose
from query_api.paging import page_limit
from query_api.pool import Pool
from query_api.routes.route import TABLES
from query_api.services.ledgers import Ledgers
from query_api.types.query import LedgerFramesParams, LedgerParams


class LedgersResource:
    """``/query/v1/ledger``."""

    def __init__(self, settings: Settings, pool: Pool, ledgers: Ledgers) -> None:
        self._settings = settings
        self._pool = pool
        self._ledgers = ledgers

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Where every frame of every run went, or is."""
        media = choose(req, TABLES)
        params = params_of(req, LedgerParams)
        page = await self._pool.run(self._ledgers.page, params, page_limit(params.limit, self._settings))
        await answers.page(resp, self._pool, page, tables.LEDGER, media)


class LedgerResource:
    """``/query/v1/ledger/{stream_id}``."""

    def __init__(self, settings: Settings, pool: Pool, ledgers: Ledgers) -> None:
        self._settings = settings
        self._pool = pool
        self._ledgers = ledgers

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """One run's ledger, with each frame in flight."""
        params = params_of(req, LedgerFramesParams)
        limit = page_limit(params.limit, self._settings)
        answers.json(resp, await self._pool.run(self._ledgers.frames, stream_id, params, limit))
