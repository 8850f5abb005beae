from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from uuid import UUID

import pytest

from core.errors import BadMessage, InvalidInput, NotFound, PoisonError, StoreUnavailable
from core.ids import EventId, Run, Seq, StreamId, TrackId, ViewId
from core.messages import (
    Event,
    FrameDetections,
    FrameTracks,
    IngestCounts,
    Place,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    VideoInfo,
    View,
    decode_tracks,
    encode_json,
)
from core.settings import Kafka
from core.topics import Topics
from streams_proc import sink_lancedb
from streams_proc.sink import SinkHandler, Store
from streams_proc.sink_clickhouse import ByTopic, ClickHouseStore
from streams_proc.sink_lancedb import LanceDbStore
from streams_proc.sink_media import MediaSink
from streams_proc.stage import Outcome, Poison, Record
from tests.unit.streams_proc.stage_fakes import settle

TOPICS = Topics.of(Kafka(prefix="p."))
A, B = StreamId(UUID(int=1)), StreamId(UUID(int=2))
ONE = f"{A}/1.jpg"


class FakeLedger:
    def __init__(self, deleted: Collection[StreamId] = ()) -> None:
        self.deleted = frozenset(deleted)
        self.log: list[object] = []
        self.gone = False

    def tombstones(self, among: Collection[StreamId] | None = None) -> frozenset[StreamId]:
        return self.deleted if among is None else self.deleted & frozenset(among)

    def sweep_again(self, streams: Collection[StreamId]) -> None:
        self.log.append(("sweep again", frozenset(streams)))

    def record_receipt(self, stream_id: StreamId, run: Run, sink: str, topic: str) -> None:
        if self.gone:
            raise NotFound("no such stream")
        self.log.append((stream_id, run, sink, topic))


class FakeStore:
    """All three stores; `bad` rows can never be held."""

    def __init__(self, log: list[object] | None = None) -> None:
        self.log: list[object] = [] if log is None else log
        self.bad: set[int] = set()
        self.down = 0
        self.maintained = 0
        self.opened = 0

    def _write(self, kind: str, rows: Sequence[FrameDetections | FrameTracks | Event]) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("down")
        if any(row.seq in self.bad for row in rows):
            raise PoisonError("cannot hold it")
        self.log.append((kind, [int(row.seq) for row in rows]))

    def write_frames(self, rows: Sequence[FrameDetections]) -> None:
        self._write("frames", rows)

    def write_tracks(self, rows: Sequence[FrameTracks]) -> None:
        self._write("tracks", rows)

    def write_events(self, rows: Sequence[Event]) -> None:
        self._write("events", rows)

    def open(self) -> None:
        self.opened += 1

    def write(self, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        self._write("views", [tracks for tracks, _ in rows])

    def maintain(self) -> None:
        self.maintained += 1

    def put(self, key: str, data: bytes) -> None:
        if ".." in key:
            raise InvalidInput("unsafe", "key")
        self.log.append((key, data))


def frame(seq: int, stream: StreamId = A, *, ephemeral: bool = False) -> FrameDetections:
    return FrameDetections(
        stream, Run(1), Seq(seq), seq, 0.1 * seq, 0, 1, 1, "m", 1, Place("f", 0, seq), (), ephemeral=ephemeral
    )


def tracks(seq: int, *views: View, stream: StreamId = A, ephemeral: bool = False) -> FrameTracks:
    return FrameTracks(stream, Run(1), Seq(seq), seq, 0.1 * seq, 0, 1, 1, (), views, ephemeral=ephemeral)


def view(key: str = f"{A}/b.jpg", *, jpeg: bytes = b"jpeg", embedding: tuple[float, ...] = (1.0,)) -> View:
    return View(ViewId(UUID(int=9)), TrackId(1), "appearance", "car", 0.5, (0, 0, 1, 1), key, jpeg, "m", embedding)


def event(seq: int) -> Event:
    return Event(
        EventId(UUID(int=5)), A, Run(1), 0, "object_detection", "object", "begin", 0, Seq(seq), 0, 0, 0.0, Seq(0)
    )


def end(stream: StreamId = A, *, ephemeral: bool = False) -> RunEnd:
    return RunEnd(stream, Run(1), "done", IngestCounts(), 9, ephemeral=ephemeral)


def begin(*, ephemeral: bool = False) -> RunBegin:
    spec = StreamSpec(A, Run(1), "s", "batch", Source("file:x"), (), "m", 0, ephemeral=ephemeral)
    return RunBegin(A, Run(1), spec, VideoInfo(1, 1, 1.0))


Any = FrameDetections | FrameTracks | Event | RunBegin | RunEnd


def on(topic: str, *messages: Any | bytes) -> list[Record]:
    return [
        Record(topic, 0, i, b"k", message)
        if isinstance(message, bytes)
        else Record(topic, 0, i, str(message.stream_id).encode(), encode_json(message))
        for i, message in enumerate(messages)
    ]


def handle(
    store: Store, ledger: FakeLedger, records: Sequence[Record], decode: Callable[[Record], Any] | None = None
) -> list[Outcome]:
    handler = SinkHandler("sink", "p.", decode or ByTopic(TOPICS), store, ledger)
    return list(asyncio.run(handler.handle(records)))


def test_each_message_goes_to_its_table_in_one_write_a_table() -> None:
    store = FakeStore()
    records = [
        *on(TOPICS.detections, begin(), frame(0), frame(1), end()),
        *on(TOPICS.tracks, begin(), tracks(0), end()),
        *on(TOPICS.events, event(3), end()),
    ]
    assert handle(ClickHouseStore(store), FakeLedger(), records) == [()] * len(records)
    assert store.log == [("frames", [0, 1]), ("tracks", [0]), ("events", [3])]


def test_a_receipt_follows_the_write_and_names_the_topic_without_the_prefix() -> None:
    ledger = FakeLedger()
    handle(ClickHouseStore(FakeStore(ledger.log)), ledger, on(TOPICS.detections, frame(0), end(), frame(1, B)))
    assert ledger.log == [("frames", [0, 1]), (A, Run(1), "sink", "detections")]


def test_no_receipt_before_a_store_that_does_not_answer() -> None:
    ledger, store = FakeLedger(), FakeStore()
    store.down = 1
    with pytest.raises(StoreUnavailable):
        handle(ClickHouseStore(store), ledger, on(TOPICS.detections, frame(0), end()))
    assert ledger.log == []


def test_a_receipt_of_a_run_that_was_deleted_since_is_left_out() -> None:
    ledger = FakeLedger()
    ledger.gone = True
    assert handle(ClickHouseStore(FakeStore()), ledger, on(TOPICS.detections, end())) == [()]


def test_what_is_ephemeral_or_deleted_is_neither_stored_nor_receipted() -> None:
    ledger = FakeLedger(deleted=[B])
    store = FakeStore()
    records = on(
        TOPICS.detections,
        begin(ephemeral=True),
        frame(0, ephemeral=True),
        end(ephemeral=True),
        frame(1, B),
        end(B),
    )
    assert handle(ClickHouseStore(store), ledger, records) == [()] * 5
    assert store.log == []
    assert ledger.log == []


class DeletedMeanwhile(FakeStore):
    """Streams are deleted, and swept, while their rows are on their way."""

    def __init__(self, ledger: FakeLedger) -> None:
        super().__init__(ledger.log)
        self.ledger = ledger

    def write_frames(self, rows: Sequence[FrameDetections]) -> None:
        super().write_frames(rows)
        self.ledger.deleted = frozenset([B])


def test_what_arrives_after_its_stream_was_swept_is_swept_again() -> None:
    ledger = FakeLedger()
    handle(ClickHouseStore(DeletedMeanwhile(ledger)), ledger, on(TOPICS.detections, frame(0), frame(1, B)))
    assert ledger.log == [("frames", [0, 1]), ("sweep again", frozenset([B]))]


def test_rows_that_no_table_can_hold_are_dead_letters_and_the_others_are_stored() -> None:
    store = FakeStore()
    store.bad = {2, 5}
    outcomes = handle(ClickHouseStore(store), FakeLedger(), on(TOPICS.detections, *(frame(i) for i in range(7))))
    assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Poison)] == [2, 5]
    assert sorted(seq for entry in store.log if isinstance(entry, tuple) for seq in entry[1]) == [0, 1, 3, 4, 6]


