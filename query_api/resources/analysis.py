"""Video analysis and smart search: the agent's and the engine's part."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import falcon.asgi

from core.ids import TaskId
from core.settings import Settings
from query_api import answers
from query_api.context import body_of, request_id_of
from query_api.disconnect import connection_of
from query_api.pool import Pool
from query_api.services.immediate import Immediate
from query_api.services.results import immediate_answer
from query_api.services.search import SmartSearch
from query_api.services.submissions import Asker, Submissions
from query_api.services.tasks import Tasks, task_url
from query_api.types.agent import DeferredAnswer, VideoSdkRequest
from query_api.types.engine import SmartSearchAnswer, SmartSearchRequest

_ACCOUNT = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}")


def asker_of(req: falcon.asgi.Request, settings: Settings) -> Asker:
    """Who asks; an account's id that is none is passed over."""
    account = req.get_header("Luna-Account-Id") or ""
    known = account if _ACCOUNT.fullmatch(account) else ""
    return Asker(answers.base_of(req, settings), request_id_of(req), known)


class VideosdkResource:
    """``POST /1/videosdk``."""

    def __init__(
        self, settings: Settings, pool: Pool, submissions: Submissions, tasks: Tasks, immediate: Immediate
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._submissions = submissions
        self._tasks = tasks
        self._immediate = immediate

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Analyse a video, now or in the background."""
        request = body_of(req, VideoSdkRequest)
        asker = asker_of(req, self._settings)
        spec = await self._pool.run(self._submissions.task, request, asker)
        if request.deferred_task.enable:
            told = await self._pool.run(self._submissions.told, request, asker)
            task_id = await self._pool.run(self._tasks.submit, spec, told)
            url = task_url(task_id, asker.base)
            resp.set_header("Location", url)
            answers.json(resp, DeferredAnswer(str(task_id), url), 202)
            return
        found = await self._immediate.analyse(spec, connection_of(req).gone)
        if found is not None:
            answers.json(resp, await asyncio.to_thread(immediate_answer, found))


class VideoTaskResource:
    """``/1/video/tasks/{task_id}``."""

    def __init__(self, settings: Settings, pool: Pool, tasks: Tasks) -> None:
        self._settings = settings
        self._pool = pool
        self._tasks = tasks

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, task_id: UUID) -> None:
        """How far a task is."""
        base = answers.base_of(req, self._settings)
        answers.json(resp, await self._pool.run(self._tasks.agent, TaskId(task_id), base))


class SmartSearchResource:
    """``POST /smart-search``."""

    def __init__(self, search: SmartSearch) -> None:
        self._search = search

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Pictures that are like this one."""
        hits = await self._search.search(body_of(req, SmartSearchRequest))
        answers.json(resp, SmartSearchAnswer(200, "success", hits))
