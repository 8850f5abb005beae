"""uvicorn's protocols, which here cut off whoever is sent something without an end and does not take it.

A send waits until the other side has room. One who never has would keep its place among the viewers,
and what was made for it, until TCP gives up, which may be never.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from query_api.disconnect import IMPATIENT

STUCK_S: Final = 20.0
"""After so long without room for a single byte; less than the service's own grace when it stops."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP."""

    _stuck: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """There is no room."""
        super().pause_writing()
        if IMPATIENT in self.scope:
            self._stuck = self.loop.call_later(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        """There is again."""
        self._forget()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets; one that answers no ping is cut off too, instead of being said goodbye to for ever."""

    _stuck: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """There is no room."""
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        """There is again."""
        self._forget()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._forget()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """No answer to a ping."""
        super().keepalive_timeout()
        if self.transport.is_closing():
            self.transport.abort()

    def _forget(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