@pytest.mark.parametrize("topic", [TOPICS.detections, TOPICS.tracks, TOPICS.events])
def test_bytes_that_no_contract_reads_are_dead_letters(topic: str) -> None:
    first, second = handle(ClickHouseStore(FakeStore()), FakeLedger(), on(topic, b"{", end()))
    assert isinstance(first, Poison) and isinstance(first.error, BadMessage)
    assert second == ()


def by_tracks(record: Record) -> Any:
    return decode_tracks(record.value)


def test_only_views_with_a_vector_become_embeddings() -> None:
    store = FakeStore()
    records = on(TOPICS.tracks, begin(), tracks(0, view(), view()), tracks(1, view(embedding=())), tracks(2), end())
    assert handle(LanceDbStore(store), FakeLedger(), records, by_tracks) == [()] * 5
    assert store.log == [("views", [0, 0])]


def test_tables_are_put_in_order_when_something_was_written() -> None:
    inner = FakeStore()
    store = LanceDbStore(inner)
    store.maintain()
    assert inner.maintained == 0
    store.write([(0, tracks(0, view()))])
    store.maintain()
    store.maintain()
    assert inner.maintained == 1


def test_maintenance_that_fails_is_put_off() -> None:
    class Failing(FakeStore):
        def maintain(self) -> None:
            super().maintain()
            if self.maintained < 3:
                raise StoreUnavailable("busy")

    inner = Failing()
    store = LanceDbStore(inner)
    store.write([(0, tracks(0, view()))])

    async def scene() -> None:
        task = asyncio.create_task(sink_lancedb.maintain(store, every_s=0))
        await settle()
        task.cancel()
        assert inner.maintained >= 3
        assert inner.opened == 1

    asyncio.run(scene())


def test_pictures_go_under_their_keys_and_a_key_that_is_none_is_a_dead_letter() -> None:
    store = FakeStore()
    records = on(
        TOPICS.tracks, begin(), tracks(0, view(ONE), view(f"{A}/2.jpg", jpeg=b"")), tracks(1, view(f"{A}/../x")), end()
    )
    outcomes = handle(MediaSink(store), FakeLedger(), records, by_tracks)
    assert store.log == [(ONE, b"jpeg")]
    assert [isinstance(outcome, Poison) for outcome in outcomes] == [False, False, True, False]
