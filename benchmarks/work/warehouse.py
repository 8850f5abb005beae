"""ClickHouse: the warehouse's writer, the bare driver, and questions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import child
from benchmarks.work.made_up import BEGIN_MS, detections_of, stream_of
from core.messages import FrameDetections
from core.settings import Settings
from warehouse.analytics import AnalyticsStore
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.columns import build, frame_batches
from warehouse.clickhouse.topology import Topology
from warehouse.filters import Filter

OBJECTS = 10
FRAMES = 1000
"""Of an insert: ten thousand detections."""
DAY_MS = 86_400_000
STREAM_ROWS = 500_000
AT_ONCE = 10
"""Streams that one statement fills."""

FILL = """
INSERT INTO {table} SELECT
    toUUID('00000000-0000-4000-8000-' || leftPad(lower(hex(toUInt64({first} + intDiv(number, {rows})))), 12, '0')),
    fromUnixTimestamp64Milli(toInt64({begin} + intDiv(number % {rows}, 5) * {day} * 5 / {rows}), 'UTC'),
    1, intDiv(number % {rows}, 5), 'object', number % 5, intDiv(number % {rows}, 5),
    intDiv(number % {rows}, 5) / 1.157, ['person', 'car', 'bicycle'][cityHash64(number) % 3 + 1],
    0.4 + cityHash64(number, 1) % 60000 / 100000, cityHash64(number, 2) % 50000 / 100000,
    cityHash64(number, 3) % 50000 / 100000, 0.5 + cityHash64(number, 4) % 50000 / 100000,
    0.5 + cityHash64(number, 5) % 50000 / 100000, []
FROM numbers({rows} * {streams})
"""


class Warehouse:
    """Each thing that is asked of it, by name."""

    def __init__(self, setup: dict[str, Any]) -> None:
        settings = Settings(**setup["settings"])
        self._store = AnalyticsStore.connect(settings)
        self._client = Client(settings)
        self._topology = Topology.of(settings.clickhouse)
        self._written = 0
        self._filled = 0
        self._chance = random.Random(1)
        self._does: dict[str, Callable[[int], Mapping[str, Any]]] = {
            "product": lambda inserts: self._timed(inserts, self._store.write_frames),
            "bare": self._bare,
            "fill": self._fill,
            "ask": self._ask,
        }

    def __call__(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Write so many inserts, fill up to so many streams, or ask so often."""
        return self._does[question["what"]](int(question["number"]))

    def _timed(self, inserts: int, write: Callable[[list[FrameDetections]], None]) -> Mapping[str, Any]:
        seconds = cpu_s = 0.0
        for _ in range(inserts):
            frames = self._frames()
            begun, cpu = time.perf_counter(), time.process_time()
            write(frames)
            seconds += time.perf_counter() - begun
            cpu_s += time.process_time() - cpu
        return {"items": inserts * FRAMES * OBJECTS, "seconds": seconds, "cpu_s": cpu_s}

    def _bare(self, inserts: int) -> Mapping[str, Any]:
        """The driver with the same columns, made before."""
        seconds = cpu_s = 0.0
        for _ in range(inserts):
            batches = build(self._frames(), frame_batches)
            begun, cpu = time.perf_counter(), time.process_time()
            for batch in batches:
                self._client.insert(self._topology.table(batch.table), batch.columns, batch.types)
            seconds += time.perf_counter() - begun
            cpu_s += time.process_time() - cpu
        return {"items": inserts * FRAMES * OBJECTS, "seconds": seconds, "cpu_s": cpu_s}

    def _frames(self) -> list[FrameDetections]:
        first = self._written
        self._written += FRAMES
        # of a stream that no question is about
        return [detections_of(10**9, seq, OBJECTS) for seq in range(first, first + FRAMES)]

    def _fill(self, streams: int) -> Mapping[str, Any]:
        begun = time.perf_counter()
        before = self._filled
        while self._filled < streams:
            now = min(AT_ONCE, streams - self._filled)
            self._client.command(
                FILL.format(
                    table=self._topology.table("detections"),
                    first=self._filled,
                    rows=STREAM_ROWS,
                    begin=BEGIN_MS,
                    day=DAY_MS,
                    streams=now,
                )
            )
            self._filled += now
        return {"items": (self._filled - before) * STREAM_ROWS, "seconds": time.perf_counter() - begun}

    def _ask(self, times: int) -> Mapping[str, Any]:
        """A day of a stream by the hour, so often, of any stream."""
        took = []
        for _ in range(times):
            asked = Filter(
                stream_ids=(stream_of(self._chance.randrange(self._filled)),),
                from_ms=BEGIN_MS,
                to_ms=BEGIN_MS + DAY_MS,
            )
            begun = time.perf_counter()
            rows = self._store.statistics(asked, metric="detections", bucket="hour")
            took.append(time.perf_counter() - begun)
            assert sum(found.value for found in rows) == STREAM_ROWS, "a question found other rows than were written"
        return {"items": times, "seconds": sum(took), "took_s": took}


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """`setup` has the ``settings``."""
    return Warehouse(setup), {}


if __name__ == "__main__":
    child.serve(make)
