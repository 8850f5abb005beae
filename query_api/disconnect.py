"""Knowing that the asker has gone, while the answer is still being made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import falcon.asgi

KEY = "sightline.connection"
IMPATIENT: Final = "sightline.impatient"
"""In the scope of a request whose answer has no end: who does not take it is cut off (`query_api.protocols`)."""
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Connection:
    """One request's connection: passes events on, and remembers that it was closed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.closed = False

    async def receive(self) -> dict[str, Any]:
        """The next event of the server."""
        event = await self._receive()
        self.closed = self.closed or event["type"] == "http.disconnect"
        return event

    async def gone(self) -> None:
        """Returns when the asker has gone; call it once the body was read."""
        while not self.closed:
            await self.receive()


class Application(falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]):
    """Falcon's application, whose requests carry their connection."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Any) -> None:  # type: ignore[override]
        """Answer one request, or live through the server's lifespan."""
        if scope["type"] == "http":
            connection = Connection(receive)
            scope[KEY] = connection
            receive = connection.receive
        await super().__call__(scope, receive, send)


def connection_of(req: falcon.asgi.Request) -> Connection:
    """The request's connection."""
    found = req.scope[KEY]
    assert isinstance(found, Connection)
    return found
