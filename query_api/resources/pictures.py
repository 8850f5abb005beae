"""Pictures of streams, and pages that show them: ``/mjpeg``, ``/stream_jpeg``, ``/visual``."""

from __future__ import annotations

import asyncio
from urllib.parse import quote
from uuid import UUID

import falcon.asgi

from core.clock import rfc3339
from core.errors import NotFound, TransientError
from core.ids import StreamId, engine_stream_id
from core.settings import Settings
from query_api import answers
from query_api.context import params_of
from query_api.disconnect import IMPATIENT, connection_of
from query_api.entrance import Entrance
from query_api.pool import Pool
from query_api.refusals import Busy
from query_api.routes.route import HTML, JPEG
from query_api.services.signing import Signing
from query_api.services.watchable import Watchable, refusal_of
from query_api.types.watching import JpegParams, MjpegParams, VisualParams, WatchToken
from query_api.watching.page import page_of, policy_of
from query_api.watching.parts import MEDIA, Parts
from query_api.watching.pictures import Picture, Wish
from query_api.watching.watch import Viewer
from query_api.watching.watches import Watches
from warehouse.control.rows import StreamRow

NEVER_KEPT = "no-store"


class MjpegResource:
    """``/mjpeg/{node_num}/{stream_id}[/{analytic_id}]``."""

    def __init__(self, settings: Settings, entrance: Entrance, watchable: Watchable, watches: Watches) -> None:
        self._entrance = entrance
        self._watchable = watchable
        self._watches = watches
        self._first_s = settings.query.first_picture_s

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str) -> None:
        """The pictures."""
        await self._answer(req, resp, node_num, stream_id, None)

    async def on_get_analytic(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """With what the analytic follows drawn into them."""
        await self._answer(req, resp, node_num, stream_id, analytic_id)

    async def _answer(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node: int, stream: str, analytic: str | None
    ) -> None:
        params = params_of(req, MjpegParams)
        row = await self._entrance.engine(req, params.token, node, stream, analytic)
        refuse_at_rest(row)
        wish = Wish(params.height, params.jpeg_quality, analytic)
        viewer = await self._watches.view(row, wish, params.fps)
        leaving = asyncio.ensure_future(connection_of(req).gone())
        leaving.add_done_callback(lambda _: viewer.close())
        try:
            first = await first_of(viewer, self._first_s)
        except BaseException:
            leaving.cancel()
            viewer.close()
            raise
        req.scope[IMPATIENT] = True
        resp.content_type = MEDIA
        resp.set_header("Cache-Control", NEVER_KEPT)
        resp.set_header("X-Accel-Buffering", "no")
        self._entrance.share(req, resp)
        resp.stream = Parts(viewer, first, lambda: self._still(row.stream_id), leaving)

    async def _still(self, stream_id: StreamId) -> bool:
        """Whether the stream can be watched; it can while that cannot be asked."""
        try:
            return refusal_of(await self._watchable.stream(stream_id)) is None
        except NotFound:
            return False
        except TransientError:
            return True


class StreamJpegResource:
    """``/stream_jpeg/{node_num}/{stream_id}``."""

    def __init__(self, settings: Settings, entrance: Entrance, watches: Watches) -> None:
        self._entrance = entrance
        self._watches = watches
        self._first_s = settings.query.first_picture_s

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str) -> None:
        """The newest picture."""
        row = await self._entrance.engine(req, params_of(req, JpegParams).token, node_num, stream_id)
        refuse_at_rest(row)
        viewer = await self._watches.view(row, Wish())
        try:
            picture = await first_of(viewer, self._first_s)
        finally:
            viewer.close()
        resp.content_type = JPEG
        resp.data = picture.jpeg
        resp.set_header("Cache-Control", NEVER_KEPT)
        resp.set_header("X-Timestamp", f"{picture.ts_ms / 1000:.3f}")
        self._entrance.share(req, resp)


class VisualResource:
    """``/visual/{node_num}/{stream_id}[/{analytic_id}]``."""

    def __init__(self, settings: Settings, entrance: Entrance) -> None:
        self._policy = policy_of(settings.query.frame_ancestors)
        self._entrance = entrance

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str) -> None:
        """The page."""
        await self._answer(req, resp, node_num, stream_id, None)

    async def on_get_analytic(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """With what the analytic follows drawn into its pictures."""
        await self._answer(req, resp, node_num, stream_id, analytic_id)

    async def _answer(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node: int, stream: str, analytic: str | None
    ) -> None:
        params = params_of(req, VisualParams)
        row = await self._entrance.engine(req, params.token, node, stream, analytic)
        refuse_at_rest(row)
        # relative, so that it is right behind any proxy
        up, tail = ("../../..", f"/{quote(analytic, safe='')}") if analytic is not None else ("../..", "")
        query = f"fps={params.fps}&height={params.height}&jpeg_quality={params.jpeg_quality}"
        resp.content_type = f"{HTML}; charset=utf-8"
        resp.text = page_of(row.spec.name, f"{up}/mjpeg/{node}/{quote(stream, safe='')}{tail}?{query}")
        resp.set_header("Content-Security-Policy", self._policy)
        resp.set_header("Cache-Control", NEVER_KEPT)
        resp.set_header("Referrer-Policy", "no-referrer")  # its own address may hold a token


class WatchTokenResource:
    """``/query/v1/streams/{stream_id}/watch-token``."""

    def __init__(self, settings: Settings, pool: Pool, watchable: Watchable, signing: Signing) -> None:
        self._settings = settings
        self._pool = pool
        self._watchable = watchable
        self._signing = signing

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, stream_id: UUID) -> None:
        """A token for this stream; whether it runs does not matter."""
        row = await self._watchable.stream(StreamId(stream_id))
        if row.spec.task or row.spec.ephemeral:
            raise NotFound(f"no stream {stream_id}; it is a task")
        signed = await self._pool.run(self._signing.sign, row.stream_id)
        base = answers.base_of(req, self._settings)
        where = f"{row.node_num}/{engine_stream_id(row.stream_id)}?token={signed.token}"
        resp.set_header("Cache-Control", NEVER_KEPT)
        answers.json(
            resp,
            WatchToken(
                token=signed.token,
                expires_at=rfc3339(signed.expires_s * 1000),
                mjpeg_url=f"{base}/mjpeg/{where}",
                page_url=f"{base}/visual/{where}",
            ),
        )


def refuse_at_rest(row: StreamRow) -> None:
    """Say so when a stream gives no pictures. Raises Conflict, Gone."""
    refusal = refusal_of(row)
    if refusal is not None:
        raise refusal


async def first_of(viewer: Viewer, timeout_s: float) -> Picture:
    """The first picture. Raises Busy when none comes."""
    picture = await viewer.next(timeout_s)
    if picture is None:
        raise Busy("stream has shown no picture yet")
    return picture
