"""The engine surface's configuration of platform and database, and its check-in."""

from __future__ import annotations

import falcon.asgi

from query_api import answers
from query_api.context import body_of
from query_api.pool import Pool
from query_api.services.configuration import Configuration
from query_api.types.engine import (
    CheckinAnswer,
    CheckinRequest,
    DatabaseAnswer,
    DatabaseChange,
    Done,
    PlatformAnswer,
    PlatformChange,
)

SUCCESS = "success"


class PlatformResource:
    """``/config/platform``."""

    def __init__(self, pool: Pool, configuration: Configuration) -> None:
        self._pool = pool
        self._configuration = configuration

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """As it holds."""
        answers.json(resp, PlatformAnswer(200, SUCCESS, await self._pool.run(self._configuration.platform)))

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Change what is given."""
        change = body_of(req, PlatformChange)
        changed = await self._pool.run(self._configuration.change_platform, change)
        answers.json(resp, PlatformAnswer(200, SUCCESS, changed))


class DatabaseResource:
    """``/database/stats``, ``/config/database``."""

    def __init__(self, pool: Pool, configuration: Configuration) -> None:
        self._pool = pool
        self._configuration = configuration

    async def on_get_stats(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How full it is."""
        answers.json(resp, await self._pool.run(self._configuration.database_stats))

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """What is kept."""
        answers.json(resp, DatabaseAnswer(200, SUCCESS, await self._pool.run(self._configuration.database)))

    async def on_put(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Change what is given."""
        change = body_of(req, DatabaseChange)
        changed = await self._pool.run(self._configuration.change_database, change)
        answers.json(resp, DatabaseAnswer(200, SUCCESS, changed))


class CheckinResource:
    """``/config/checkin``."""

    def __init__(self, pool: Pool, configuration: Configuration) -> None:
        self._pool = pool
        self._configuration = configuration

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """How it stands."""
        answers.json(resp, CheckinAnswer(200, SUCCESS, await self._pool.run(self._configuration.checkin)))

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Check in with a key pair."""
        given = body_of(req, CheckinRequest)
        status = await self._pool.run(self._configuration.check_in, given.access_key, given.secret_key)
        answers.json(resp, CheckinAnswer(200, "checkin successful", status))

    async def on_delete(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Forget it."""
        await self._pool.run(self._configuration.clear_checkin)
        answers.json(resp, Done(200, "checkin credentials cleared"))
