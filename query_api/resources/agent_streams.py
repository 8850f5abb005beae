"""Streams of the agent surface: ``/2/streams`` and their logs."""

from __future__ import annotations

from uuid import UUID

import falcon.asgi

from core.errors import InvalidInput
from core.settings import Settings
from query_api import answers
from query_api.context import body_of, params_of
from query_api.pool import Pool
from query_api.resources.analysis import asker_of
from query_api.routes.route import ACCOUNT
from query_api.services.agent_streams import AgentStreams
from query_api.services.stream_requests import StreamRequests
from query_api.services.submissions import Asker
from query_api.types.agent_streams import (
    AccountParams,
    AgentStreamList,
    ClearLogsParams,
    CreateStream,
    LogListParams,
    LogsDeleted,
    Patched,
    PatchParams,
    StreamCreated,
    StreamListParams,
    StreamLogList,
    StreamParams,
)


def owner_of(req: falcon.asgi.Request, settings: Settings) -> Asker:
    """Who asks, and for which account. Raises InvalidInput when that is not said."""
    asker = asker_of(req, settings)
    if not asker.account_id:
        raise InvalidInput("it is required: the id of the account that owns the stream, a lower-case uuid", ACCOUNT)
    return asker


class AgentStreamsResource:
    """``/2/streams``."""

    def __init__(self, settings: Settings, pool: Pool, requests: StreamRequests, streams: AgentStreams) -> None:
        self._settings = settings
        self._pool = pool
        self._requests = requests
        self._streams = streams

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Some streams."""
        answers.json(
            resp, AgentStreamList(await self._pool.share(self._streams.page, params_of(req, StreamListParams)))
        )

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Watch a camera, a URL or a file."""
        asker = owner_of(req, self._settings)
        spec, profile = await self._pool.run(self._requests.watched, body_of(req, CreateStream), asker)
        stream_id = await self._pool.run(self._streams.create, spec, profile)
        url = f"/2/streams/{stream_id}"
        resp.set_header("Location", f"{asker.base}{url}")
        answers.json(resp, StreamCreated(stream_id, url), 201)


class AgentStreamResource:
    """``/2/streams/{stream_id}``."""

    def __init__(self, pool: Pool, streams: AgentStreams) -> None:
        self._pool = pool
        self._streams = streams

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """A stream."""
        answers.json(resp, await self._pool.run(self._streams.get, stream_id, params_of(req, StreamParams)))

    async def on_delete(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """Remove it and all that it left."""
        await self._pool.run(self._streams.delete, stream_id, params_of(req, AccountParams).account_id)
        resp.status = 204

    async def on_patch(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """Stop it, or resume it."""
        action = params_of(req, PatchParams).action
        answers.json(resp, Patched(await self._pool.run(self._streams.patch, stream_id, action)))


class StreamLogsResource:
    """``/2/streams/logs``."""

    def __init__(self, pool: Pool, streams: AgentStreams) -> None:
        self._pool = pool
        self._streams = streams

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Some entries."""
        answers.json(resp, StreamLogList(await self._pool.run(self._streams.logs, params_of(req, LogListParams))))

    async def on_delete(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Remove old entries."""
        before = params_of(req, ClearLogsParams).log_time__lt
        answers.json(resp, LogsDeleted(await self._pool.run(self._streams.clear_logs, before)))
