"""Where on Kafka the frames of some runs wait, found without disturbing who reads there.

What a look says holds for frames that move on meanwhile, because it goes the way that frames go:
first the frames topics, then `detections`; whoever asks ClickHouse after it finds every frame that
is neither here nor there.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from core.ids import Run, Seq, StreamId
from core.messages import Lane, Place
from core.partitions import partition_of
from core.reading import Reader, reading
from core.settings import Kafka
from core.topics import Topics

MOST_RECORDS = 20_000
MOST_S = 5.0
READS_FRAMES, READS_DETECTIONS, FOLLOWS = "detect", "sink-clickhouse", "analyse"


class FrameMark(msgspec.Struct, frozen=True, tag_field="message", tag="frame"):
    """A `Frame`, as far as it is named."""

    stream_id: StreamId
    run: Run
    seq: Seq


class DetectionsMark(msgspec.Struct, frozen=True, tag_field="message", tag="frame_detections"):
    """A `FrameDetections`, as far as it is named."""

    stream_id: StreamId
    run: Run
    seq: Seq


_frames = msgspec.msgpack.Decoder(FrameMark)
_detections = msgspec.json.Decoder(DetectionsMark)
Mark = FrameMark | DetectionsMark


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run and the lane on which its frames travel."""

    stream_id: StreamId
    run: Run
    lane: Lane


@dataclass(slots=True)
class Waiting:
    """What was seen of one run.

    Attributes:
        unread: records behind detect's committed offset on the run's partition, other streams' too: at
            most so many of its frames wait for detect.
        frames: places of those frames that were looked for and found there.
        detections: places of frames behind sink-clickhouse's committed offset on `detections`.
        for_analyse: how many frames lie behind analyse's there.
        whole: the partition of `detections` was read to its end.
        frames_whole: that of the frames was, as far as it took to find those that were looked for.
    """

    unread: int = 0
    frames: dict[Seq, Place] = field(default_factory=dict)
    detections: dict[Seq, Place] = field(default_factory=dict)
    for_analyse: int = 0
    whole: bool = False
    frames_whole: bool = False


class Flights(Protocol):
    """Looks for frames on Kafka. Blocking; raises BrokerUnavailable."""

    def look(
        self, runs: Collection[RunKey], wanted: Mapping[RunKey, frozenset[Seq]] | None = None
    ) -> Mapping[RunKey, Waiting]:
        """What waits of each run; frames themselves are read only as far as they are `wanted`, pictures being large."""
        ...


