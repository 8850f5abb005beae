"""Publisher, lanes and backlog against a producer that does as it is told."""

from __future__ import annotations

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from ingest_fakes import STREAM, FakeClock, FakeLag, FakeProducer

from core.errors import BrokerUnavailable
from core.ids import Run, Seq
from core.messages import Frame
from core.settings import Kafka
from core.topics import Topics
from ingest import publisher as publishing
from ingest.backlog import REFRESH_S, Backlog
from ingest.lanes import RECORD_OVERHEAD, BatchLane, LiveLane, Numbering
from ingest.ledger import Ledger
from ingest.publisher import Acknowledged, Publisher

TOPICS = Topics.of(Kafka())


def frame(index: int, size: int = 1000) -> Frame:
    return Frame(STREAM, Run(1), Seq(0), index, index / 10, 0, 64, 48, bytes(size), "m")


class Bench:
    """One lane's parts, wired to a fake producer."""

    def __init__(self, *, bound: int = 10**9, max_bytes: int = 10**7, next_seq: int = 0) -> None:
        self.producer = FakeProducer()
        self.ledger = Ledger("batch")
        self.clock = FakeClock()
        self.lag = FakeLag()
        self.publisher = Publisher(
            self.producer,
            TOPICS,
            stream=STREAM,
            partition=3,
            frames_topic=TOPICS.frames_batch,
            standing=Acknowledged(next_seq=next_seq),
            on_published=self.ledger.published,
            leased=lambda: self.leased,
        )
        self.backlog = Backlog(self.lag, bound, self.clock)
        self.numbering = Numbering(self.publisher, self.backlog, self.ledger, next_seq, max_bytes)
        self.waits = 0
        self.leased = True

    def put(self, lane: BatchLane | LiveLane, message: Frame) -> None:
        self.ledger.decoded(message.media_s, read=True)
        lane.put(message)

    @property
    def seqs(self) -> list[int]:
        return [message.seq for message in self.producer.frames(TOPICS.frames_batch)]

    @property
    def indices(self) -> list[int]:
        return [message.index for message in self.producer.frames(TOPICS.frames_batch)]


def balanced(ledger: Ledger) -> bool:
    counts = ledger.counts
    return counts.decoded == counts.sampled_out + counts.read and counts.read == counts.gated + counts.published + sum(
        counts.dropped.values()
    )


def test_no_frame_is_handed_over_without_a_lease() -> None:
    bench = Bench()
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    bench.put(lane, frame(0))
    bench.leased = False
    with pytest.raises(BrokerUnavailable, match="lease"):
        bench.put(lane, frame(1))
    assert bench.seqs == [0]


def test_frames_are_numbered_in_order_under_the_streams_key_and_partition() -> None:
    bench = Bench(next_seq=5)
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    for number in range(4):
        bench.put(lane, frame(number))
    lane.drain()
    assert bench.seqs == [5, 6, 7, 8]
    assert {(key, partition) for _, _, key, partition in bench.producer.records} == {(str(STREAM).encode(), 3)}
    assert bench.publisher.acknowledged == Acknowledged(next_seq=9, index=3, media_s=0.3, offset=4)


def test_only_acknowledged_frames_count_as_published() -> None:
    bench = Bench()
    bench.producer.answering = False
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    for number in range(3):
        bench.put(lane, frame(number))
    assert bench.ledger.counts.published == 0
    assert bench.publisher.acknowledged.next_seq == 0
    bench.producer.answering = True
    lane.drain()
    assert bench.ledger.counts.published == 3
    assert balanced(bench.ledger)


