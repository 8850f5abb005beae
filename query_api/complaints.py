"""Requests that were refused for who sent them: each is counted, and of each reason one in a while is logged."""

from __future__ import annotations

import time
from collections.abc import Callable

import falcon.asgi

from core import log, metrics

logger = log.get(__name__)
EVERY_S = 10.0
MOST_LETTERS = 200


class Complaints:
    """Counts every refusal; a program that asks on and on with a wrong token fills no log.

    Args:
        clock: seconds, only ever growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def add(self, reason: str, req: falcon.asgi.Request, says: str) -> None:
        """A request was refused for this reason. Neither its query nor any of its headers is logged.

        Args:
            says: what the client is told; never the secret that it sent.
        """
        metrics.counter("sightline_http_refused_total").labels(reason).inc()
        self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
        now = self._clock()
        if now < self._silent_until.get(reason, now):
            return
        self._silent_until[reason] = now + EVERY_S
        logger.warning(
            "refused",
            reason=reason,
            count=self._unsaid.pop(reason),
            error=says,
            method=req.method,
            path=req.path[:MOST_LETTERS],
            client=_peer(req),
        )


def _peer(req: falcon.asgi.Request) -> str:
    """The address that is connected, as the server says it; what the request says of itself is not asked."""
    client = req.scope.get("client")
    return str(client[0]) if isinstance(client, (tuple, list)) and client else ""
