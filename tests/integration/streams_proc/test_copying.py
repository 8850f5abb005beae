"""A stage without state: rebalances, graceful ends, errors, trimmed input."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Message

from core.settings import Kafka
from core.topics import Topics
from tests.integration.streams_proc.processes import (
    committed,
    delete_before,
    ends,
    feed,
    follow,
    members,
    wait_for,
    workers,
)

pytestmark = pytest.mark.kafka
KEYS = [str(UUID(int=i)).encode() for i in range(16)]


def records(begin: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(key, f"{seq}".encode()) for seq in range(begin, end) for key in KEYS]


def first_of_each(messages: Sequence[Message]) -> dict[bytes, list[int]]:
    """Sequence numbers by key, without repeats."""
    seen: dict[bytes, list[int]] = {key: [] for key in KEYS}
    for message in messages:
        number = int(message.value())
        if number not in seen[message.key()]:
            seen[message.key()].append(number)
    return seen


def complete(messages: Sequence[Message], count: int) -> bool:
    return first_of_each(messages) == {key: list(range(count)) for key in KEYS}


def test_a_worker_that_ends_well_finishes_commits_and_repeats_nothing(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections) as out:
        for round_ in range(3):
            feed(kafka, topics.frames_batch, records(round_ * 150, round_ * 150 + 150))
            had = len(out.read(0.5))
            worker = start("worker", "copying")
            out.until(lambda m, h=had: len(m) > h + 50, "outputs go on")
            assert worker.end() == 0
            assert "Traceback" not in worker.log
        worker = start("worker", "copying")
        worker.until("joined")  # a signal that comes while Python still imports ends it by that signal
        out.until(lambda m: complete(m, 450), "all outputs")
        assert worker.end() == 0
        assert len(out.read(1.0)) == 450 * len(KEYS)
    assert committed(kafka, "copying", topics.frames_batch) == ends(kafka, topics.frames_batch)


def test_workers_that_come_and_go_keep_the_order_and_lose_nothing(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections) as out:
        first = start("worker", "copying")
        feed(kafka, topics.frames_live, records(0, 40))
        out.until(lambda m: len(m) > 100, "outputs begin")
        second = start("worker", "copying")
        feed(kafka, topics.frames_live, records(40, 80))
        out.until(lambda m: complete(m, 80), "all outputs so far")
        third = start("worker", "copying")
        wait_for(lambda: members(kafka, "copying") == 3, "three members")
        feed(kafka, topics.frames_live, records(80, 120))
        out.until(lambda m: len(m) > 85 * len(KEYS), "outputs go on")
        first.kill()
        assert second.end() == 0
        feed(kafka, topics.frames_live, records(120, 160))
        out.until(lambda m: complete(m, 160), "all outputs")
        assert third.end() == 0


def test_an_error_of_the_handler_ends_the_process_and_the_record_is_not_lost(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections) as out:
        feed(kafka, topics.frames_batch, records(0, 20))
        worker = start("worker", "failing")
        assert worker.wait() == 1
        assert [line for line in worker.log.splitlines() if '"stopped"' in line and "ValueError" in line]
        again = start("worker", "copying")
        out.until(lambda m: complete(m, 20), "all outputs")
        assert again.end() == 0


def test_trimmed_input_is_read_from_what_is_kept(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections) as out:
        feed(kafka, topics.frames_batch, records(0, 20))
        lows = {p: end // 2 for p, end in ends(kafka, topics.frames_batch).items()}
        delete_before(kafka, topics.frames_batch, lows)
        kept = sum(ends(kafka, topics.frames_batch).values()) - sum(lows.values())
        worker = start("worker", "copying")
        out.until(lambda m: len(m) == kept, "what is kept")
        assert worker.end() == 0
        assert len(out.read(1.0)) == kept
    assert committed(kafka, "copying", topics.frames_batch) == ends(kafka, topics.frames_batch)


def test_a_call_that_cannot_finish_does_not_keep_the_process(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    with workers(kafka, tmp_path) as start:
        feed(kafka, topics.frames_batch, records(0, 1))
        worker = start("worker", "frozen")
        worker.until("called")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert "work unfinished" in worker.log
    assert committed(kafka, "copying", topics.frames_batch) == {}
