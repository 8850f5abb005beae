"""`python -m tests.faults.price`: what the persistence of state costs, in one run, alternated.

The stage `analyse` as it runs in production (Faust, tracker, analytics, snapshots, commits) over
streams made up of moving objects, on a real broker; views are left out, because the model server
would hide everything else. Without persistence there are the same chunks of work and the same waits for
outputs to be confirmed, but no state is made into bytes, none is written, and nothing is committed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from uuid import UUID

from confluent_kafka import TopicPartition

from core.ids import Run, Seq, StreamId, ViewId
from core.kafka import consumer, ensure_topics, producer, ready
from core.messages import (
    Analytic,
    Detection,
    FrameDetections,
    Place,
    RunBegin,
    Source,
    StreamSpec,
    VideoInfo,
    View,
    encode_json,
)
from core.settings import Kafka, Settings, load
from core.topics import Topics
from streams_proc.analyse import AnalyseHandler
from streams_proc.assemble import work
from streams_proc.host import FaustHost
from streams_proc.stage import StatefulStage
from streams_proc.stateful import PartitionWorker
from streams_proc.views import Wanted
from tests.conftest import PARTS, ROOT, free_ports, listens, served

OBJECTS = 6
FPS = 10.0
WITHOUT = "without"
MODES: Mapping[str, Mapping[str, str]] = {
    WITHOUT: {},
    "default (200 messages or 1 s)": {},
    "every message": {"SIGHTLINE_ANALYSE__SNAPSHOT_MESSAGES": "1"},
}


class NoViews:
    """Takes no pictures."""

    async def take(self, wanted: Sequence[Wanted]) -> dict[ViewId, View]:
        """None."""
        return {}


class Forgetful(AnalyseHandler):
    """Has nothing to keep."""

    def snapshot(self) -> bytes | None:
        """Nothing."""
        return None


async def unwritten(*_: object) -> None:
    """In place of a snapshot's writing."""


async def uncommitted(*_: object) -> bool:
    """In place of a commit."""
    return True


async def stage(stopping: asyncio.Event, mode: str) -> None:
    """The stage, until told to stop."""
    handler: type[AnalyseHandler] = AnalyseHandler
    if mode == WITHOUT:
        handler = Forgetful
        PartitionWorker._write = unwritten  # type: ignore[method-assign,assignment]
        FaustHost.commit = uncommitted  # type: ignore[method-assign,assignment]
    settings = load()
    topics = Topics.of(settings.kafka)
    made = StatefulStage(
        "analyse",
        topics.detections,
        topics.snapshots_analyse,
        lambda: handler(topics, settings.analyse, NoViews()),  # type: ignore[arg-type]  # all that is called
    )
    await work(settings, made, stopping)


def messages(stream: StreamId, frames: int, chance: random.Random) -> Iterator[bytes]:
    """A run of objects that wander about."""
    spec = StreamSpec(
        stream, Run(1), "made up", "live", Source("file:none", FPS), (Analytic("object_detection"),), "m", 0
    )
    yield encode_json(RunBegin(stream, Run(1), spec, VideoInfo(1920, 1080, FPS)))
    at = [(chance.uniform(0.1, 0.8), chance.uniform(0.1, 0.8)) for _ in range(OBJECTS)]
    for seq in range(frames):
        at = [(_step(x, chance), _step(y, chance)) for x, y in at]
        found = tuple(Detection("person", 0.7, (x, y, x + 0.08, y + 0.15)) for x, y in at)
        yield encode_json(
            FrameDetections(
                stream, Run(1), Seq(seq), seq, seq / FPS, int(seq / FPS * 1000), 960, 540, "m", 1,
                Place("frames", 0, seq), found,
            )
        )  # fmt: skip


def _step(value: float, chance: random.Random) -> float:
    return min(0.8, max(0.05, value + chance.uniform(-0.01, 0.01)))


