"""Uploads: ``/query/v1/videos``."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from uuid import UUID

import falcon
import falcon.asgi

from core.errors import Conflict, InvalidInput
from core.settings import Settings
from query_api import answers
from query_api.context import params_of
from query_api.disconnect import connection_of
from query_api.pool import Pool
from query_api.routes.route import FORM
from query_api.services.uploads import Received, Uploads
from query_api.types.query import AppendParams, UploadParams, VideoItem
from warehouse.control.rows import UploadRow
from warehouse.media import MediaStore

MAX_BYTES = 2**53


class VideosResource:
    """``POST /query/v1/videos``."""

    def __init__(self, settings: Settings, uploads: Uploads) -> None:
        self._settings = settings
        self._uploads = uploads

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Receive a video, whole or its beginning."""
        params = params_of(req, UploadParams)
        size = _number(req, "Upload-Length") if req.get_header("Upload-Length") else params.size
        partial = params.partial or _more_comes(req)
        if (req.content_type or "").lower().startswith(FORM):
            received = await self._from_form(req, params)
        else:
            received = await self._uploads.create(
                params.name or "video", _body(req), size=size, expected=req.content_length, partial=partial
            )
        item = _item(received, answers.base_of(req, self._settings))
        _place(resp, received.row)
        resp.set_header("Location", item.url)
        answers.json(resp, item, 201)

    async def _from_form(self, req: falcon.asgi.Request, params: UploadParams) -> Received:
        """The first part that is a file."""
        form = await req.get_media()
        async for part in form:
            if part.filename or part.name == "file":
                name = params.name or (part.filename or "video")[:255]
                return await self._uploads.create(
                    name, _chunks(req, part.stream), size=None, expected=None, partial=False
                )
        raise InvalidInput("the form has no part with a file", "file")


class VideoResource:
    """``/query/v1/videos/{video_id}``."""

    def __init__(self, settings: Settings, pool: Pool, uploads: Uploads, media: MediaStore) -> None:
        self._settings = settings
        self._pool = pool
        self._uploads = uploads
        self._media = media

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, video_id: UUID) -> None:
        """The video's bytes."""
        row = await self._pool.run(self._uploads.row, video_id)
        if row.media_key is None:
            raise Conflict(f"the upload is not whole: {row.received} bytes were received")
        await answers.file(req, resp, self._pool, self._media, key=row.media_key, etag=f'"{row.upload_id}"')

    async def on_head(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, video_id: UUID) -> None:
        """How much was received."""
        row = await self._pool.run(self._uploads.row, video_id)
        _place(resp, row)
        resp.set_header("Cache-Control", "no-store")

    async def on_patch(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, video_id: UUID) -> None:
        """Receive the next bytes."""
        partial = params_of(req, AppendParams).partial or _more_comes(req)
        offset = _number(req, "Upload-Offset")
        received = await self._uploads.append(
            video_id, offset, _body(req), expected=req.content_length, partial=partial
        )
        _place(resp, received.row)
        answers.json(resp, _item(received, answers.base_of(req, self._settings)))

    async def on_delete(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, video_id: UUID) -> None:
        """Remove it."""
        await self._pool.run(self._uploads.delete, video_id)
        resp.status = 204


def _item(received: Received, base: str) -> VideoItem:
    row = received.row
    url = f"{base}/query/v1/videos/{row.upload_id}"
    return VideoItem(row.upload_id, url, row.name, row.received, row.state == "complete", received.sha256)


def _place(resp: falcon.asgi.Response, row: UploadRow) -> None:
    resp.set_header("Upload-Offset", str(row.received))
    resp.set_header("Upload-Complete", "?1" if row.state == "complete" else "?0")
    size = row.received if row.state == "complete" else row.size
    if size is not None:
        resp.set_header("Upload-Length", str(size))


def _number(req: falcon.asgi.Request, name: str) -> int:
    text = req.get_header(name) or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MAX_BYTES):
        raise InvalidInput("a whole number of bytes is required", name)
    return int(text)


def _more_comes(req: falcon.asgi.Request) -> bool:
    return (req.get_header("Upload-Complete") or "").strip() == "?0"


def _body(req: falcon.asgi.Request) -> AsyncIterator[bytes]:
    return _chunks(req, req.stream)


async def _chunks(req: falcon.asgi.Request, stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The bytes as they come. Raises InvalidInput when the sender goes away in between."""
    async for chunk in stream:
        yield chunk
    if connection_of(req).closed:
        raise InvalidInput("the connection was closed before the body's end")
