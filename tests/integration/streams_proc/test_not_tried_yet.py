"""What Faust and Kafka do when workers come and go, sleep, or find their input shortened."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import KafkaError, Message
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from core.errors import BrokerUnavailable, FatalError
from core.kafka import admin, producer
from core.settings import Kafka
from core.topics import Topics
from streams_proc import snapshots
from streams_proc.origin import KafkaOrigin
from streams_proc.publish import KafkaPublisher, Tally
from streams_proc.replay import replay
from streams_proc.stage import Output
from tests.integration.streams_proc.processes import (
    Worker,
    commit,
    committed,
    delete_before,
    ends,
    feed,
    follow,
    members,
    wait_for,
    workers,
)
from tests.integration.streams_proc.test_counting import KEYS, assert_undisturbed, distinct, records, whole

pytestmark = pytest.mark.kafka
PROBE = b"\xff" * 20_000


def test_up_to_four_workers_come_and_go_one_well_one_badly(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    fed = 0
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:

        def more() -> None:
            nonlocal fed
            feed(kafka, topics.detections, records(fed, fed + 20))
            fed += 20

        team: list[Worker] = []
        for wanted in (1, 2, 3, 4):
            team.append(start("worker", "counting"))
            more()
            out.until(lambda m: len(m) > (fed - 20) * len(KEYS), "outputs go on")
            wait_for(lambda n=wanted: members(kafka, "counting") == n, f"{wanted} members")
        for number, worker in enumerate([team[0], team[2]]):
            worker.kill() if number else worker.end()
            more()
        out.until(lambda m: whole(m, fed), "all outputs")
        for worker in (team[1], team[3]):
            assert worker.end() == 0
        assert_undisturbed(out.read(1.0), fed)
    # a worker that ends while the group changes commits nothing: its records would come again
    last = ends(kafka, topics.detections)
    assert all(offset <= last[p] for p, offset in committed(kafka, "counting", topics.detections).items())


def test_a_static_member_that_sleeps_beyond_its_session_wakes_up_beside_its_successor(
    kafka: Kafka, tmp_path: Path
) -> None:
    """Its place has gone to the other; it may write late, and never for what is another's."""
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        team = [start("worker", "counting", "0"), start("worker", "counting", "1")]
        feed(kafka, topics.detections, records(0, 30))
        out.until(lambda m: len(m) > 60, "outputs begin")
        wait_for(lambda: members(kafka, "counting") == 2, "two members")
        team[0].signal(signal.SIGSTOP)
        feed(kafka, topics.detections, records(30, 60))
        out.until(lambda m: whole(m, 60), "the other takes over")
        feed(kafka, topics.detections, records(60, 70))
        team[0].signal(signal.SIGCONT)
        feed(kafka, topics.detections, records(70, 90))
        out.until(lambda m: whole(m, 90), "all outputs")
        assert [worker.end() for worker in team if worker.process.poll() is None].count(0) >= 1
        assert_undisturbed(out.read(1.0), 90)


def test_a_static_member_is_replaced_while_it_sleeps_and_then_wakes_up(kafka: Kafka, tmp_path: Path) -> None:
    """The same identity twice: the group keeps the generation's number, and fences the one that slept."""
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        sleeper = start("worker", "counting", "0")
        feed(kafka, topics.detections, records(0, 30))
        out.until(lambda m: len(m) > 60, "outputs begin")
        sleeper.signal(signal.SIGSTOP)
        heir = start("worker", "counting", "0")
        feed(kafka, topics.detections, records(30, 60))
        out.until(lambda m: whole(m, 60), "the heir goes on")
        sleeper.signal(signal.SIGCONT)
        feed(kafka, topics.detections, records(60, 80))
        out.until(lambda m: whole(m, 80), "all outputs")
        time.sleep(2.0)
        for worker in (sleeper, heir):
            if worker.process.poll() is None:
                worker.end()
        assert_undisturbed(out.read(1.0), 80)
    origin = KafkaOrigin(kafka, "counting")
    for partition, offset in committed(kafka, "counting", topics.detections).items():
        newest, _ = origin.snapshot(topics.snapshots_analyse, partition)
        assert newest is not None
        assert newest.next >= offset, "a commit is ahead of every snapshot"


def test_input_deleted_while_a_stage_with_state_is_down_is_told_and_the_rest_is_read(
    kafka: Kafka, tmp_path: Path
) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        feed(kafka, topics.detections, records(0, 10))
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 10), "all outputs")
        assert worker.end() == 0
        feed(kafka, topics.detections, records(10, 20))
        delete_before(kafka, topics.detections, ends(kafka, topics.detections))
        feed(kafka, topics.detections, records(20, 30))
        worker = start("worker", "tolerant")
        out.until(lambda m: len(m) >= 20 * len(KEYS), "what is kept")
        assert worker.end() == 0
        assert "records have gone unread" in worker.log
        assert '"n": 0' not in worker.log
        seen = distinct_of(out.read(1.0))
    assert seen == {key: [*range(10), *range(20, 30)] for key in KEYS}
    assert committed(kafka, "counting", topics.detections) == ends(kafka, topics.detections)