def test_batch_waits_for_the_producer_and_loses_nothing() -> None:
    bench = Bench()
    bench.producer.answering = False

    def wait(_: float) -> bool:
        bench.waits += 1
        bench.producer.answering = bench.waits % 3 == 0
        return True

    lane = BatchLane(bench.numbering, bench.ledger, wait)
    for number in range(5):
        bench.put(lane, frame(number, publishing.IN_FLIGHT_BYTES // 2 + 1))
        bench.producer.answering = False
    bench.producer.answering = True
    lane.drain()
    assert bench.seqs == [0, 1, 2, 3, 4]
    assert bench.waits >= 4
    assert balanced(bench.ledger)


def test_batch_waits_while_detect_is_behind_by_the_bound() -> None:
    bench = Bench(bound=10_000)
    bench.lag.records = 20

    def wait(seconds: float) -> bool:
        bench.waits += 1
        bench.clock.now += REFRESH_S
        bench.lag.records -= 5
        return True

    lane = BatchLane(bench.numbering, bench.ledger, wait)
    bench.put(lane, frame(0))
    bench.put(lane, frame(1))
    lane.drain()
    assert bench.waits == 4, "5 unread records, taken to be as large as the first (2 KB), are still too many"
    assert bench.seqs == [0, 1]


def test_a_wait_that_is_ended_gives_up_the_frame_and_counts_it() -> None:
    bench = Bench(bound=1)
    bench.lag.records = 1
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: False)
    bench.put(lane, frame(0))
    lane.drain()
    assert bench.seqs == []
    assert bench.ledger.counts.dropped == {"stopped": 1}
    assert balanced(bench.ledger)


def test_live_gives_up_the_oldest_and_numbers_what_is_sent_without_a_gap() -> None:
    bench = Bench(bound=10_000)
    bench.lag.records = 1000
    lane = LiveLane(bench.numbering, bench.ledger, bound=3500)
    for number in range(10):
        bench.put(lane, frame(number))
    assert bench.seqs == []
    assert bench.ledger.counts.dropped == {"backlog": 7}
    bench.lag.records = 0
    bench.clock.now += REFRESH_S
    lane.pump()
    lane.drain()
    assert bench.indices == [7, 8, 9], "the newest are kept"
    assert bench.seqs == [0, 1, 2]
    assert balanced(bench.ledger)


def test_live_keeps_one_frame_however_large() -> None:
    bench = Bench(bound=10_000)
    bench.lag.records = 1000
    lane = LiveLane(bench.numbering, bench.ledger, bound=10)
    bench.put(lane, frame(0))
    bench.put(lane, frame(1))
    assert bench.ledger.counts.dropped == {"backlog": 1}
    lane.drain()
    assert bench.ledger.counts.dropped == {"backlog": 2}, "a run that ends does not wait for room"
    assert balanced(bench.ledger)


def test_a_frame_larger_than_a_message_may_be_is_dropped_and_numbers_go_on() -> None:
    bench = Bench(max_bytes=5000)
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    for number, size in enumerate((1000, 5000, 1000)):
        bench.put(lane, frame(number, size))
    lane.drain()
    assert bench.indices == [0, 2]
    assert bench.seqs == [0, 1]
    assert bench.ledger.counts.dropped == {"too_large": 1}
    assert balanced(bench.ledger)


def test_a_full_producer_queue_is_waited_for() -> None:
    bench = Bench()
    bench.producer.capacity = 1
    bench.producer.answering = False
    for number in range(3):
        bench.numbering.send(frame(number))
    assert bench.seqs == [0, 1, 2]


def test_a_record_that_is_not_taken_stops_the_run() -> None:
    bench = Bench()
    bench.producer.error = "broker says no"
    bench.numbering.send(frame(0))
    with pytest.raises(BrokerUnavailable, match="broker says no"):
        bench.publisher.flush()
    with pytest.raises(BrokerUnavailable):
        bench.publisher.room(1)
    assert bench.ledger.counts.published == 0


def test_a_producer_that_has_ended_is_a_broker_to_be_tried_again() -> None:
    bench = Bench()

    def ended(_: float) -> int:
        raise KafkaException(KafkaError(KafkaError._FATAL, "no gap", fatal=True))

    bench.producer.poll = bench.producer.flush = ended  # type: ignore[method-assign]
    bench.numbering.send(frame(0))
    for call in (bench.publisher.poll, bench.publisher.flush, lambda: bench.publisher.room(1)):
        with pytest.raises(BrokerUnavailable, match="was not taken"):
            call()
    bench.producer.capacity = 0
    with pytest.raises(BrokerUnavailable, match="was not taken"):
        bench.numbering.send(frame(1))
    bench.producer.poll = lambda _: 0  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable, match="no gap"):
        bench.publisher.poll()


