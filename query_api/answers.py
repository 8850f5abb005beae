"""Writing answers: JSON, tables, files."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Iterator
from typing import Any

import falcon
import falcon.asgi
import msgspec

from core.settings import Settings
from query_api import tables
from query_api.negotiate import Piece, piece_of, unchanged
from query_api.pool import Pool
from query_api.routes.route import JSON
from query_api.types.query import LedgerPage, StreamsPage
from warehouse.media import MediaStore


def json(resp: falcon.asgi.Response, body: Any, status: int = 200, media: str = JSON) -> None:
    """Answer with JSON."""
    resp.status = status
    resp.content_type = media
    resp.data = msgspec.json.encode(body)


async def table(resp: falcon.asgi.Response, pool: Pool, pieces: Iterator[bytes], media: str) -> None:
    """Answer with a stream of bytes; what fails before the first of them is still an error."""
    stream = pool.iterate(pieces)
    first = await anext(stream, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in stream:
            yield piece

    resp.content_type = media
    resp.stream = whole()


async def page(
    resp: falcon.asgi.Response,
    pool: Pool,
    found: StreamsPage | LedgerPage,
    schema: Any,
    media: str,
    *,
    encoded: bytes | None = None,
) -> None:
    """Answer with a page as JSON, or with its items as a table whose next cursor is in a header.

    Args:
        encoded: the page as JSON, where that has been made already.
    """
    resp.set_header("Vary", "Accept")
    if media == JSON:
        json(resp, found if encoded is None else msgspec.Raw(encoded))
        return
    if found.next_cursor is not None:
        resp.set_header("Next-Cursor", found.next_cursor)
    await table(resp, pool, tables.encode(tables.from_items(found.items, schema), schema, media), media)


async def file(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, pool: Pool, media: MediaStore, *, key: str, etag: str
) -> None:
    """Answer with bytes of the media store, a range of them if asked. Raises NotFound, RangeUnsatisfiable."""
    size = await pool.run(media.size, key)
    resp.set_header("ETag", etag)
    resp.set_header("Accept-Ranges", "bytes")
    resp.set_header("Cache-Control", "private, no-cache")
    if unchanged(req, etag):
        resp.status = 304
        return
    piece: Piece = piece_of(req.get_header("Range"), size)
    resp.status = 206 if piece.partial else 200
    if piece.partial:
        resp.set_header("Content-Range", piece.content_range)
    resp.content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    resp.content_length = piece.end - piece.start
    pieces = await pool.run(media.open_range, key, piece.start, piece.end)
    resp.stream = pool.iterate(pieces)


def base_of(req: falcon.asgi.Request, settings: Settings) -> str:
    """Scheme and authority for the URLs in answers."""
    return settings.query.public_url.rstrip("/") or f"{req.scheme}://{req.netloc}"