@contextmanager
def broker(folder: Path) -> Iterator[Kafka]:
    """A private broker."""
    data = folder / "broker"
    (data / "kafka").mkdir(parents=True)
    (data / "kafka" / "lib").symlink_to(PARTS / "kafka" / "lib")
    port, controller = free_ports(2)
    kafka = Kafka(port=port, controller_port=controller)
    variables = {
        "SIGHTLINE_DATA_DIR": str(data),
        "SIGHTLINE_KAFKA__PORT": str(port),
        "SIGHTLINE_KAFKA__CONTROLLER_PORT": str(controller),
    }
    with served("infra.kafka", folder, variables, lambda: listens(port) and ready(kafka)):
        yield kafka


def frames_per_s(kafka: Kafka, folder: Path, runs: Mapping[StreamId, Sequence[bytes]], mode: str) -> float:
    """Fill `detections`, start the stage, and time it from its first track to its last."""
    mine = kafka.model_copy(update={"prefix": f"p{time.monotonic_ns()}."})
    ensure_topics(mine)
    topics = Topics.of(mine)
    client = producer(mine, "price", **{"queue.buffering.max.messages": 1_000_000})
    for values in zip(*runs.values(), strict=True):
        for stream, value in zip(runs, values, strict=True):
            client.produce(topics.detections, key=str(stream).encode(), value=value)
            client.poll(0)
    assert client.flush(60) == 0
    env = {
        **os.environ,
        "SIGHTLINE_DATA_DIR": str(folder / mine.prefix),
        "SIGHTLINE_KAFKA__BOOTSTRAP": mine.address,
        "SIGHTLINE_KAFKA__PREFIX": mine.prefix,
        "OMP_NUM_THREADS": "1",
        **MODES[mode],
    }
    total = sum(len(values) for values in runs.values())
    process = subprocess.Popen([sys.executable, "-m", "tests.faults.price", "--stage", mode], cwd=ROOT, env=env)
    try:
        reader = consumer(mine, "price", "price")
        first = _reaches(reader, mine, topics.tracks, total // 10, process)
        last = _reaches(reader, mine, topics.tracks, total, process)
        reader.close()
    finally:
        process.kill()
        process.wait()
    return (last[1] - first[1]) / (last[0] - first[0])


def _reaches(
    reader: object, kafka: Kafka, topic: str, count: int, process: subprocess.Popen[bytes]
) -> tuple[float, int]:
    """When (monotonic) a topic has at least `count` records, and how many it has then."""
    while True:
        assert process.poll() is None, "the stage has ended"
        ends = (
            reader.get_watermark_offsets(TopicPartition(topic, p), timeout=10.0)[1]  # type: ignore[attr-defined]
            for p in range(kafka.partitions)
        )
        if (now := sum(ends)) >= count:
            return time.monotonic(), now
        time.sleep(0.05)


def main() -> int:
    """Alternate the modes and print frames/s of each, with the ratio to `without`."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.price", description=__doc__)
    parser.add_argument("--stage", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--frames", type=int, default=1500, help="of each stream")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.stage:
        asyncio.run(stage(asyncio.Event(), chosen.stage))
        return 0
    chance = random.Random(1)
    ids = [StreamId(UUID(int=chance.getrandbits(128), version=4)) for _ in range(chosen.streams)]
    runs = {stream: list(messages(stream, chosen.frames, chance)) for stream in ids}
    found: dict[str, list[float]] = {name: [] for name in MODES}
    with tempfile.TemporaryDirectory(prefix="sightline-price-") as name:
        folder = Path(name)
        Settings()  # a wrong setting is told now, not by the stage
        with broker(folder) as kafka:
            for _ in range(chosen.rounds):
                for mode in MODES:
                    found[mode].append(frames_per_s(kafka, folder, runs, mode))
                    print(f"{mode}: {found[mode][-1]:.0f} frames/s", flush=True)
    base = median(found[WITHOUT])
    print(f"\n| snapshots and commits | frames/s, best of {chosen.rounds} | median | ratio of medians |")
    print("|---|---:|---:|---:|")
    for mode, values in found.items():
        print(f"| {mode} | {max(values):.0f} | {median(values):.0f} | {median(values) / base:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
