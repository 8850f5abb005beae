"""What stands in for servers: in memory, and told beforehand what to answer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from core.errors import BadImage, BrokerUnavailable, StoreUnavailable
from core.ids import Seq, StreamId
from core.messages import Event, Face, Lane
from core.partitions import partition_of
from core.settings import Kafka
from query_api.following import Collected
from query_api.in_flight import RunKey, Waiting
from query_api.ports import Collaborators
from query_api.watching.tails import Heard, Hearer, Partition, Span
from warehouse.control import ControlStore
from warehouse.embeddings import Neighbour
from warehouse.filters import Filter
from warehouse.page import Page
from warehouse.rows import (
    DetectionRow,
    FrameCounts,
    RunTrackPoint,
    StatisticsRow,
    StoreUsage,
    TrackRow,
    TrackView,
)


class FakeAnalytics:
    """Answers with what it was given, and remembers what it was asked."""

    def __init__(self) -> None:
        self.counts = FrameCounts(0, 0)
        self.stored: frozenset[int] = frozenset()
        self.pages: dict[str, Page[Any]] = {}
        self.groups: list[StatisticsRow] = []
        self.points: list[RunTrackPoint] = []
        self.views: list[TrackView] = []
        self.found: list[Event] = []
        self.batches: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []
        self.deleted: list[StreamId] = []
        self.down = False

    def _answer(self, name: str, filter_: Filter, options: dict[str, Any]) -> Page[Any]:
        if self.down:
            raise StoreUnavailable("ClickHouse does not answer at http://user:secret@store:8123")
        self.asked.append((name, filter_, options))
        return self.pages.get(name, Page(()))

    def ready(self) -> bool:
        return not self.down

    def close(self) -> None:
        pass

    def delete_stream(self, stream: StreamId) -> None:
        self.deleted.append(stream)

    def usage(self) -> StoreUsage:
        if self.down:
            raise StoreUnavailable("ClickHouse does not answer")
        return StoreUsage(10_000, 4_000, 12)

    def frame_counts(self, stream: StreamId, run: int) -> FrameCounts:
        return self.counts

    def missing_frames(self, stream: StreamId, run: int, *, upto: int, after: int = -1, limit: int) -> list[int]:
        return [seq for seq in range(after + 1, upto) if seq not in self.stored][:limit]

    def events(self, filter_: Filter, **options: Any) -> Page[Event]:
        return self._answer("events", filter_, options)

    def tracks(self, filter_: Filter, **options: Any) -> Page[TrackRow]:
        return self._answer("tracks", filter_, options)

    def detections(self, filter_: Filter, **options: Any) -> Page[DetectionRow]:
        return self._answer("detections", filter_, options)

    def statistics(self, filter_: Filter, **options: Any) -> list[StatisticsRow]:
        self._answer("statistics", filter_, options)
        return self.groups

    def export(self, table: str, filter_: Filter) -> Iterator[Any]:
        self._answer(f"export {table}", filter_, {})
        return iter(self.batches)

    def run_track_points(self, stream: StreamId, run: int) -> Iterator[RunTrackPoint]:
        return iter(self.points)

    def run_views(self, stream: StreamId, run: int) -> Iterator[TrackView]:
        return iter(self.views)

    def run_events(self, stream: StreamId, run: int) -> Iterator[Event]:
        return iter(self.found)


class FakeEmbeddings:
    """Finds what it was given."""

    def __init__(self) -> None:
        self.neighbours: dict[str, list[Neighbour]] = {}
        self.asked: list[tuple[str, tuple[float, ...], dict[str, Any]]] = []
        self.deleted: list[StreamId] = []

    def search(self, keyspace: str, vector: Sequence[float], **options: Any) -> list[Neighbour]:
        self.asked.append((keyspace, tuple(vector), options))
        return self.neighbours.get(keyspace, [])

    def delete_stream(self, stream: StreamId) -> None:
        self.deleted.append(stream)


class FakeModels:
    """Sees what it was given."""

    def __init__(self) -> None:
        self.vector: tuple[float, ...] | BadImage = (1.0, 0.0)
        self.faces: tuple[Face, ...] | BadImage = ()
        self.error: Exception | None = None
        self.embedded: list[tuple[str, bytes]] = []
        self.closed = False

    async def embed(self, model: str, images: Sequence[bytes], *, lane: Lane) -> list[tuple[float, ...] | BadImage]:
        assert lane == "live", "somebody waits for it"
        self.embedded.extend((model, image) for image in images)
        return [self.vector for _ in images]

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Face, ...] | BadImage]:
        assert lane == "live", "somebody waits for it"
        return [self.faces for _ in images]

    async def ready(self, model: str) -> bool:
        if self.error is not None:
            raise self.error
        return True

    async def close(self) -> None:
        self.closed = True


class FakeFlights:
    """Has seen what it was given."""

    def __init__(self) -> None:
        self.waiting = Waiting(whole=True, frames_whole=True)
        self.down = False
        self.asked: list[tuple[list[RunKey], Mapping[RunKey, frozenset[Seq]]]] = []

    def look(
        self, runs: Collection[RunKey], wanted: Mapping[RunKey, frozenset[Seq]] | None = None
    ) -> Mapping[RunKey, Waiting]:
        self.asked.append((list(runs), wanted or {}))
        if self.down:
            raise BrokerUnavailable("no broker answers")
        return dict.fromkeys(runs, self.waiting)


class FakeFollower:
    """Has collected already, or waits until it is cancelled."""

    def __init__(self, outcome: Collected | Exception | None) -> None:
        self.outcome = outcome
        self.closed = False
        self.was_cancelled = False

    def collect(self, cancelled: threading.Event, timeout_s: float) -> Collected | None:
        if self.outcome is None:
            self.was_cancelled = cancelled.wait(20)
            return None
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def close(self) -> None:
        self.closed = True


class FakeFollowers:
    """Opens followers that found `outcome`."""

    def __init__(self) -> None:
        self.outcome: Collected | Exception | None = None
        self.down = False
        self.opened: list[tuple[StreamId, FakeFollower]] = []

    def open(self, stream: StreamId) -> FakeFollower:
        if self.down:
            raise BrokerUnavailable("no broker answers")
        follower = FakeFollower(self.outcome)
        self.opened.append((stream, follower))
        return follower


class FakeTail:
    """Tells its hearer what is said in its partitions, in the same moment."""

    def __init__(self, partitions: Collection[Partition], hearer: Hearer) -> None:
        self.partitions = frozenset(partitions)
        self.hearer = hearer
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeTails:
    """Topics in memory."""

    def __init__(self) -> None:
        self.opened: list[FakeTail] = []
        self.reads: list[tuple[Partition, Span]] = []
        self.down = False
        self.expired: dict[Partition, int] = {}
        self._records: dict[Partition, list[Heard]] = {}

    @property
    def running(self) -> list[FakeTail]:
        return [tail for tail in self.opened if not tail.closed]

    def say(self, topic: str, stream: StreamId, value: bytes | None) -> Heard:
        """Publish a record under the stream's key."""
        key = str(stream).encode()
        number = partition_of(key, Kafka().partitions)
        records = self._records.setdefault((topic, number), [])
        heard = Heard(topic, number, len(records), key, value)
        records.append(heard)
        for tail in self.running:
            if (topic, number) in tail.partitions:
                tail.hearer.take([heard])
        return heard

    def fail(self) -> None:
        """Every reader ends by itself."""
        for tail in self.running:
            tail.closed = True
            tail.hearer.ended()

    async def open(self, back: Mapping[Partition, int], hearer: Hearer, *, lost: str) -> FakeTail:
        if self.down:
            raise BrokerUnavailable("no broker answers")
        kept = self.bounds(back)
        spans = {one: Span(max(span.begin, span.end - back[one]), span.end) for one, span in kept.items()}
        tail = FakeTail(back, hearer)
        hearer.begun(spans)
        before = [heard for one, span in spans.items() for heard in self._records.get(one, [])[span.begin : span.end]]
        if before:
            hearer.take(before)
        self.opened.append(tail)
        return tail

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Span]:
        return {one: Span(self.expired.get(one, 0), len(self._records.get(one, []))) for one in partitions}

    def read(self, partition: Partition, span: Span) -> list[Heard]:
        self.reads.append((partition, span))
        return self._records.get(partition, [])[span.begin : min(span.end, span.begin + 3)]

    def close(self) -> None:
        self.fail()
        self.down = True


@dataclass
class Parts:
    """The fakes, and the collaborators made of them."""

    control: ControlStore
    analytics: FakeAnalytics
    embeddings: FakeEmbeddings
    models: FakeModels
    followers: FakeFollowers
    flights: FakeFlights = field(default_factory=FakeFlights)
    tails: FakeTails = field(default_factory=FakeTails)
    broker: bool = True
    collaborators: Collaborators = field(init=False)


def batch(**columns: list[Any]) -> Any:
    """A record batch of these columns."""
    return pa.RecordBatch.from_pydict(columns)
