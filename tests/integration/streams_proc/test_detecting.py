"""detect end to end on a real broker, with a detector whose answer follows from the picture's bytes."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Message

from core.ids import Run, Seq, StreamId
from core.messages import (
    Frame,
    FrameDetections,
    FramesMessage,
    IngestCounts,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    VideoInfo,
    decode_detections,
    encode_frame,
)
from core.settings import Kafka
from core.topics import Topics
from streams_proc.trim import KafkaLogs, Trim
from tests.integration.streams_proc.processes import commit, committed, ends, feed, follow, wait_for, workers

pytestmark = pytest.mark.kafka
FRAMES = 60
BAD = 13


def run_of(stream: StreamId, lane: str) -> list[FramesMessage]:
    spec = StreamSpec(stream, Run(1), "s", "live" if lane == "live" else "batch", Source("file:x"), (), "m", 0)
    frames = [
        Frame(
            stream,
            Run(1),
            Seq(i),
            i * 3,
            i / 10,
            1000 + i,
            960,
            540,
            (b"bad" if i == BAD else b"ok") + f"{stream}/{i}".encode() * 400,
            "m",
            faces=i % 2 == 0,
        )
        for i in range(FRAMES)
    ]
    end = RunEnd(stream, Run(1), "done", IngestCounts(read=FRAMES, published=FRAMES), 9)
    return [RunBegin(stream, Run(1), spec, VideoInfo(960, 540, 10.0)), *frames, end]


BATCH = {StreamId(UUID(int=i)): run_of(StreamId(UUID(int=i)), "batch") for i in range(8)}
LIVE = {StreamId(UUID(int=i)): run_of(StreamId(UUID(int=i)), "live") for i in range(100, 104)}
RUNS = BATCH | LIVE


def interleaved(runs: dict[StreamId, list[FramesMessage]]) -> list[tuple[bytes, bytes]]:
    return [
        (str(stream).encode(), encode_frame(message))
        for messages in zip(*runs.values(), strict=True)
        for stream, message in zip(runs, messages, strict=True)
    ]


def by_stream(messages: Sequence[Message]) -> dict[StreamId, list[RunBegin | FrameDetections | RunEnd]]:
    """Without repeats, which must be equal to the first."""
    seen: dict[StreamId, list[RunBegin | FrameDetections | RunEnd]] = defaultdict(list)
    for each in messages:
        message = decode_detections(each.value())
        assert each.key() == str(message.stream_id).encode()
        if message not in seen[message.stream_id]:
            seen[message.stream_id].append(message)
    return seen


def complete(messages: Sequence[Message]) -> bool:
    seen = by_stream(messages)
    return len(seen) == len(RUNS) and all(isinstance(run[-1], RunEnd) for run in seen.values())


def assert_expected(messages: Sequence[Message], topics: Topics) -> None:
    for stream, run in by_stream(messages).items():
        first, *between, last = run
        sent = RUNS[stream]
        assert (first, last) == (sent[0], sent[-1])
        frames = [m for m in between if isinstance(m, FrameDetections)]
        assert [m.seq for m in frames] == list(range(FRAMES)), "in order, without a gap or a difference on repeat"
        for frame, original in zip(frames, sent[1:-1], strict=True):
            assert isinstance(original, Frame)
            assert frame.place.topic == (topics.frames_live if stream in LIVE else topics.frames_batch)
            if frame.seq == BAD:
                assert (frame.error, frame.objects, frame.faces) == ("no picture", (), None)
                continue
            x = (zlib.crc32(original.jpeg) % 100_000) / 100_001
            assert [(o.label, o.box) for o in frame.objects] == [
                ("person", (0.0, 0.1, round(x, 5), 0.9)),
                ("car", (round(x / 3, 5), 0.1, round(x, 5), 0.9)),
            ]
            assert frame.faces == (() if original.faces else None)


@pytest.mark.parametrize("kills", [0, 3])
def test_every_frame_is_answered_once_in_order_whatever_happens_to_the_workers(
    kafka: Kafka, tmp_path: Path, kills: int
) -> None:
    topics = Topics.of(kafka)
    feed(kafka, topics.frames_batch, interleaved(BATCH))
    feed(kafka, topics.frames_live, interleaved(LIVE))
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections, topics.dead_letters) as out:

        def detections() -> list[Message]:
            return [m for m in out.read() if m.topic() == topics.detections]

        team = [start("detecting", "0.05"), start("detecting", "0.05")]
        for kill in range(kills):
            out.until(lambda m, k=kill: len(m) > (k + 1) * 120, "outputs go on")
            team[kill % 2].kill()
            team[kill % 2] = start("detecting", "0.05")
        out.until(lambda _: complete(detections()), "all runs have ended")
        for topic in (topics.frames_live, topics.frames_batch):
            # before they end: one that ends while its group changes has nothing to commit for
            wait_for(lambda t=topic: committed(kafka, "detect", t) == ends(kafka, t), f"all of {topic} is committed")
        for worker in team:
            worker.until("joined")  # the one begun last may not have come so far
        assert [worker.end() for worker in team] == [0, 0]
        out.read(1.0)
        assert_expected(detections(), topics)
        letters = {m.key(): m for m in out.messages if m.topic() == topics.dead_letters}
    assert len(letters) == len(RUNS), "one a stream, by place"
    headers = dict(next(iter(letters.values())).headers())
    assert headers["stage"] == b"detect"
    assert headers["reason"] == b"BadImage: no picture"


def test_frames_go_from_the_batch_lane_once_analyse_has_passed_them(kafka: Kafka, tmp_path: Path) -> None:
    topics = Topics.of(kafka)
    feed(kafka, topics.frames_batch, interleaved(BATCH))
    trim = Trim(KafkaLogs(kafka), topics)
    with workers(kafka, tmp_path) as start, follow(kafka, topics.detections) as out:
        worker = start("detecting", "0.001")
        out.until(lambda m: len(m) == len(BATCH) * (FRAMES + 2), "all detections")
        assert worker.end() == 0
        assert trim.trim() == {}, "analyse has read nothing yet"
        passed = ends(kafka, topics.detections)
        commit(kafka, "analyse", topics.detections, passed)
        places = [decode_detections(m.value()) for m in out.messages]
    last = dict.fromkeys(passed, 0)
    for message in places:
        if isinstance(message, FrameDetections):
            last[message.place.partition] = max(last[message.place.partition], message.place.offset + 1)
    assert trim.trim() == last
    assert trim.trim() == {}
    logs = KafkaLogs(kafka)
    assert {p: logs.low(topics.frames_batch, p) for p in last} == last