class KafkaFlights:
    """Looks on the settings' broker, within bounds.

    Args:
        most_records, most_s: of all reading of one look.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        most_records: int = MOST_RECORDS,
        most_s: float = MOST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka = kafka
        self._topics = Topics.of(kafka)
        self._most_records = most_records
        self._most_s = most_s
        self._clock = clock

    def look(
        self, runs: Collection[RunKey], wanted: Mapping[RunKey, frozenset[Seq]] | None = None
    ) -> Mapping[RunKey, Waiting]:
        """See `Flights.look`."""
        found = {run: Waiting() for run in runs}
        self._look_at_frames(found, wanted or {}, self._budget())
        self._look_at_detections(found, self._budget())
        return found

    def _budget(self) -> _Budget:
        return _Budget(self._most_records, self._clock() + self._most_s, self._clock)

    def _look_at_frames(
        self, found: Mapping[RunKey, Waiting], wanted: Mapping[RunKey, frozenset[Seq]], budget: _Budget
    ) -> None:
        with reading(self._kafka, "ledger", READS_FRAMES) as reader:
            for (topic, partition), runs in self._by_partition(found, frames=True).items():
                unread = _unread(reader, topic, partition, reader.committed(topic))
                for run in runs:
                    found[run].unread = unread.end - unread.begin
                left = {run: set(wanted[run]) for run in runs if wanted.get(run)}
                if left and self._find(reader, unread, found, left, budget):
                    for run in left:
                        found[run].frames_whole = True

    def _find(
        self,
        reader: Reader,
        where: _Range,
        found: Mapping[RunKey, Waiting],
        left: Mapping[RunKey, set[Seq]],
        budget: _Budget,
    ) -> bool:
        """Find the frames that are `left` to be found; whether all of the range was read for them."""
        sought = {(run.stream_id, run.run): run for run in left}
        for place, mark in _marks(reader, where, sought, _frames.decode):
            if mark is not None:
                run = sought[mark.stream_id, mark.run]
                if mark.seq in left[run]:
                    left[run].discard(mark.seq)
                    found[run].frames[mark.seq] = place
            if not any(left.values()):
                return True
            if not budget.spend():
                return False
        return True

    def _look_at_detections(self, found: Mapping[RunKey, Waiting], budget: _Budget) -> None:
        topic = self._topics.detections
        with reading(self._kafka, "ledger", FOLLOWS) as reader:
            followed = reader.committed(topic)
        with reading(self._kafka, "ledger", READS_DETECTIONS) as reader:
            stored = reader.committed(topic)
            for (_, partition), runs in self._by_partition(found, frames=False).items():
                unstored = _unread(reader, topic, partition, stored)
                unfollowed = _unread(reader, topic, partition, followed)
                whole = self._pass(reader, unstored, unfollowed.begin, {run: found[run] for run in runs}, budget)
                for run in runs:
                    found[run].whole = whole

    @staticmethod
    def _pass(reader: Reader, unstored: _Range, first: int, found: Mapping[RunKey, Waiting], budget: _Budget) -> bool:
        """Note the frames that wait to be stored, and from `first` on to be followed; whether all was read."""
        sought = {(run.stream_id, run.run): run for run in found}
        ahead: dict[RunKey, set[Seq]] = {run: set() for run in found}
        where = unstored._replace(begin=min(unstored.begin, first))
        whole = True
        for place, mark in _marks(reader, where, sought, _detections.decode):
            if mark is not None:
                run = sought[mark.stream_id, mark.run]
                if place.offset >= unstored.begin:
                    found[run].detections.setdefault(mark.seq, place)
                if place.offset >= first:
                    ahead[run].add(mark.seq)
            if not budget.spend():
                whole = False
                break
        for run, seqs in ahead.items():
            found[run].for_analyse = len(seqs)
        return whole

    def _by_partition(self, runs: Collection[RunKey], *, frames: bool) -> Mapping[tuple[str, int], list[RunKey]]:
        grouped: dict[tuple[str, int], list[RunKey]] = defaultdict(list)
        names = self._topics
        for run in runs:
            topic = names.detections
            if frames:
                topic = names.frames_live if run.lane == "live" else names.frames_batch
            grouped[topic, partition_of(str(run.stream_id).encode(), self._kafka.partitions)].append(run)
        return grouped


@dataclass(slots=True)
class _Budget:
    records: int
    until: float
    clock: Callable[[], float]

    def spend(self) -> bool:
        """One more record was read; whether another may be."""
        self.records -= 1
        return self.records > 0 and self.clock() < self.until


class _Range(NamedTuple):
    """Records of a partition."""

    topic: str
    partition: int
    begin: int
    end: int


def _unread(reader: Reader, topic: str, partition: int, committed: Mapping[int, int]) -> _Range:
    """What lies behind what is committed, and is still kept."""
    low, high = reader.bounds(topic, partition)
    return _Range(topic, partition, min(high, max(low, committed.get(partition, low))), high)


def _marks(
    reader: Reader, where: _Range, sought: Mapping[tuple[StreamId, Run], RunKey], decode: Callable[[bytes], Mark]
) -> Iterator[tuple[Place, Mark | None]]:
    """Every record of the range; with its mark, where it is a frame of a run that is sought."""
    keys = {str(stream).encode() for stream, _ in sought}
    for message in reader.records(*where):
        place = Place(where.topic, where.partition, message.offset() or 0)
        mark = _read(message.value(), decode) if message.key() in keys else None
        yield place, mark if mark is not None and (mark.stream_id, mark.run) in sought else None


def _read(value: bytes | None, decode: Callable[[bytes], Mark]) -> Mark | None:
    """The record's name; None for what is no frame."""
    try:
        return decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