def test_a_broker_that_does_not_acknowledge_or_refuses_is_named() -> None:
    bench = Bench()
    bench.producer.answering = False
    bench.numbering.send(frame(0))
    with pytest.raises(BrokerUnavailable, match="1 records were not acknowledged"):
        bench.publisher.flush(0)
    bench.producer.refuse = True
    with pytest.raises(BrokerUnavailable, match="cannot be sent"):
        bench.numbering.send(frame(1))


def test_backlog_adds_what_is_published_between_two_looks() -> None:
    clock, lag = FakeClock(), FakeLag()
    backlog = Backlog(lag, 1000, clock)
    assert not backlog.full(5000), "a lone record is never refused, or nothing would ever be read"
    backlog.published(600)
    assert not backlog.full(400)
    assert backlog.full(401)
    clock.now += REFRESH_S
    assert not backlog.full(401), "a new look sees that it has been read"
    lag.records = 2
    clock.now += REFRESH_S
    assert backlog.full(1), "two unread records of the mean size 600"


def test_backlog_keeps_its_last_look_while_the_broker_does_not_answer() -> None:
    clock, lag = FakeClock(), FakeLag(records=10)
    backlog = Backlog(lag, 1000, clock)
    assert backlog.full(200)
    lag.error = True
    clock.now += REFRESH_S
    assert backlog.full(200)
    lag.error, lag.records = False, 0
    clock.now += REFRESH_S
    assert not backlog.full(200)


def test_overhead_leaves_room_for_the_envelope() -> None:
    bench = Bench()
    bench.numbering.send(frame(0, 1000))
    value = bench.producer.records[0][1]
    assert 1000 < len(value) < 1000 + RECORD_OVERHEAD


def after(index: int, held: int, size: int = 1000) -> Frame:
    """A frame behind so many that were held back, a tenth of a second each."""
    return msgspec.structs.replace(frame(index, size), held=held, held_s=held / 10)


def held_of(bench: Bench) -> list[tuple[int, int, float]]:
    return [(message.index, message.held, message.held_s) for message in bench.producer.frames(TOPICS.frames_batch)]


def test_what_was_held_back_before_the_newest_acknowledged_frame_is_known() -> None:
    bench = Bench()
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    for index, held in ((0, 0), (5, 4), (7, 1)):
        bench.put(lane, after(index, held))
    lane.drain()
    assert bench.publisher.acknowledged == Acknowledged(next_seq=3, index=7, media_s=0.7, offset=3, gated=5)


def test_a_frame_that_is_too_large_passes_on_what_was_held_back_before_it() -> None:
    bench = Bench(max_bytes=5000)
    lane = BatchLane(bench.numbering, bench.ledger, lambda _: True)
    for index, held, size in ((0, 0, 1000), (4, 3, 5000), (7, 2, 5000), (9, 1, 1000), (10, 0, 1000)):
        bench.put(lane, after(index, held, size))
    lane.drain()
    assert held_of(bench) == [(0, 0, 0.0), (9, 6, 0.6), (10, 0, 0.0)]


def test_a_live_frame_that_is_given_up_passes_on_what_was_held_back_before_it() -> None:
    bench = Bench(bound=10_000)
    bench.lag.records = 1000
    lane = LiveLane(bench.numbering, bench.ledger, bound=2500)
    for index, held in ((0, 0), (4, 3), (7, 2), (9, 1), (12, 2)):
        bench.put(lane, after(index, held))
    assert bench.ledger.counts.dropped == {"backlog": 3}
    bench.lag.records = 0
    bench.clock.now += REFRESH_S
    lane.drain()
    assert held_of(bench) == [(9, 6, 0.6), (12, 2, 0.2)]
