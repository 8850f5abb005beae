"""Which streams can be watched, and how it is said that one cannot."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from core.errors import ClientError, Conflict, NotFound
from core.ids import StreamId
from core.log import mask
from query_api.ports import Collaborators
from query_api.refusals import Gone
from warehouse.control.rows import StreamRow

KNOWN_S = 5.0
MOST_KNOWN = 1000
_SHORT = re.compile(r"[0-9a-f]{16}")
_LONG = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Watchable:
    """Streams as those who watch them need them; one look at the database serves all for some seconds."""

    def __init__(self, parts: Collaborators, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._control = parts.control
        self._pool = parts.pool
        self._clock = clock
        self._known: OrderedDict[StreamId, tuple[float, StreamRow]] = OrderedDict()

    async def find(self, node: int, text: str, analytic: str | None = None) -> StreamRow:
        """The stream that the engine surface calls so, running or not.

        Args:
            text: its last 16 hex digits, or all of its id.
            analytic: which it must have.

        Raises:
            NotFound: no such stream on this node, or no such analytic of it.
        """
        missing = "stream not found" if analytic is None else "stream or analytic not found"
        try:
            row = await self._found(text)
        except NotFound as error:
            raise NotFound(missing) from error
        named = analytic is None or any(one.name == analytic for one in row.spec.analytics)
        if row.spec.task or row.spec.ephemeral or row.node_num != node or not named:
            raise NotFound(missing)
        return row

    async def stream(self, stream_id: StreamId) -> StreamRow:
        """A stream as it was a few seconds ago at most. Raises NotFound."""
        known = self._known.get(stream_id)
        if known is not None and self._clock() < known[0]:
            return known[1]
        return self._learnt(await self._pool.run(self._control.stream, stream_id))

    def forget(self, stream_id: StreamId) -> None:
        """Look at it anew when it is asked for next."""
        self._known.pop(stream_id, None)

    async def _found(self, text: str) -> StreamRow:
        if _SHORT.fullmatch(text):
            return self._learnt(await self._pool.run(self._control.stream_by_engine_id, text))
        if _LONG.fullmatch(text):
            return self._learnt(await self._pool.run(self._control.stream, StreamId(UUID(text))))
        raise NotFound("no stream is called so")

    def _learnt(self, row: StreamRow) -> StreamRow:
        self._known[row.stream_id] = (self._clock() + KNOWN_S, row)
        self._known.move_to_end(row.stream_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return row


def refusal_of(row: StreamRow) -> ClientError | None:
    """Why the stream gives no pictures and no events; None while it does, or may soon.

    A stopped stream may be resumed (Conflict); one that is over or has failed is Gone until it is defined anew.
    """
    state = row.current.state
    if row.spec.desired == "stop" or state == "stop":
        return Conflict("stream is stopped")
    if state == "done":
        return Gone("stream has ended")
    if state == "failure":
        return Gone(f"stream has failed: {mask(row.current.error)}" if row.current.error else "stream has failed")
    return None
