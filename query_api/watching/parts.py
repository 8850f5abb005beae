"""The body of an MJPEG answer: picture after picture, without an end of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from core import metrics
from query_api.watching.pictures import Picture
from query_api.watching.watch import Viewer

BOUNDARY: Final = "frame"
MEDIA: Final = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
BEGIN: Final = f"--{BOUNDARY}\r\n".encode()
IDLE_S = 5.0
"""After so long without a new picture the last one is sent again, for proxies and players that give up on silence."""


def part(picture: Picture) -> bytes:
    """One picture; the boundary stands after it, because browsers show a picture when they see where it ends."""
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Timestamp: {picture.ts_ms / 1000:.3f}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + b"\r\n" + BEGIN


class Parts:
    """Pictures of one viewer until it leaves, or the stream is no longer there to be watched.

    Args:
        first: sent at once.
        still: whether the stream can still be watched; asked when nothing new comes.
        leaving: ends when the asker has gone.
    """

    def __init__(
        self, viewer: Viewer, first: Picture, still: Callable[[], Awaitable[bool]], leaving: asyncio.Future[None]
    ) -> None:
        self._viewer = viewer
        self._last = first
        self._still = still
        self._leaving = leaving
        self._begun = False

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return BEGIN + self._sent("sent")
        picture = await self._viewer.next(IDLE_S)
        if picture is not None:
            self._last = picture
            return self._sent("sent")
        if self._viewer.closed or not await self._still():
            raise StopAsyncIteration
        return self._sent("repeated")

    async def close(self) -> None:
        """Called when the answer ends, however it does."""
        self._leaving.cancel()
        self._viewer.close()

    def _sent(self, outcome: str) -> bytes:
        metrics.counter("sightline_viewed_pictures_total").labels(outcome).inc()
        return part(self._last)
