"""A bench: definitions in, records out, with real hosts between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from core import kafka as clients
from core.ids import Run, StreamId, new_stream_id
from core.messages import (
    Analytic,
    Frame,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    StreamStatus,
    decode_frames,
    decode_status,
    encode_json,
)
from core.settings import Kafka, Settings
from core.topics import Topics
from ingest import progress
from ingest.host import Host

Messages = list[RunBegin | Frame | RunEnd]
ENDED = {"done", "failure", "stop"}


@dataclass
class Bench:
    """Publishes definitions, starts hosts, and keeps every record there is."""

    settings: Settings
    consumer: Consumer
    messages: dict[StreamId, Messages] = field(default_factory=dict)
    statuses: dict[StreamId, list[StreamStatus]] = field(default_factory=dict)
    checkpoints: dict[StreamId, list[progress.Checkpoint | None]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    hosts: list[tuple[Host, threading.Thread]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topics = Topics.of(self.settings.kafka)
        self.producer = clients.producer(self.settings.kafka, "bench")

    # -- in

    def spec(self, url: str | Path, *, lane: str = "batch", fps: float = 0.0, run: int = 1, **more: Any) -> StreamSpec:
        source = {name: more.pop(name) for name in list(more) if name in Source.__struct_fields__}
        return StreamSpec(
            stream_id=more.pop("stream_id", None) or new_stream_id(),
            run=Run(run),
            name="test",
            lane=lane,  # type: ignore[arg-type]
            source=Source(url=str(url) if ":" in str(url) else f"file:{url}", fps=fps, **source),
            analytics=(Analytic("object_detection"),),
            model="detector",
            started_ms=1_700_000_000_000,
            **more,
        )

    def publish(self, *specs: StreamSpec) -> None:
        for spec in specs:
            self.producer.produce(self.topics.streams, key=str(spec.stream_id).encode(), value=encode_json(spec))
        assert self.producer.flush(10) == 0

    def delete(self, spec: StreamSpec) -> None:
        self.producer.produce(self.topics.streams, key=str(spec.stream_id).encode(), value=None)
        assert self.producer.flush(10) == 0

    # -- hosts

    def host(self) -> Host:
        """A host in a thread of this process."""
        host = Host(self.settings)
        thread = threading.Thread(target=host.run, name="host")
        thread.start()
        self.hosts.append((host, thread))
        return host

    def host_process(self, instance: int = 1) -> subprocess.Popen[bytes]:
        """A host as it is deployed: its place in the group outlives it for a while."""
        dumped = self.settings.model_dump(mode="json")
        variables = {
            "SIGHTLINE_DATA_DIR": dumped["data_dir"],
            "SIGHTLINE_KAFKA": msgspec.json.encode(dumped["kafka"]).decode(),
            "SIGHTLINE_INGEST": msgspec.json.encode(dumped["ingest"]).decode(),
            "SIGHTLINE_MEDIA": msgspec.json.encode(dumped["media"]).decode(),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest", "--instance", str(instance)], env={**os.environ, **variables}
        )
        self.processes.append(process)
        return process

    def members(self) -> list[tuple[str, str | None]]:
        """Of the hosts' group: member ids, and those that their hosts chose themselves."""
        group = self.settings.kafka.prefix + "ingest"
        client = clients.admin(self.settings.kafka)  # held until the answer is there
        found = client.describe_consumer_groups([group])[group].result(10)
        return [(member.member_id, member.group_instance_id) for member in found.members]

    def stop_hosts(self) -> None:
        for host, thread in self.hosts:
            host.stop()
            thread.join(30)
            assert not thread.is_alive()
        self.hosts.clear()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                assert process.wait(30) == 0
        self.processes.clear()

    # -- out

    def until(self, condition: Callable[[], bool], timeout_s: float = 60.0, what: str = "") -> None:
        """Read records until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, what or f"nothing after {timeout_s:.0f} s"
            self.read(0.1)

    def read(self, timeout_s: float) -> None:
        for message in self.consumer.consume(200, timeout=timeout_s):
            assert message.error() is None
            key, value, topic = message.key(), message.value(), message.topic()
            if key is None or b"-" not in key:
                continue
            stream = StreamId(UUID(key.decode()))
            if topic == self.topics.stream_status:
                self.statuses.setdefault(stream, []).append(decode_status(value))
            elif topic == self.topics.ingest_progress:
                found = None if value is None else progress.decode(value)
                self.checkpoints.setdefault(stream, []).append(found)
            else:
                self.messages.setdefault(stream, []).append(decode_frames(value))

    def ended(self, *specs: StreamSpec) -> bool:
        """Whether the runs have ended and their last checkpoint is there."""
        return all(
            any(
                c is not None and c.run == s.run and c.state != "running" for c in self.checkpoints.get(s.stream_id, [])
            )
            for s in specs
        )

    def wait_ended(self, *specs: StreamSpec, timeout_s: float = 120.0) -> None:
        self.until(lambda: self.ended(*specs), timeout_s, "not all runs ended")

    def frames(self, spec: StreamSpec) -> list[Frame]:
        return [m for m in self.messages.get(spec.stream_id, []) if isinstance(m, Frame) and m.run == spec.run]

    def end(self, spec: StreamSpec) -> RunEnd:
        ends = [m for m in self.messages[spec.stream_id] if isinstance(m, RunEnd) and m.run == spec.run]
        assert len(ends) == 1, "a run ends once"
        return ends[0]

    def states(self, spec: StreamSpec) -> list[str]:
        found = [s.state for s in self.statuses.get(spec.stream_id, []) if s.run == spec.run and not s.heartbeat]
        return [state for at, state in enumerate(found) if at == 0 or state != found[at - 1]]

    def expect_states(self, spec: StreamSpec, *expected: str) -> None:
        """The run's statuses tell these states; they come on a topic of their own, maybe after the run's end."""
        self.until(lambda: len(self.states(spec)) >= len(expected), 30.0, f"the statuses of {expected}")
        assert self.states(spec) == list(expected)

    def commit_for_detect(self) -> None:
        """As if detect had read every frame there is."""
        consumer = clients.consumer(self.settings.kafka, "bench-detect", "detect")
        for topic in (self.topics.frames_live, self.topics.frames_batch):
            places = [TopicPartition(topic, p) for p in range(self.settings.kafka.partitions)]
            ends = [
                TopicPartition(p.topic, p.partition, consumer.get_watermark_offsets(p, timeout=10, cached=False)[1])
                for p in places
            ]
            consumer.commit(offsets=ends, asynchronous=False)
        consumer.close()


@pytest.fixture
def ingest_settings(kafka: Kafka, shared: Path, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "var",
        kafka=kafka,
        ingest={"file_roots": [shared / "data", tmp_path], "allow_loopback": True},
    )


@pytest.fixture
def make_bench(ingest_settings: Settings) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**ingest: Any) -> Bench:
        kafka = ingest_settings.kafka.model_copy(update=ingest.pop("kafka", {}))
        changed = ingest_settings.model_copy(
            update={"ingest": ingest_settings.ingest.model_copy(update=ingest), "kafka": kafka}
        )
        topics = Topics.of(kafka)
        consumer = clients.consumer(kafka, "bench", "bench")
        followed = (topics.frames_batch, topics.frames_live, topics.stream_status, topics.ingest_progress)
        consumer.assign([TopicPartition(topic, p, 0) for topic in followed for p in range(kafka.partitions)])
        benches.append(Bench(changed, consumer))
        return benches[-1]

    yield make
    for bench in benches:
        try:
            bench.stop_hosts()
        finally:
            for process in bench.processes:
                process.kill()
                process.wait()
            bench.consumer.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
