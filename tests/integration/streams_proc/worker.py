"""A worker process of the tests: `python worker.py counting|copying`, settings from the environment.

`counting` keeps, per key, how many records it has seen and a digest of all of them in order, so
one lost, doubled or misplaced record changes every later output of its key. `copying` has no
state; `frozen` blocks its first call for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence

from core import log
from core.settings import load
from core.topics import Topics
from streams_proc.assemble import work
from streams_proc.serve import run
from streams_proc.stage import Outcome, Output, Record, StatefulStage, StatelessStage


class Counting:
    def __init__(self, out: str) -> None:
        self.out = out
        self.state: dict[str, tuple[int, str]] = {}

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        return [self._one(record) for record in records]

    def _one(self, record: Record) -> Sequence[Output]:
        key = (record.key or b"").decode()
        message = json.loads(record.value or b"")
        count, digest = self.state.get(key, (0, ""))
        if message["seq"] < count:
            return ()  # a replay
        assert message["seq"] == count, f"{key}: {message['seq']} after {count}"
        digest = hashlib.sha1(f"{digest}/{message['seq']}/{message['text']}".encode()).hexdigest()
        self.state[key] = (count + 1, digest)
        return (Output(self.out, record.key or b"", json.dumps({"seq": message["seq"], "digest": digest}).encode()),)

    def snapshot(self) -> bytes | None:
        return json.dumps(self.state).encode()

    def restore(self, data: bytes) -> None:
        self.state = {key: (count, digest) for key, (count, digest) in json.loads(data).items()}


class Copying:
    def __init__(self, out: str) -> None:
        self.out = out

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        await asyncio.sleep(0.002)
        return [(Output(self.out, record.key or b"", record.value),) for record in records]


def main() -> int:
    settings = load()
    kind, *rest = sys.argv[1:]
    instance = rest[0] if rest else None
    log.configure(settings.telemetry, kind)
    topics = Topics.of(settings.kafka)
    stage: StatelessStage | StatefulStage
    if kind == "counting":
        stage = StatefulStage(kind, topics.detections, topics.snapshots_analyse, lambda: Counting(topics.tracks))
    else:
        stage = StatelessStage(
            kind, (topics.frames_live, topics.frames_batch), Copying(topics.detections), 16, 0.005, 2
        )
    return run(kind, lambda stopping: work(settings, stage, stopping, instance))


if __name__ == "__main__":
    sys.exit(main())
