"""What the three sinks share: what is not to be stored, what cannot be stored, and receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from core.errors import Handling, NotFound, SightlineError, handling_of
from core.ids import Run, StreamId
from core.messages import AnalyticsChanged, DetectionsMessage, EventsMessage, RunBegin, RunEnd, TracksMessage
from core.metrics import counter, histogram
from streams_proc.outcomes import decode_each
from streams_proc.stage import Outcome, Poison, Record

Message = DetectionsMessage | TracksMessage | EventsMessage
T = TypeVar("T")


class Ledger(Protocol):
    """The part of `warehouse.control.store.ControlStore` that sinks need. Blocking."""

    def tombstones(self, among: Collection[StreamId] | None = None) -> frozenset[StreamId]:
        """Streams that are deleted."""
        ...

    def sweep_again(self, streams: Collection[StreamId]) -> None:
        """Something of these deleted streams has come to a store."""
        ...

    def record_receipt(self, stream_id: StreamId, run: Run, sink: str, topic: str) -> None:
        """Everything of a topic up to the run's end is stored."""
        ...


@dataclass(slots=True)
class Rows(Generic[T]):
    """Messages of one kind that are to be stored, each with its record's place in the batch."""

    messages: list[T] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, place: int, message: T) -> None:
        """One more."""
        self.messages.append(message)
        self.places.append(place)

    def write(self, write: Callable[[Sequence[T]], None]) -> dict[int, Poison]:
        """Store all of them; those that never can be, by their place. Replays change nothing."""
        return _write_divided(write, self.messages, self.places) if self.messages else {}


def _write_divided(write: Callable[[Sequence[T]], None], messages: list[T], places: list[int]) -> dict[int, Poison]:
    try:
        write(messages)
    except SightlineError as error:
        if handling_of(error) is not Handling.DEAD_LETTER:
            raise
        if len(messages) == 1:
            return {places[0]: Poison(error)}
        middle = len(messages) // 2
        return {
            **_write_divided(write, messages[:middle], places[:middle]),
            **_write_divided(write, messages[middle:], places[middle:]),
        }
    return {}


class Store(Protocol):
    """What one sink does with a batch. Blocking."""

    def write(self, messages: Sequence[tuple[int, Message]]) -> dict[int, Poison]:
        """Store the messages (with their places in the batch); those that never can be, by place."""
        ...


class SinkHandler:
    """Stores a batch, then writes the receipts of the runs that end in it.

    One call at a time, so that a run's end is never answered before all that came before it.

    Args:
        name: of the sink, in receipts.
        prefix: of topics' names, which receipts leave out.
    """

    def __init__(
        self, name: str, prefix: str, decode: Callable[[Record], Message], store: Store, ledger: Ledger
    ) -> None:
        self._name = name
        self._prefix = prefix
        self._decode = decode
        self._store = store
        self._ledger = ledger

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Nothing is published; all is stored on return. Raises StoreUnavailable."""
        return await asyncio.to_thread(self._handle, records)

    def _handle(self, records: Sequence[Record]) -> list[Outcome]:
        messages = decode_each(records, self._decode)
        kept = self._kept(messages)
        with histogram("sightline_sink_seconds").labels(self._name).time():
            poisoned = self._store.write(
                [(i, m) for i, m in kept if not isinstance(m, RunBegin | AnalyticsChanged | RunEnd)]
            )
        # a process may stand still between looking and writing for longer than the sweeps wait
        if late := self._ledger.tombstones({m.stream_id for _, m in kept}):
            self._ledger.sweep_again(late)
        for i, message in kept:
            if isinstance(message, RunEnd):
                self._receipt(message, records[i].topic)
        return [m if isinstance(m, Poison) else poisoned.get(i, ()) for i, m in enumerate(messages)]

    def _kept(self, messages: Sequence[Message | Poison]) -> list[tuple[int, Message]]:
        """Without what is answered once and stored nowhere, and what has been deleted."""
        wanted = [(i, m) for i, m in enumerate(messages) if not isinstance(m, Poison) and not _ephemeral(m)]
        deleted = self._ledger.tombstones({m.stream_id for _, m in wanted})
        return [(i, m) for i, m in wanted if m.stream_id not in deleted]

    def _receipt(self, end: RunEnd, topic: str) -> None:
        try:
            self._ledger.record_receipt(end.stream_id, end.run, self._name, topic.removeprefix(self._prefix))
        except NotFound:  # deleted since: nobody waits for it
            return


def _ephemeral(message: Message) -> bool:
    return message.spec.ephemeral if isinstance(message, RunBegin) else message.ephemeral


def count_rows(store: str, table: str, rows: int) -> None:
    """Note rows that have been written."""
    counter("sightline_sink_rows_total").labels(store, table).inc(rows)
