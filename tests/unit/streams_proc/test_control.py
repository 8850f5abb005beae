"""What the process `control` does beside Kafka: statuses, outbox, sweeping, trimming."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from core.errors import BrokerUnavailable, Conflict, NotFound, StoreUnavailable
from core.ids import Run, Seq, StreamId
from core.messages import FrameDetections, IngestCounts, Place, RunEnd, StreamStatus, encode_json
from core.settings import Kafka
from core.topics import Topics
from streams_proc.attempt import Backoff
from streams_proc.relay import Relay
from streams_proc.stage import Poison, Record
from streams_proc.status import StatusHandler
from streams_proc.sweep import FORGET_MS, Sweep
from streams_proc.trim import LOOK_BACK, Trim
from tests.unit.streams_proc.stage_fakes import FakePublisher, settle

TOPICS = Topics.of(Kafka(prefix=""))
A, B = StreamId(UUID(int=1)), StreamId(UUID(int=2))


class Enough(Exception):
    """Ends a loop that goes on for ever."""


def turns(count: int) -> Backoff:
    """Waits that take no time, and end the loop after so many."""
    left = iter(range(count))

    async def sleep(_: float) -> None:
        if next(left, None) is None:
            raise Enough

    return Backoff(sleep)


# statuses


class FakeRuns:
    def __init__(self) -> None:
        self.statuses: list[StreamStatus] = []

    def record_status(self, status: StreamStatus) -> bool:
        if status.stream_id == B:
            raise NotFound("deleted")
        self.statuses.append(status)
        return True


def status(ts_ms: int, stream: StreamId = A, *, heartbeat: bool = False) -> StreamStatus:
    return StreamStatus(stream, Run(1), "in_progress", ts_ms, "host", IngestCounts(read=ts_ms), heartbeat=heartbeat)


def test_statuses_are_recorded_in_order_without_heartbeats_that_are_old() -> None:
    runs = FakeRuns()
    messages = [status(0), status(1, heartbeat=True), status(2, heartbeat=True), status(3), status(4, heartbeat=True)]
    records = [Record("s", 0, i, str(m.stream_id).encode(), encode_json(m)) for i, m in enumerate(messages)]
    assert asyncio.run(StatusHandler(runs).handle(records)) == [()] * 5
    assert [s.ts_ms for s in runs.statuses] == [0, 3, 4]


def test_a_status_of_a_deleted_stream_is_passed_over_and_one_that_cannot_be_read_is_poison() -> None:
    runs = FakeRuns()
    records = [Record("s", 0, 0, str(B).encode(), encode_json(status(1, B))), Record("s", 0, 1, b"k", b"[]")]
    first, second = asyncio.run(StatusHandler(runs).handle(records))
    assert first == ()
    assert isinstance(second, Poison)


# outbox


@dataclass
class Row:
    id: int
    key: str
    value: bytes | None


class FakeOutbox:
    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.failures = 0

    def take_outbox(self, limit: int) -> list[Row]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("locked")
        return self.rows[:limit]

    def delete_outbox(self, ids: Sequence[int]) -> None:
        self.rows = [row for row in self.rows if row.id not in ids]


def test_the_outbox_is_published_in_order_and_a_deleted_stream_is_null() -> None:
    outbox = FakeOutbox([Row(i, f"k{i % 3}", None if i == 4 else b"v%d" % i) for i in range(250)])
    outbox.failures = 1
    publisher = FakePublisher()
    with pytest.raises(Enough):
        asyncio.run(Relay(outbox.take_outbox, outbox.delete_outbox, publisher, "t.streams").run(turns(2)))
    assert [output.value for output in publisher.sent] == [None if i == 4 else b"v%d" % i for i in range(250)]
    assert {output.topic for output in publisher.sent} == {"t.streams"}
    assert outbox.rows == []


def test_a_row_stays_until_the_broker_has_acknowledged_it() -> None:
    async def scene() -> None:
        outbox = FakeOutbox([Row(1, "k", b"v")])
        publisher = FakePublisher(confirm=False)
        relay = asyncio.create_task(Relay(outbox.take_outbox, outbox.delete_outbox, publisher, "t.streams").once())
        await settle()
        assert publisher.sent
        assert outbox.rows
        publisher.release("refused")
        with pytest.raises(BrokerUnavailable):
            await relay
        assert outbox.rows

    asyncio.run(scene())


# sweeping


@dataclass
class Tombstone:
    stream_id: StreamId
    deleted_ms: int


@dataclass
class Upload:
    upload_id: UUID
    media_key: str | None


class FakeRecords:
    def __init__(self, *tombstones: Tombstone) -> None:
        self.tombstones = list(tombstones)
        self.uploads = [Upload(UUID(int=1), "uploads/1"), Upload(UUID(int=2), None), Upload(UUID(int=3), "uploads/3")]
        self.in_use = UUID(int=3)
        self.asked: list[int] = []
        self.forgotten = 0

    def unswept(self, deleted_before_ms: int, limit: int = 100) -> list[Tombstone]:
        return [t for t in self.tombstones if t.deleted_ms <= deleted_before_ms]

    def mark_swept(self, stream_id: StreamId, deleted_ms: int) -> None:
        self.tombstones = [t for t in self.tombstones if (t.stream_id, t.deleted_ms) != (stream_id, deleted_ms)]

    def forget_tombstones(self, deleted_before_ms: int) -> int:
        self.forgotten = deleted_before_ms
        return 0

    def expired_uploads(self, before_ms: int, limit: int = 100) -> list[Upload]:
        self.asked.append(before_ms)
        return list(self.uploads)

    def delete_upload(self, upload_id: UUID) -> bool:
        if upload_id == self.in_use:
            raise Conflict("a stream reads it")
        self.uploads = [u for u in self.uploads if u.upload_id != upload_id]
        return True


class FakeMedia:
    def __init__(self) -> None:
        self.deleted: list[str] = []

    def delete(self, key: str) -> None:
        self.deleted.append(key)

    def delete_prefix(self, prefix: str) -> int:
        self.deleted.append(prefix)
        return 1


def test_a_deleted_stream_is_swept_after_seconds_and_again_after_a_minute() -> None:
    now = [1000.0]
    erased: list[tuple[float, StreamId]] = []
    purged: list[float] = []
    records = FakeRecords(Tombstone(A, 1_000_000))
    sweep = Sweep(
        records,
        FakeMedia(),
        [lambda s: erased.append((now[0], s))],
        upload_ttl_s=60.0,
        purge=lambda: purged.append(now[0]),
        clock=lambda: now[0],
    )
    for at in (1001, 1006, 1011, 1055, 1061, 1066):
        now[0] = float(at)
        sweep.sweep()
    assert erased == [(1006.0, A), (1061.0, A)]
    assert purged == [1061.0]
    assert records.tombstones == []
    assert records.forgotten == 1_066_000 - FORGET_MS


def test_after_a_restart_an_old_tombstone_is_swept_once_for_good() -> None:
    erased: list[StreamId] = []
    records = FakeRecords(Tombstone(A, 0))
    Sweep(
        records, FakeMedia(), [erased.append, erased.append], upload_ttl_s=60.0, purge=lambda: None, clock=lambda: 1e6
    ).sweep()
    assert erased == [A, A]
    assert records.tombstones == []


def test_whole_uploads_that_nobody_used_go_with_their_bytes() -> None:
    records, media = FakeRecords(), FakeMedia()
    with pytest.raises(Enough):
        asyncio.run(
            Sweep(records, media, [], upload_ttl_s=60.0, purge=lambda: None, clock=lambda: 1000.0).run(turns(1))
        )
    assert records.asked == [940_000]
    assert media.deleted == ["uploads/1"]
    assert [int(upload.upload_id) for upload in records.uploads] == [2, 3]


# trimming


class FakeLogs:
    def __init__(self) -> None:
        self.commits: dict[tuple[str, str], dict[int, int]] = {}
        self.lows: dict[tuple[str, int], int] = {}
        self.log: dict[int, list[bytes | None]] = {}
        self.deleted: dict[int, int] = {}

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        return self.commits.get((group, topic), {})

    def low(self, topic: str, partition: int) -> int:
        return self.lows.get((topic, partition), 0)

    def values(self, topic: str, partition: int, begin: int, end: int) -> list[bytes | None]:
        return self.log[partition][begin:end]

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        self.deleted = dict(offsets)


def seen(offset: int, topic: str = TOPICS.frames_batch) -> bytes:
    return encode_json(FrameDetections(A, Run(1), Seq(0), 0, 0.0, 0, 1, 1, "m", 1, Place(topic, 0, offset), ()))


END = encode_json(RunEnd(A, Run(1), "done", IngestCounts(), 9))


def logs(detect: int | None, analyse: int | None, values: list[bytes | None]) -> FakeLogs:
    found = FakeLogs()
    if detect is not None:
        found.commits["detect", TOPICS.frames_batch] = {0: detect}
    if analyse is not None:
        found.commits["analyse", TOPICS.detections] = {0: analyse}
    found.log[0] = values
    return found


LIVE = seen(900, TOPICS.frames_live)


@pytest.mark.parametrize(
    ("detect", "analyse", "values", "trimmed"),
    [
        (10, 2, [seen(3), seen(4), seen(5)], {0: 5}),
        (4, 3, [seen(3), seen(4), seen(5)], {0: 4}),
        (10, 4, [seen(3), LIVE, END, b"{", seen(8)], {0: 4}),
        (10, 2, [LIVE, LIVE], {}),
        (10, 0, [seen(3)], {}),
        (10, None, [seen(3)], {}),
        (None, 1, [seen(3)], {}),
        (5000, 3000, [seen(7), *[LIVE] * 2999], {}),
        (5000, LOOK_BACK, [seen(7), *[LIVE] * (LOOK_BACK - 1)], {0: 8}),
    ],
)
def test_a_frame_goes_once_detect_and_analyse_are_past_it(
    detect: int | None, analyse: int | None, values: list[bytes | None], trimmed: dict[int, int]
) -> None:
    found = logs(detect, analyse, values)
    assert Trim(found, TOPICS).trim() == trimmed
    assert found.deleted == trimmed


def test_what_is_gone_already_is_not_deleted_again() -> None:
    found = logs(10, 1, [seen(3)])
    found.lows[TOPICS.frames_batch, 0] = 4
    assert Trim(found, TOPICS).trim() == {}


def test_trimming_goes_on_for_ever() -> None:
    found = logs(10, 1, [seen(3)])
    with pytest.raises(Enough):
        asyncio.run(Trim(found, TOPICS).run(turns(2)))
    assert found.deleted == {0: 4}
