"""A worker process of the tests: `python worker.py KIND [INSTANCE]`, settings from the environment.

`counting` keeps, per key, how many records it has seen and a digest of all of them in order, so
one lost, doubled or misplaced record changes every later output of its key; `tolerant` is the same
group, and takes a gap in a key for what it is. `copying` has no
state; `failing` raises at its third call, and `frozen` never answers.
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
from streams_proc.quiet import say_no_more
from streams_proc.serve import run
from streams_proc.stage import Outcome, Output, Record, StatefulStage, StatelessStage


class Counting:
    tolerant = False

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
        assert message["seq"] == count or self.tolerant, f"{key}: {message['seq']} after {count}"
        digest = hashlib.sha1(f"{digest}/{message['seq']}/{message['text']}".encode()).hexdigest()
        self.state[key] = (message["seq"] + 1, digest)
        return (Output(self.out, record.key or b"", json.dumps({"seq": message["seq"], "digest": digest}).encode()),)

    def snapshot(self) -> bytes | None:
        return json.dumps(self.state).encode()

    def restore(self, data: bytes) -> None:
        self.state = {key: (count, digest) for key, (count, digest) in json.loads(data).items()}


class Tolerant(Counting):
    tolerant = True


class Copying:
    def __init__(self, out: str) -> None:
        self.out = out

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        await asyncio.sleep(0.01)
        return [(Output(self.out, record.key or b"", record.value),) for record in records]


class Failing(Copying):
    calls = 0

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        self.calls += 1
        if self.calls == 3:
            raise ValueError("a bug")
        return await super().handle(records)


class Frozen(Copying):
    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        log.get(__name__).info("called")
        await asyncio.sleep(3600)
        return await super().handle(records)


STATEFUL = {"counting": Counting, "tolerant": Tolerant}
STATELESS = {"copying": Copying, "failing": Failing, "frozen": Frozen}


def main() -> int:
    settings = load()
    kind, *rest = sys.argv[1:]
    instance = rest[0] if rest else None
    log.configure(settings.telemetry, kind)
    topics = Topics.of(settings.kafka)
    stage: StatelessStage | StatefulStage
    if kind in STATEFUL:
        make = STATEFUL[kind]
        stage = StatefulStage("counting", topics.detections, topics.snapshots_analyse, lambda: make(topics.tracks))
    else:
        handler = STATELESS[kind](topics.detections)
        stage = StatelessStage("copying", (topics.frames_live, topics.frames_batch), handler, 16, 0.005, 2)
    return run(kind, lambda stopping: work(settings, stage, stopping, instance), say_no_more)


if __name__ == "__main__":
    sys.exit(main())
