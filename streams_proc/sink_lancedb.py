"""sink-lancedb: embeddings of tracks' views into the vector store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Protocol

from core import log
from core.errors import TransientError
from core.messages import FrameTracks, View
from streams_proc.sink import Message, Rows, count_rows
from streams_proc.stage import Poison

NAME = "sink-lancedb"
MAINTAIN_S = 60.0
_log = log.get(__name__)


class Embeddings(Protocol):
    """The part of `warehouse.embeddings.EmbeddingStore` that is written to. Blocking."""

    def open(self) -> object:
        """Load what takes seconds to load."""
        ...

    def write(self, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        """Views and their vectors."""
        ...

    def maintain(self) -> None:
        """Index, compact, forget old versions."""
        ...


class LanceDbStore:
    """Writes views that carry a vector, and keeps the tables in order between batches."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._lock = threading.Lock()
        self._written = False

    def write(self, messages: Sequence[tuple[int, Message]]) -> dict[int, Poison]:
        """Store the views; a frame with one that no table can hold is poison."""
        rows: Rows[tuple[FrameTracks, View]] = Rows()
        for place, message in messages:
            if isinstance(message, FrameTracks):
                for view in message.views:
                    if view.embedding:
                        rows.add(place, (message, view))
        with self._lock:
            poisoned = rows.write(self._embeddings.write)
            self._written = self._written or bool(rows.messages)
        count_rows("lancedb", "views", len(rows.messages))
        return poisoned

    def open(self) -> None:
        """Be ready for the first batch."""
        self._embeddings.open()

    def maintain(self) -> None:
        """Put the tables in order when something was written since the last time."""
        with self._lock:
            if self._written:
                self._embeddings.maintain()
                self._written = False


async def maintain(store: LanceDbStore, every_s: float = MAINTAIN_S) -> None:
    """Open them while the group is joined; then keep them in order, for ever."""
    await asyncio.to_thread(store.open)
    while True:
        await asyncio.sleep(every_s)
        try:
            await asyncio.to_thread(store.maintain)
        except TransientError as error:
            _log.warning("maintenance is put off", reason=str(error))
