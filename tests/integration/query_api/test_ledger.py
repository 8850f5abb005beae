"""The ledger of runs under way: every frame in flight is found where it lies, on real topics and stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest

from core.ids import Run, Seq, StreamId
from core.kafka import producer
from core.messages import (
    Frame,
    FrameDetections,
    IngestCounts,
    Place,
    RunBegin,
    Source,
    StreamSpec,
    StreamStatus,
    VideoInfo,
    encode_frame,
    encode_json,
)
from core.partitions import partition_of
from core.settings import Kafka
from core.topics import Topics
from query_api.in_flight import KafkaFlights, RunKey
from tests.conftest import sightline
from tests.integration.query_api.conftest import Served, variables
from tests.integration.streams_proc.processes import commit
from warehouse.control.receipts import EXPECTED

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
START, RUN, VIDEO = 1_760_000_000_000, Run(1), VideoInfo(64, 48, 10.0)
PUBLISHED, DETECTED, STORED, FOLLOWED, LOST = 40, 25, 15, 10, 3


def stream_on(partition: int, partitions: int, not_before: int = 0) -> StreamId:
    """A stream whose records lie on this partition."""
    return next(
        StreamId(UUID(int=i))
        for i in range(not_before + 1, not_before + 1000)
        if partition_of(str(UUID(int=i)).encode(), partitions) == partition
    )


def spec(stream: StreamId, lane: str = "batch") -> StreamSpec:
    return StreamSpec(
        stream, RUN, f"s{stream.int}", "live" if lane == "live" else "batch", Source("file:x"), (), "m", START
    )


def frame(stream: StreamId, seq: int) -> Frame:
    return Frame(stream, RUN, Seq(seq), seq, seq / 10, START + seq * 100, 64, 48, b"\xff\xd8" * 500, "m")


def detections(stream: StreamId, seq: int) -> FrameDetections:
    return FrameDetections(
        stream, RUN, Seq(seq), seq, seq / 10, START + seq * 100, 64, 48, "m", 1, Place("frames.batch", 0, seq), ()
    )


def put(kafka: Kafka, topic: str, records: list[tuple[StreamId, bytes]]) -> list[tuple[int, int]]:
    """Publish; partition and offset of each."""
    client, places = producer(kafka, "test"), {}
    for number, (stream, value) in enumerate(records):

        def arrived(_: object, message: object, number: int = number) -> None:
            places[number] = (message.partition(), message.offset())  # type: ignore[attr-defined]

        client.produce(topic, key=str(stream).encode(), value=value, on_delivery=arrived)
    assert client.flush(30) == 0
    return [places[number] for number in range(len(records))]


def publish(kafka: Kafka, stream: StreamId, other: StreamId) -> Mapping[str, list[tuple[int, int]]]:
    """A run under way: part of it detected, part of that stored, part of that followed."""
    topics = Topics.of(kafka)
    begin = encode_frame(RunBegin(stream, RUN, spec(stream), VIDEO))
    frames = put(
        kafka,
        topics.frames_batch,
        [(stream, begin)] + [(stream, encode_frame(frame(stream, i))) for i in range(PUBLISHED)],
    )
    assert {partition for partition, _ in frames} == {partition_of(str(stream).encode(), kafka.partitions)}
    between = [(stream, b"{nobody reads this"), (other, encode_json(detections(other, 0)))]
    seen = put(
        kafka, topics.detections, [(stream, encode_json(detections(stream, i))) for i in range(DETECTED)] + between
    )
    partition = frames[0][0]
    commit(kafka, "detect", topics.frames_batch, {partition: frames[1 + DETECTED][1]})
    commit(kafka, "sink-clickhouse", topics.detections, {partition: seen[STORED][1]})
    commit(kafka, "analyse", topics.detections, {partition: seen[FOLLOWED][1]})
    return {"frames": frames[1:], "detections": seen}


def test_every_frame_in_flight_is_found_and_one_that_is_nowhere_is_told(served: Served, tmp_path: Path) -> None:
    kafka = served.settings.kafka
    stream = stream_on(1, kafka.partitions)
    other = stream_on(2, kafka.partitions)
    for each in (stream, other):
        served.control.create_stream(spec(each))
    places = publish(kafka, stream, other)
    served.analytics.write_frames([detections(stream, i) for i in range(STORED) if i != LOST])
    counts = IngestCounts(decoded=50, sampled_out=8, read=42, published=PUBLISHED)
    served.control.record_status(StreamStatus(stream, RUN, "in_progress", START, "host", counts, video=VIDEO))

    (item,) = served.http.get("/query/v1/ledger", params={"stream_ids": str(stream)}).json()["items"]
    assert (item["read"], item["processed"], item["in_flight"]) == (42, STORED - 1, 42 - STORED + 1)
    assert item["places"] == {
        "ingest": 2, "detect": PUBLISHED - DETECTED, "sink": DETECTED - STORED, "missing": 1, "unlocated": 0,
        "awaiting_analyse": DETECTED - FOLLOWED,
    }  # fmt: skip
    assert (item["imbalance"], item["differences"]) == (1, ["1 frames are neither stored nor on Kafka"])

    topics, listed, after = Topics.of(kafka), [], None
    while True:
        params = {"limit": 7, **({} if after is None else {"after": after})}
        page = served.http.get(f"/query/v1/ledger/{stream}", params=params).json()
        listed += [(f["seq"], f["place"], f["topic"], f["partition"], f["offset"]) for f in page["frames"]]
        after = page["next_after"]
        if after is None:
            break
    assert listed == [
        (LOST, "missing", None, None, None),
        *((i, "sink", topics.detections, *places["detections"][i]) for i in range(STORED, DETECTED)),
        *((i, "detect", topics.frames_batch, *places["frames"][i]) for i in range(DETECTED, PUBLISHED)),
    ]

    env = variables(served.settings)
    wrong = sightline(env, "ledger", "--stream", str(stream), "--frames")
    assert wrong.returncode == 1
    assert "1 frames are neither stored nor on Kafka" in wrong.stderr
    assert f"{topics.frames_batch}/{places['frames'][30][0]}/{places['frames'][30][1]}" in wrong.stdout
    assert "2 at ingest, 15 before detect, 10 before the sink, 1 missing, 15 to be followed" in wrong.stdout

    # the lost frame is found: everything sums
    served.analytics.write_frames([detections(stream, LOST)])
    right = sightline(env, "ledger", "--stream", str(stream), "--json")
    assert right.returncode == 0, right.stderr
    found = json.loads(right.stdout)
    assert (found["places"]["missing"], found["imbalance"], found["in_flight"]) == (0, 0, 27)


def test_a_finished_run_sums_or_says_by_how_many_it_does_not(served: Served) -> None:
    stream = stream_on(0, served.settings.kafka.partitions)
    served.control.create_stream(spec(stream))
    counts = IngestCounts(decoded=12, sampled_out=2, read=10, published=10)
    served.control.record_status(StreamStatus(stream, RUN, "done", START, "host", counts, video=VIDEO))
    for sink, topic in EXPECTED:
        served.control.record_receipt(stream, RUN, sink, topic)
    served.analytics.write_frames([detections(stream, i) for i in range(9)])
    (item,) = served.http.get("/query/v1/ledger").json()["items"]
    assert (item["finished"], item["in_flight"], item["places"]["missing"], item["imbalance"]) == (True, 1, 1, 1)
    served.analytics.write_frames([detections(stream, 9)])
    (item,) = served.http.get("/query/v1/ledger").json()["items"]
    assert (item["in_flight"], item["imbalance"], item["differences"]) == (0, 0, [])


def test_a_look_stays_within_its_bounds_and_says_so(kafka: Kafka) -> None:
    stream, other = stream_on(1, kafka.partitions), stream_on(1, kafka.partitions, not_before=1000)
    publish(kafka, stream, other)
    key = RunKey(stream, RUN, "batch")
    unknown = RunKey(other, Run(2), "live")
    wanted = {key: frozenset(Seq(i) for i in range(30, 40))}
    whole = KafkaFlights(kafka).look([key, unknown], wanted)
    assert (whole[key].whole, whole[key].frames_whole, len(whole[key].frames)) == (True, True, 10)
    assert (whole[key].unread, len(whole[key].detections)) == (PUBLISHED - DETECTED, DETECTED - STORED)
    assert (whole[unknown].detections, whole[unknown].unread) == ({}, 0)
    few = KafkaFlights(kafka, most_records=7).look([key], wanted)[key]
    assert (few.whole, few.frames_whole) == (False, False)
    assert sorted(few.frames) == [30, 31]
    ticks = iter(range(1000))
    late = KafkaFlights(kafka, most_s=0.5, clock=lambda: float(next(ticks))).look([key], wanted)[key]
    assert not late.whole
    assert KafkaFlights(kafka).look([]) == {}
