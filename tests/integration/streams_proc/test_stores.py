"""The processes `control` and the sinks, as they are started, on a real broker and real stores."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.ids import EventId, Run, Seq, StreamId, TrackId, ViewId, event_id, media_key, view_id
from core.messages import (
    Detection,
    Event,
    FrameDetections,
    FrameTracks,
    IngestCounts,
    Place,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    StreamStatus,
    TrackedBox,
    VideoInfo,
    View,
    decode_spec,
    encode_json,
)
from core.settings import ClickHouse, Control, Kafka, Settings
from core.topics import Topics
from tests.integration.streams_proc.processes import feed, follow, wait_for, workers
from warehouse.analytics import AnalyticsStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.store import ControlStore
from warehouse.embeddings import EmbeddingStore
from warehouse.media import MediaStore
from warehouse.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
FRAMES = 30
SINKS = ("sink-clickhouse", "sink-lancedb", "sink-media")


@pytest.fixture
def settings(kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path) -> Iterator[Settings]:
    """Settings of this test's parts, with every schema made."""
    mine = Settings(
        data_dir=tmp_path,
        kafka=kafka,
        clickhouse=clickhouse,
        control=Control(url=SecretStr(f"sqlite:///{tmp_path}/c.db")),
    )
    migrate(mine)
    yield mine


def variables(settings: Settings) -> dict[str, str]:
    clickhouse = settings.clickhouse
    return {
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(clickhouse.http_port),
        "SIGHTLINE_CLICKHOUSE__DATABASE": clickhouse.database,
        "SIGHTLINE_CLICKHOUSE__USER": clickhouse.user,
        "SIGHTLINE_CLICKHOUSE__PASSWORD": clickhouse.password.get_secret_value(),
        "SIGHTLINE_CONTROL__URL": settings.control.url.get_secret_value(),
    }


def spec(stream: StreamId, *, ephemeral: bool = False) -> StreamSpec:
    return StreamSpec(
        stream, Run(1), "clip", "batch", Source("file:clip"), (), "m", 1_700_000_000_000, task=True, ephemeral=ephemeral
    )


def publish_run(settings: Settings, stream: StreamId, *, ephemeral: bool = False) -> None:
    """What detect and analyse say about a run, on their three topics."""
    topics, key = Topics.of(settings.kafka), str(stream).encode()
    begin = RunBegin(stream, Run(1), spec(stream, ephemeral=ephemeral), VideoInfo(640, 480, 10.0))
    end = RunEnd(stream, Run(1), "done", IngestCounts(read=FRAMES, published=FRAMES), 1, ephemeral=ephemeral)
    detections = [begin, *(frame(stream, i, ephemeral) for i in range(FRAMES)), end]
    tracks = [begin, *(tracked(stream, i, ephemeral) for i in range(FRAMES)), end]
    feed(settings.kafka, topics.detections, [(key, encode_json(m)) for m in detections])
    feed(settings.kafka, topics.tracks, [(key, encode_json(m)) for m in tracks])
    feed(settings.kafka, topics.events, [(key, encode_json(m)) for m in (event(stream, ephemeral), end)])


def frame(stream: StreamId, i: int, ephemeral: bool) -> FrameDetections:
    return FrameDetections(
        stream,
        Run(1),
        Seq(i),
        i,
        i / 10,
        1_700_000_000_000 + i * 100,
        640,
        480,
        "m",
        1,
        Place("f", 0, i),
        (Detection("car", 0.5, (0.1, 0.1, 0.2, 0.2)),),
        error="no picture" if i == 7 else None,
        ephemeral=ephemeral,
    )


def tracked(stream: StreamId, i: int, ephemeral: bool) -> FrameTracks:
    view = view_id(stream, Run(1), TrackId(1), Seq(i), "appearance")
    taken = View(
        ViewId(view),
        TrackId(1),
        "appearance",
        "car",
        0.5,
        (0.1, 0.1, 0.2, 0.2),
        media_key(stream, Run(1), view),
        b"\xff\xd8picture",
        "appearance",
        tuple([1.0] + [0.0] * 1279),
    )
    return FrameTracks(
        stream,
        Run(1),
        Seq(i),
        i,
        i / 10,
        1_700_000_000_000 + i * 100,
        640,
        480,
        (TrackedBox(TrackId(1), "car", 0.5, (0.1, 0.1, 0.2, 0.2)),),
        (taken,) if i % 10 == 0 else (),
        ephemeral=ephemeral,
    )


