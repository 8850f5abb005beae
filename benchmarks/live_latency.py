"""`python -m benchmarks.live_latency`: frame published to its tracks and events on Kafka, alone and beside a backlog.

Against the running stack. A file is played at its own pace, first with nothing else to do, then with
at least `--backlog` frames of tasks queued on the batch lane all the time; in each case every frame
counts: from the producer's time of the frame to the producer's time of its tracks (and of each event
that it decided).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import httpx
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from core.ids import StreamId
from core.kafka import admin, consumer
from core.messages import Event, Frame, FrameTracks, RunEnd, decode_event, decode_frames, decode_tracks
from core.settings import Settings, load
from core.topics import Topics

CLIP = "data/videos/intel/bottle-detection.mp4"
BACKLOG = "data/videos/intel/car-detection.mp4"
PATIENCE_S = 120.0


class Service:
    """What is asked of the query service."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{settings.query.port}", timeout=60, trust_env=False)

    def upload(self, file: Path) -> str:
        """The upload's address."""
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._http.post(
            "/query/v1/videos", params={"name": file.name}, content=file.read_bytes(), headers=headers
        )
        url: str = answer.raise_for_status().json()["url"]
        return url

    def watch(self, file: Path, fps: float) -> StreamId:
        """Play a file at its own pace."""
        analytics = [{"name": "object_detection", "parameters": {"labels": "any"}}]
        body = {"url": self.upload(file), "name": "latency", "fps": fps, "realtime": True, "analytics": analytics}
        answer = self._http.post("/query/v1/streams", json=body)
        return StreamId(UUID(answer.raise_for_status().json()["stream_id"]))

    def task(self, file: Path) -> str:
        """Analyse every frame of a file."""
        analytics = [{"analytic_name": "object_detection", "parameters": {}}]
        body = {
            "deferred_task": {"enable": 1},
            "video": {"url": self.upload(file), "fps": 0},
            "analytics": analytics,
        }
        task: str = self._http.post("/1/videosdk", json=body).raise_for_status().json()["task_id"]
        return task

    def forget(self, kind: str, which: object) -> None:
        """Delete it and what it left."""
        self._http.delete(f"/query/v1/{kind}/{which}")


def queued(settings: Settings, client: AdminClient) -> int:
    """Frames of the batch lane that detect has not committed yet."""
    topic = Topics.of(settings.kafka).frames_batch
    places = [TopicPartition(topic, p) for p in range(settings.kafka.partitions)]
    ends = client.list_offsets({place: OffsetSpec.latest() for place in places})
    request = ConsumerGroupTopicPartitions(settings.kafka.prefix + "detect", places)
    (future,) = client.list_consumer_group_offsets([request]).values()
    committed = {tp.partition: max(tp.offset, 0) for tp in future.result(10).topic_partitions or ()}
    return sum(future.result(10).offset - committed[place.partition] for place, future in ends.items())


class Follower:
    """Reads the live lane's topics from now on."""

    def __init__(self, settings: Settings) -> None:
        self._topics = Topics.of(settings.kafka)
        self._client: Consumer = consumer(settings.kafka, "latency", "latency")
        names = (self._topics.frames_live, self._topics.tracks, self._topics.events)
        places = [TopicPartition(name, p) for name in names for p in range(settings.kafka.partitions)]
        for place in places:
            place.offset = self._client.get_watermark_offsets(place, timeout=10)[1]
        self._client.assign(places)

    def latencies(self, stream: StreamId) -> tuple[list[int], list[int]]:
        """Milliseconds of every frame's tracks, and of every event, until the run ends."""
        key = str(stream).encode()
        begun: dict[int, int] = {}
        tracks: dict[int, int] = {}
        events: list[tuple[int, int]] = []
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            record = self._client.poll(1.0)
            if record is None or record.error() is not None or record.key() != key:
                continue
            at = record.timestamp()[1]
            if record.topic() == self._topics.frames_live:
                frame = decode_frames(record.value())
                if isinstance(frame, Frame):
                    begun[frame.seq] = at
            elif record.topic() == self._topics.tracks:
                found = decode_tracks(record.value())
                if isinstance(found, RunEnd):
                    break
                if isinstance(found, FrameTracks):
                    tracks[found.seq] = at
            else:
                event = decode_event(record.value())
                if isinstance(event, Event):
                    events.append((event.seq, at))
        self._client.close()
        return [tracks[s] - begun[s] for s in tracks if s in begun], [at - begun[s] for s, at in events if s in begun]


def shown(name: str, values: Sequence[int]) -> str:
    """A line of the table."""
    if len(values) < 2:
        return f"| {name} | {len(values)} | | | | |"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"| {name} | {len(values)} | {cuts[49]:.0f} | {cuts[94]:.0f} | {cuts[98]:.0f} | {max(values)} |"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_latency", description=__doc__)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--backlog", type=int, default=1000)
    chosen = parser.parse_args()
    shared = Path(os.environ.get("SIGHTLINE_SHARED", "../shared"))
    settings = load()
    service, client = Service(settings), admin(settings.kafka)
    lines = []
    tasks: list[str] = []
    for backlog in (0, chosen.backlog):
        while queued(settings, client) < backlog:
            while len(tasks) < 2 + 2 * backlog // 300:
                tasks.append(service.task(shared / BACKLOG))
            time.sleep(0.5)
        before = queued(settings, client)
        follower = Follower(settings)
        stream = service.watch(shared / CLIP, chosen.fps)
        frames, events = follower.latencies(stream)
        after = queued(settings, client)
        service.forget("streams", stream)
        beside = f"beside {before} to {after} queued frames" if backlog else "alone"
        lines += [shown(f"tracks, {beside}", frames), shown(f"events, {beside}", events)]
    for task in tasks:
        service.forget("tasks", task)
    print("| live, ms | count | p50 | p95 | p99 | longest |\n|---|---:|---:|---:|---:|---:|")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
