"""A WebSocket on which only we speak: opening it, telling all that comes, and closing it so that it can be read why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import falcon
from falcon.asgi import WebSocket

from core import log, metrics
from query_api.watching.channel import Subscription
from query_api.watching.closing import FAILED, LATER, TOO_SLOW, Closing, closing_of

logger = log.get(__name__)
CLOSE_S = 5.0
"""For a close frame to be taken; who does not is cut off by the protocol (`query_api.protocols`)."""

GONE = (OSError, falcon.OperationNotAllowed)
"""What using a socket raises when its other side has left: `falcon.WebSocketDisconnected` is an OSError."""


async def refuse(ws: WebSocket, error: BaseException, path: str) -> None:
    """Close a socket because of `error`, opened first if need be: the code of one that never was cannot be read."""
    if isinstance(error, OSError):
        return
    closing = closing_of(error)
    if closing.code == FAILED:
        logger.error("socket_failed", path=path, exc_info=error)
    with suppress(*GONE):
        if ws.unaccepted:
            await ws.accept()
        await close(ws, closing)


async def close(ws: WebSocket, closing: Closing) -> None:
    """Close it; one whose other side takes nothing is left to the protocol."""
    metrics.counter("sightline_sockets_closed_total").labels(str(closing.code)).inc()
    with suppress(TimeoutError, *GONE):
        async with asyncio.timeout(CLOSE_S):
            await ws.close(closing.code, closing.reason)


class Messages:
    """What a socket is told.

    Args:
        texts: message and offset of each, in order; ends by raising why the socket is to be closed.
        surface: for the metrics.
    """

    def __init__(self, texts: AsyncGenerator[tuple[str, str], None], subscription: Subscription, surface: str) -> None:
        self._texts = texts
        self._subscription = subscription
        self._sent = metrics.counter("sightline_socket_messages_total").labels(surface)
        self._offset = ""

    async def tell(self, ws: WebSocket) -> None:
        """Send every message; returns when the other side has left.

        Raises:
            Closing: it takes messages more slowly than they come.
            Exception: whatever ended the messages.
        """
        sending = asyncio.create_task(self._send(ws))
        leaving = asyncio.create_task(_left(ws))
        flooding = asyncio.create_task(self._subscription.overflowed.wait())
        waiting: set[asyncio.Task[Any]] = {sending, leaving, flooding}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            if flooding.done():
                resume = f"; go on with from={self._offset}" if self._offset else ""
                raise Closing(TOO_SLOW, f"messages come faster than they are taken{resume}")
            with suppress(*GONE):
                await sending
        finally:
            left = waiting
            while left:  # a task whose wait ends at the very moment of a cancellation does not hear of it
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=1.0)
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _send(self, ws: WebSocket) -> None:
        async with aclosing(self._texts) as texts:
            async for text, offset in texts:
                await ws.send_text(text)
                self._offset = offset or self._offset
                self._sent.inc()


async def _left(ws: WebSocket) -> None:
    """Until the other side leaves; what it says is not listened to."""
    while True:
        try:
            await ws.receive_text()
        except falcon.PayloadTypeError:
            continue
        except falcon.WebSocketDisconnected:
            return


class Seats:
    """Room for sockets, in one worker.

    Args:
        most: sockets open at once, of all surfaces.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def one(self, surface: str) -> Iterator[None]:
        """A seat while the block runs. Raises Closing when there is none."""
        if self._taken >= self._most:
            raise Closing(LATER, f"{self._most} sockets are open already, which are the most")
        self._taken += 1
        metrics.gauge("sightline_sockets").labels(surface).inc()
        try:
            yield
        finally:
            self._taken -= 1
            metrics.gauge("sightline_sockets").labels(surface).dec()
