"""The stage `detect` when the model server is not the limit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicPartition

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import broker
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Row, row
from benchmarks.usage import Usage
from benchmarks.work.made_up import frame_of, stream_of
from core.kafka import admin, consumer, ensure_topics, producer
from core.messages import encode_frame
from core.settings import Kafka
from core.topics import Topics
from tests.conftest import ROOT

STREAMS = 16
SERVICE_MS = (5, 40)
PATIENCE_S = 180.0
NO_COORDINATOR = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""What a broker that has just begun says of a group."""


def run(bench: Bench) -> Sequence[Row]:
    """One worker and two, for a fast detector and for a slow one."""
    pictures = clips.jpegs(bench.shared / clips.CARS, 64)
    frames = 3_000 if bench.short else 12_000
    rows: list[Row] = []
    numbers = count()
    with broker(bench.folder) as (kafka, pid):
        for service_ms in SERVICE_MS:

            def side(workers: int, service_ms: int = service_ms) -> Side:
                def work() -> Work:
                    mine = kafka.model_copy(update={"prefix": f"d{next(numbers)}."})
                    return _round(bench, mine, pid, pictures, frames, workers=workers, service_ms=service_ms)

                return Side(f"{workers} at {service_ms} ms", work)

            one, two = side(1), side(2)
            found = alternate([one, two], bench.rounds, bench.say)
            names = [f"{workers}, {service_ms} ms a call" for workers in ("one worker", "two workers")]
            rows.append(row(names[0], found[one.name], "frames/s"))
            rows.append(row(names[1], found[two.name], "frames/s", against=("one worker", found[one.name])))
    return rows


def _round(
    bench: Bench, kafka: Kafka, pid: int, pictures: Sequence[bytes], frames: int, *, workers: int, service_ms: int
) -> Work:
    """Frames that wait are worked off; measured from the first tenth of them to the last."""
    ensure_topics(kafka)
    _fill(kafka, pictures, frames)
    with ExitStack() as kept:
        pids = {f"detect {n}": kept.enter_context(_worker(bench, kafka, n, service_ms)) for n in range(1, workers + 1)}
        done = kept.enter_context(_counting(kafka))
        _until(lambda: _joined(kafka), workers, "workers have partitions")
        _go(bench, kafka).touch()
        _until(done, frames // 10, "frames are done")
        with Usage({**pids, "kafka": pid}) as used:
            begun, first = time.perf_counter(), done()
            _until(done, frames, "frames are done")
            seconds = time.perf_counter() - begun
    items = frames - first
    if items <= 0:
        raise Failed("all frames were done before the measurement began: there are too few")
    return Work(items, seconds, used.cpu_s, used.memory_mb)


def _fill(kafka: Kafka, pictures: Sequence[bytes], frames: int) -> None:
    topic = Topics.of(kafka).frames_batch
    client = producer(kafka, "bench")
    for number in range(frames):
        stream, seq = number % STREAMS, number // STREAMS
        value = encode_frame(frame_of(stream, seq, pictures[number % len(pictures)]))
        while True:
            try:
                client.produce(topic, key=str(stream_of(stream)).encode(), value=value)
                break
            except BufferError:
                client.poll(0.05)
    if client.flush(PATIENCE_S):
        raise Failed("the broker does not take the frames")


@contextmanager
def _worker(bench: Bench, kafka: Kafka, number: int, service_ms: int) -> Iterator[int]:
    """A worker, as the stack starts it; its process id."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")} | {
        "SIGHTLINE_DATA_DIR": str(bench.folder / f"{kafka.prefix}{number}"),
        "SIGHTLINE_KAFKA__BOOTSTRAP": kafka.address,
        "SIGHTLINE_KAFKA__PREFIX": kafka.prefix,
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    command = [sys.executable, "-m", "benchmarks.work.detecting", str(service_ms), str(_go(bench, kafka))]
    with (bench.folder / f"detect-{number}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def _counting(kafka: Kafka) -> Iterator[Callable[[], int]]:
    """How many detections have been published."""
    client = consumer(kafka, "bench", "bench")
    places = [TopicPartition(Topics.of(kafka).detections, p) for p in range(kafka.partitions)]
    try:
        yield lambda: sum(client.get_watermark_offsets(place, timeout=10.0)[1] for place in places)
    finally:
        client.close()


def _joined(kafka: Kafka) -> int:
    """Workers that hold partitions of the frames, once the group has settled."""
    client = admin(kafka)  # kept until it has answered
    (future,) = client.describe_consumer_groups([kafka.prefix + "detect"]).values()
    try:
        group = future.result(10.0)
    except KafkaException as error:
        if error.args[0].code() not in NO_COORDINATOR:
            raise
        return 0
    if group.state != ConsumerGroupState.STABLE:
        return 0
    topic = Topics.of(kafka).frames_batch
    held = (member.assignment.topic_partitions for member in group.members if member.assignment)
    return sum(any(place.topic == topic for place in places) for places in held)


def _go(bench: Bench, kafka: Kafka) -> Path:
    return bench.folder / f"{kafka.prefix}go"


def _until(reached: Callable[[], int], wanted: int, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while (now := reached()) < wanted:
        if time.monotonic() > end:
            raise Failed(f"{now} of {wanted} {what} after {PATIENCE_S:.0f} s")
        time.sleep(0.02)


BENCHMARK = Benchmark(
    "detect",
    "The stage `detect` before a detector that only takes its time, a call of eight frames at a time and two in "
    f"flight; {STREAMS} streams over four partitions; two workers beside one.",
    run,
)
