"""A stage with state, on a real broker, with workers that are killed, stopped and stalled.

Every output carries a digest of all that its key has seen, so one record lost, doubled or out of
order changes all later ones; they are compared with one undisturbed pass.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Message

from core.kafka import ensure_topics
from core.settings import Kafka
from core.topics import Topics
from streams_proc.origin import KafkaOrigin
from streams_proc.replay import replay
from tests.integration.streams_proc.processes import (
    Worker,
    committed,
    delete_before,
    delete_topic,
    ends,
    feed,
    follow,
    wait_for,
    workers,
)

pytestmark = pytest.mark.kafka
KEYS = [str(UUID(int=i)).encode() for i in range(16)]


def records(begin: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(key, json.dumps({"seq": seq, "text": f"{seq}!"}).encode()) for seq in range(begin, end) for key in KEYS]


def undisturbed(count: int) -> list[str]:
    digests: list[str] = []
    digest = ""
    for seq in range(count):
        digest = hashlib.sha1(f"{digest}/{seq}/{seq}!".encode()).hexdigest()
        digests.append(digest)
    return digests


def distinct(messages: Sequence[Message]) -> dict[bytes, dict[int, str]]:
    """Digest by key and seq; two of one seq must be equal, and the first of each seq come in order."""
    seen: dict[bytes, dict[int, str]] = defaultdict(dict)
    for message in messages:
        value = json.loads(message.value())
        of_key = seen[message.key()]
        if value["seq"] not in of_key:
            assert value["seq"] == len(of_key), f"{message.key()}: {value['seq']} after {len(of_key)}"
        assert of_key.setdefault(value["seq"], value["digest"]) == value["digest"]
    return seen


def whole(messages: Sequence[Message], count: int) -> bool:
    return sum(map(len, distinct(messages).values())) == count * len(KEYS)


def assert_undisturbed(messages: Sequence[Message], count: int) -> None:
    expected = dict(enumerate(undisturbed(count)))
    assert distinct(messages) == dict.fromkeys(KEYS, expected)


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_killed_workers_lose_nothing_and_change_nothing(kafka: Kafka, tmp_path: Path, static: bool) -> None:
    topics = Topics.of(kafka)
    rng = random.Random(7)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:

        def begin(i: int) -> Worker:
            return start("worker", "counting", *([str(i)] if static else []))

        team = [begin(0), begin(1)]
        for round_ in range(4):
            feed(kafka, topics.detections, records(round_ * 50, round_ * 50 + 50))
            out.until(lambda m, r=round_: len(m) > r * 50 * len(KEYS) + 100, "outputs go on")
            victim = rng.randrange(2)
            team[victim].kill()
            team[victim] = begin(victim)
        out.until(lambda m: whole(m, 200), "all outputs")
        for worker in team:
            worker.until("joined")
        assert [worker.end() for worker in team] == [0, 0]
        assert_undisturbed(out.read(1.0), 200)


def test_a_stalled_worker_that_wakes_up_after_its_session_changes_nothing(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        team = [start("worker", "counting"), start("worker", "counting")]
        feed(kafka, topics.detections, records(0, 50))
        out.until(lambda m: len(m) > 100, "outputs begin")
        team[0].signal(signal.SIGSTOP)
        feed(kafka, topics.detections, records(50, 100))
        out.until(lambda m: whole(m, 100), "the other takes over")
        team[0].signal(signal.SIGCONT)
        feed(kafka, topics.detections, records(100, 150))
        out.until(lambda m: whole(m, 150), "all outputs")
        for worker in team:
            if worker.process.poll() is None:
                worker.end()
        assert_undisturbed(out.read(1.0), 150)


def test_old_snapshots_are_removed_and_the_commit_is_never_ahead_of_the_newest(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        for round_ in range(3):
            worker = start("worker", "counting")
            feed(kafka, topics.detections, records(round_ * 10, round_ * 10 + 10))
            out.until(lambda m, r=round_: whole(m, r * 10 + 10), "all outputs")
            assert worker.end() == 0
        assert len(out.read(1.0)) == 30 * len(KEYS), "a worker that ends well repeats nothing"
    origin = KafkaOrigin(kafka, "counting")
    for partition, offset in committed(kafka, "counting", topics.detections).items():
        newest, keys = origin.snapshot(topics.snapshots_analyse, partition)
        assert newest is not None
        assert (newest.next, len(keys)) == (offset, 1)
    assert committed(kafka, "counting", topics.detections) == ends(kafka, topics.detections)


def test_a_lost_snapshot_stops_the_line_and_a_replay_begins_anew(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        feed(kafka, topics.detections, records(0, 10))
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 10), "all outputs")
        assert worker.end() == 0
        delete_topic(kafka, topics.snapshots_analyse)
        wait_for(lambda: bool(ensure_topics(kafka)), "the topic is gone and made again")
        feed(kafka, topics.detections, records(10, 11))
        worker = start("worker", "counting")
        assert worker.wait() == 1
        assert "SnapshotError" in worker.log
        assert "--replay" in worker.log
        replay(kafka, "counting", topics.snapshots_analyse)
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 11), "the new records")
        out.until(lambda m: len(m) == 21 * len(KEYS), "everything a second time")
        assert worker.end() == 0
        assert_undisturbed(out.read(1.0), 11)


def test_records_deleted_under_a_stalled_worker_are_a_gap_that_ends_it(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.tracks) as out:
        feed(kafka, topics.detections, records(0, 10))
        worker = start("worker", "counting")
        out.until(lambda m: whole(m, 10), "all outputs")
        time.sleep(1.5)  # its cut by time
        worker.signal(signal.SIGSTOP)
        time.sleep(1.0)  # the fetch it has sent is answered: what comes now is in nobody's hands
        feed(kafka, topics.detections, records(10, 20))
        delete_before(kafka, topics.detections, {p: end - 5 for p, end in ends(kafka, topics.detections).items()})
        worker.signal(signal.SIGCONT)
        assert worker.wait() == 1
        # a machine this busy may cost it its membership: then it learns of the gap when it comes back
        unread = "have gone unread" in worker.log and " after 10" in worker.log
        assert "GapError" in worker.log or unread, worker.log
