"""Tasks: ``/query/v1/tasks``."""

from __future__ import annotations

from uuid import UUID

import falcon.asgi

from core.ids import TaskId
from core.settings import Settings
from query_api import answers
from query_api.context import params_of
from query_api.paging import page_limit
from query_api.pool import Pool
from query_api.services.tasks import Tasks
from query_api.types.query import TasksParams


class TasksResource:
    """``GET /query/v1/tasks``."""

    def __init__(self, settings: Settings, pool: Pool, tasks: Tasks) -> None:
        self._settings = settings
        self._pool = pool
        self._tasks = tasks

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Some tasks, the newest first."""
        params = params_of(req, TasksParams)
        limit = page_limit(params.limit, self._settings)
        base = answers.base_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._tasks.page, params.names, limit, params.cursor, base))


class TaskResource:
    """``/query/v1/tasks/{task_id}``, its ``/cancel`` and ``/result``."""

    def __init__(self, settings: Settings, pool: Pool, tasks: Tasks) -> None:
        self._settings = settings
        self._pool = pool
        self._tasks = tasks

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, task_id: UUID) -> None:
        """A task."""
        base = answers.base_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._tasks.detail, TaskId(task_id), base))

    async def on_delete(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, task_id: UUID) -> None:
        """Remove it and all that it left."""
        await self._pool.run(self._tasks.delete, TaskId(task_id))
        resp.status = 204

    async def on_post_cancel(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, task_id: UUID) -> None:
        """Stop it."""
        base = answers.base_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._tasks.cancel, TaskId(task_id), base), 202)

    async def on_get_result(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, task_id: UUID) -> None:
        """What it found."""
        answers.json(resp, await self._pool.run(self._tasks.result, TaskId(task_id)))
