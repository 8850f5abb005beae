"""Bad records on every topic, between good ones, through the processes as they run."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Message
from pydantic import SecretStr

from core.bounds import check_key
from core.errors import BadMessage
from core.ids import Run, Seq, StreamId
from core.kafka import producer
from core.messages import (
    Analytic,
    Frame,
    FrameDetections,
    IngestCounts,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    StreamStatus,
    VideoInfo,
    decode_detections,
    encode_frame,
    encode_json,
)
from core.settings import ClickHouse, Control, Kafka, Settings
from core.topics import Topics
from tests.hostile.messages import bad
from tests.integration.streams_proc.processes import follow, wait_for, workers
from tests.integration.streams_proc.test_stores import variables
from warehouse.analytics import AnalyticsStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.store import ControlStore
from warehouse.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
SEED = 4
FRAMES = 15
BAD = 60
READERS = {
    "frames": ("detect",),
    "detections": ("analyse", "sink-clickhouse"),
    "tracks": ("sink-clickhouse", "sink-lancedb", "sink-media"),
    "events": ("sink-clickhouse", "notify"),
    "stream-status": ("control",),
    "stream-changes": ("notify",),
    "task-ends": ("notify",),
}
Sent = tuple[str, int, int]
"""Topic, partition, offset."""


@pytest.fixture
def settings(kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path) -> Iterator[Settings]:
    mine = Settings(
        data_dir=tmp_path,
        kafka=kafka,
        clickhouse=clickhouse,
        control=Control(url=SecretStr(f"sqlite:///{tmp_path}/c.db")),
    )
    migrate(mine)
    yield mine


def spec(stream: StreamId) -> StreamSpec:
    return StreamSpec(
        stream,
        Run(1),
        "s",
        "batch",
        Source("file:x"),
        (Analytic("object_detection"),),
        "m",
        1_700_000_000_000,
        task=True,
    )


def run_of(stream: StreamId) -> list[bytes]:
    frames = [
        Frame(stream, Run(1), Seq(i), i, i / 10, 1_700_000_000_000 + i, 960, 540, b"ok%d" % i * 99, "m")
        for i in range(FRAMES)
    ]
    end = RunEnd(stream, Run(1), "done", IngestCounts(read=FRAMES, published=FRAMES), 1_700_000_009_000)
    begin = RunBegin(stream, Run(1), spec(stream), VideoInfo(960, 540, 10.0))
    return [encode_frame(message) for message in (begin, *frames, end)]


def feed_mixed(settings: Settings, streams: Sequence[StreamId]) -> dict[str, set[Sent]]:
    """Good runs and statuses with bad records of all topics between them; where the bad ones lie."""
    topics, chance = Topics.of(settings.kafka), random.Random(SEED)
    names = {kind: getattr(topics, kind.replace("-", "_"), "") or topics.frames_batch for kind in READERS}
    sent: dict[str, set[Sent]] = {kind: set() for kind in READERS}
    client = producer(settings.kafka, "feed")
    good: list[tuple[str, bytes, bytes]] = []
    for at, values in enumerate(zip(*map(run_of, streams), strict=True)):
        for stream, value in zip(streams, values, strict=True):
            counts = IngestCounts(decoded=at, read=at, published=at)
            told = StreamStatus(stream, Run(1), "in_progress", 1_700_000_000_500 + at, "host", counts)
            good.append((topics.frames_batch, str(stream).encode(), value))
            good.append((topics.stream_status, str(stream).encode(), encode_json(told)))
    poisons = [(kind, number) for kind in READERS for number in range(BAD)]
    chance.shuffle(poisons)

    def noted(kind: str, message: Message) -> None:
        sent[kind].add((str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)))

    for at, (topic, key, value) in enumerate(good):
        client.produce(topic, key=key, value=value)
        while poisons and len(poisons) * len(good) > (len(good) - at - 1) * BAD * len(READERS):
            kind, number = poisons.pop()
            poison = bad(kind, number, chance.choice(streams))
            client.produce(
                names[kind],
                key=poison.key,
                value=poison.value,
                on_delivery=lambda error, message, kind=kind: noted(kind, message),
            )
        client.poll(0)
    assert client.flush(30) == 0
    assert not poisons
    return sent


@pytest.mark.timeout(280)
def test_what_is_bad_is_put_aside_with_its_origin_and_what_is_good_comes_through(
    settings: Settings, tmp_path: Path
) -> None:
    topics = Topics.of(settings.kafka)
    streams = [StreamId(uuid.uuid4()) for _ in range(4)]
    control = ControlStore.connect(settings)
    for stream in streams:
        control.create_stream(spec(stream))
    sent = feed_mixed(settings, streams)
    assert {kind: len(places) for kind, places in sent.items()} == dict.fromkeys(READERS, BAD)
    expected = {(*place, stage) for kind, stages in READERS.items() for stage in stages for place in sent[kind]}
    with (
        workers(settings.kafka, tmp_path) as start,
        follow(settings.kafka, topics.dead_letters) as letters,
        follow(settings.kafka, topics.detections) as out,
    ):
        # what is good on `tracks` and `events` comes only when detect and analyse have made it
        own = {**variables(settings), "SIGHTLINE_DEAD_LETTERS__IN_A_ROW": str(BAD * len(READERS))}
        team = [start("detecting", "0.001", **own), start("analysing", **own)]
        for name in ("control", "sink-clickhouse", "sink-lancedb", "sink-media", "notify"):
            team.append(start("streams_proc.__main__", name, **own))

        def done() -> bool:
            ended = [worker.log for worker in team if worker.process.poll() is not None]
            assert not ended, "\n".join(log[-3000:] for log in ended)
            complete = all(control.receipts(stream, Run(1)) == EXPECTED for stream in streams)
            return complete and len(letters.read()) >= len(expected)

        wait_for(done, "all receipts and all dead letters", 200)
        assert [worker.end() for worker in team] == [0] * len(team), [worker.log for worker in team]
        letters.read(2.0)
        out.until(lambda messages: len(messages) >= BAD + len(streams) * (FRAMES + 2), "every record of detections")
        out.read(2.0)
    # a worker that was thrown out of its group for a while may put the same letter aside again
    assert {origin_of(letter) for letter in letters.messages} == expected
    for letter in letters.messages:
        assert b"BadMessage: " in dict(letter.headers())["reason"]
    analytics = AnalyticsStore.connect(settings)
    for stream in streams:
        frames = [m for m in map(read, out.messages) if isinstance(m, FrameDetections) and m.stream_id == stream]
        assert [(f.seq, f.error) for f in frames] == [(i, None) for i in range(FRAMES)]
        counts = analytics.frame_counts(stream, Run(1))
        assert (counts.processed, counts.dead_lettered) == (FRAMES, 0)
        assert control.run(stream, Run(1)).counts.read == FRAMES + 1
    analytics.close()
    control.close()


def origin_of(letter: Message) -> tuple[str, int, int, str]:
    headers = {name: value.decode("utf-8", "replace") for name, value in letter.headers()}
    return headers["origin_topic"], int(headers["origin_partition"]), int(headers["origin_offset"]), headers["stage"]


def read(message: Message) -> object:
    """What a record of `detections` says; None for the bad ones."""
    try:
        said = decode_detections(message.value())
        check_key(message.key(), said.stream_id)
    except BadMessage:
        return None
    return said