def event(stream: StreamId, ephemeral: bool) -> Event:
    identity: EventId = event_id(stream, Run(1), 0, 1)
    at = 1_700_000_000_000
    return Event(
        identity,
        stream,
        Run(1),
        0,
        "object_detection",
        "object",
        "begin",
        0,
        Seq(0),
        at,
        at,
        0.0,
        Seq(0),
        label="car",
        ephemeral=ephemeral,
    )


def test_sinks_store_a_run_once_receipt_it_and_leave_out_what_is_not_to_be_stored(
    settings: Settings, tmp_path: Path
) -> None:
    kept, deleted, passing = (StreamId(uuid.uuid4()) for _ in range(3))
    control = ControlStore.connect(settings)
    for stream in (kept, deleted, passing):
        control.create_stream(spec(stream, ephemeral=stream == passing))
    control.delete_stream(deleted)
    for stream in (deleted, passing, kept, kept):  # the last one twice, as after a restart
        publish_run(settings, stream, ephemeral=stream == passing)
    with workers(settings.kafka, tmp_path) as start:
        team = [start("streams_proc.__main__", sink, **variables(settings)) for sink in SINKS]
        wait_for(
            lambda: control.receipts(kept, Run(1)) == EXPECTED or any(w.process.poll() is not None for w in team),
            "all receipts",
        )
        assert [worker.end() for worker in team] == [0, 0, 0], [worker.log for worker in team]
    assert control.receipts(kept, Run(1)) == EXPECTED
    assert control.receipts(passing, Run(1)) == frozenset()
    analytics, media = AnalyticsStore.connect(settings), MediaStore.connect(settings)
    counts = analytics.frame_counts(kept, Run(1))
    assert (counts.processed, counts.dead_lettered) == (FRAMES - 1, 1)
    neighbours = EmbeddingStore.connect(settings).search("appearance", [1.0] + [0.0] * 1279, limit=100)
    assert {(n.stream_id, n.seq) for n in neighbours} == {(kept, 0), (kept, 10), (kept, 20)}
    assert len(list(media.keys(str(kept)))) == 3
    for stream in (deleted, passing):
        assert analytics.frame_counts(stream, Run(1)).processed == 0
        assert list(media.keys(str(stream))) == []
    analytics.close()
    control.close()


def test_control_relays_the_outbox_records_statuses_and_sweeps_what_was_deleted(
    settings: Settings, tmp_path: Path
) -> None:
    topics = Topics.of(settings.kafka)
    control, analytics, media = (
        ControlStore.connect(settings),
        AnalyticsStore.connect(settings),
        MediaStore.connect(settings),
    )
    stream, gone = StreamId(uuid.uuid4()), StreamId(uuid.uuid4())
    for each in (stream, gone):
        control.create_stream(spec(each))
    control.delete_stream(gone)
    analytics.write_frames([frame(gone, 0, False)])  # was on its way when the stream was deleted
    media.put(media_key(gone, Run(1), ViewId(uuid.uuid4())), b"picture")
    heard = StreamStatus(stream, Run(1), "in_progress", 1_700_000_000_500, "host", IngestCounts(read=9, decoded=9))
    feed(settings.kafka, topics.stream_status, [(str(stream).encode(), encode_json(heard)), (b"x", b"not json")])
    with workers(settings.kafka, tmp_path) as start, follow(settings.kafka, topics.streams) as out:
        worker = start("streams_proc.__main__", "control", **variables(settings))
        out.until(lambda m: len(m) >= 3 or worker.process.poll() is not None, "the outbox on the topic")
        values = {key: [m.value() for m in out.messages if m.key() == str(key).encode()] for key in (stream, gone)}
        assert [decode_spec(value) for value in values[stream]] == [spec(stream)]
        assert values[gone][-1] is None
        wait_for(lambda: control.run(stream, Run(1)).state == "in_progress", "the status in the database")
        wait_for(
            lambda: not list(media.keys(str(gone))) and not analytics.frame_counts(gone, Run(1)).processed, "the sweep"
        )
        assert worker.end() == 0, worker.log
    assert control.take_outbox(10) == []
    assert control.run(stream, Run(1)).counts.read == 9
    analytics.close()
    control.close()