def distinct_of(messages: Sequence[Message]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for message in messages:
        found.setdefault(message.key(), []).append(msgspec.json.decode(message.value())["seq"])
    return found


def test_a_snapshot_of_another_version_stops_the_line_until_a_replay_is_asked_for(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        feed(kafka, topics.detections, records(0, 10))
        ahead = msgspec.msgpack.encode(snapshots.Envelope(snapshots.VERSION + 1, 5, None))
        client = producer(kafka, "other-version")
        for partition in range(kafka.partitions):
            client.produce(topics.snapshots_analyse, key=b"%d/1/other" % partition, value=ahead, partition=partition)
        assert client.flush(30) == 0
        worker = start("worker", "counting")
        assert worker.wait() == 1
        assert f"has version {snapshots.VERSION + 1}; this program reads {snapshots.VERSION}" in worker.log
        assert "--replay" in worker.log
        assert committed(kafka, "counting", topics.detections) == {}
        replay(kafka, "counting", topics.snapshots_analyse)
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 10), "all outputs")
        assert worker.end() == 0
        assert_undisturbed(out.read(1.0), 10)


def test_a_worker_that_never_answers_holds_up_no_rebalance(kafka: Kafka, tmp_path: Path) -> None:
    """Faust waits, at every rebalance, for messages that are not acknowledged: ours are none of them."""
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start:
        feed(kafka, topics.frames_batch, [(key, b"0") for key in KEYS])
        first = start("worker", "frozen")
        first.until("called")
        time.sleep(4.0)  # Faust commits what is acknowledged every 2.8 s
        begun = time.monotonic()
        start("worker", "frozen")
        wait_for(lambda: members(kafka, "copying") == 2, "two members", 30)
        assert time.monotonic() - begun < 30
    assert committed(kafka, "copying", topics.frames_batch) == {}, "Faust has committed what nobody answered"


def test_a_commit_that_went_back_repeats_and_changes_nothing(kafka: Kafka, tmp_path: Path) -> None:
    """As a zombie's would: the snapshot says where reading goes on, not the commit."""
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        feed(kafka, topics.detections, records(0, 10))
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 10), "all outputs")
        assert worker.end() == 0
        commit(kafka, "counting", topics.detections, dict.fromkeys(ends(kafka, topics.detections), 1))
        worker = start("worker", "counting")
        wait_for(
            lambda: committed(kafka, "counting", topics.detections) == ends(kafka, topics.detections),
            "the commit catches up, though no record follows",
            30,
        )
        assert worker.end() == 0
        assert len(out.read(1.0)) == 10 * len(KEYS)
        assert len(distinct(out.messages)) == len(KEYS)


def refuses(kafka: Kafka, topic: str, value: bytes) -> bool:
    """Whether the broker takes no such record."""
    errors: list[KafkaError | None] = []
    client = producer(kafka, "probe")
    client.produce(topic, key=b"key", value=value, on_delivery=lambda error, _: errors.append(error))
    assert client.flush(30) == 0
    return errors[0] is not None


def test_nothing_arrives_behind_a_record_that_the_broker_refuses(kafka: Kafka) -> None:
    """One record a request, five requests at once: those behind the refused one must not arrive."""
    topics = Topics.of(kafka)
    resource = ConfigResource(
        ResourceType.TOPIC,
        topics.tracks,
        incremental_configs=[
            ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET),
        ],
    )
    manager = admin(kafka)  # kept: its answers never come once it is collected
    for future in manager.incremental_alter_configs([resource]).values():
        future.result(30)
    # a busy broker answers before its logs go by it
    wait_for(lambda: refuses(kafka, topics.tracks, PROBE), "a large record is refused")
    tally = Tally()

    async def scene() -> None:
        with closing(KafkaPublisher(kafka, "gapless", **{"batch.num.messages": 1, "linger.ms": 200})) as publisher:
            for number in range(8):
                value = bytes([number]) * (20_000 if number == 3 else 100)
                await publisher.send(Output(topics.tracks, b"key", value), tally, 0)
            async with asyncio.timeout(20):
                with pytest.raises(BrokerUnavailable):
                    await tally.confirmed()
            with pytest.raises(FatalError, match="nothing may follow"):
                await publisher.send(Output(topics.tracks, b"key", b"late"), Tally(), 0)

    asyncio.run(scene())
    with follow(kafka, topics.tracks) as out:
        assert [m.value()[0] for m in out.read(3.0) if m.value() != PROBE] == [0, 1, 2]
