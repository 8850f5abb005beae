"""More and more streams."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.figures import percentile, spread
from benchmarks.follow import Follower, Passed
from benchmarks.parts import Stack, stack
from benchmarks.rows import Row
from benchmarks.usage import Usage
from core.ids import StreamId

MODEL = "centernet-256"
FPS = 2.0
COUNTS = (1, 2, 4, 8, 16)
SETTLE_S = 60.0
ROUNDS = 3


def run(bench: Bench) -> Sequence[Row]:
    """A stack with so many cameras, three times each."""
    rows: list[Row] = []
    with stack(bench.folder) as standing:
        for count in COUNTS:
            rows += _streams(bench, standing, count)
    return rows


def _streams(bench: Bench, standing: Stack, count: int) -> list[Row]:
    service = standing.service
    url = service.upload(bench.shared / clips.CARS).url
    request = {"url": url, "fps": FPS, "loop": True, "gate": False, "model": MODEL}
    streams = [StreamId(service.add_stream({**request, "name": f"camera {n}"}).stream_id) for n in range(count)]
    try:
        _settled(standing, streams)
        with Usage(standing.processes()) as used:
            rounds = [_round(bench, standing, streams) for _ in range(ROUNDS)]
    finally:
        for stream in streams:
            service.remove_stream(stream)
    seconds = bench.round_s
    rates = tuple(len(passed.tracks) / seconds for passed in rounds)
    delays = tuple(percentile(passed.whole(), 0.95) for passed in rounds)
    whole = [delay for passed in rounds for delay in passed.whole()]
    frames = sum(len(passed.tracks) for passed in rounds)
    bench.say(f"{count} streams: {max(rates):.1f} frames/s, p95 {min(delays):.0f} ms")
    asked = count * FPS
    return [
        Row(
            f"{count} streams, tracked",
            max(rates),
            "frames/s",
            rounds=rates,
            spread=spread(rates),
            reference=f"{asked:g} frames/s asked for",
            ratio=percentile(rates, 0.5) / asked,
            cpu_s={name: spent / frames for name, spent in used.cpu_s.items()},
            memory_mb=used.memory_mb,
        ),
        Row(
            f"{count} streams, frame to tracks",
            min(delays),
            "ms p95",
            "less",
            delays,
            spread(delays),
            note=f"p50 {percentile(whole, 0.5):.0f} ms",
        ),
    ]


def _round(bench: Bench, standing: Stack, streams: Sequence[StreamId]) -> Passed:
    with closing(Follower(standing.settings)) as follower:
        passed = follower.follow(streams, bench.round_s)
    if not passed.whole():
        raise Failed("no frame of any stream came through")
    return passed


def _settled(standing: Stack, streams: Sequence[StreamId]) -> None:
    """Until every stream has tracks."""
    until = time.monotonic() + SETTLE_S
    seen: set[StreamId] = set()
    with closing(Follower(standing.settings)) as follower:
        while len(seen) < len(streams):
            if time.monotonic() > until:
                raise Failed(f"{len(seen)} of {len(streams)} streams came through within {SETTLE_S:.0f} s")
            seen |= {stream for stream, _ in follower.follow(streams, 1.0).tracks}


BENCHMARK = Benchmark(
    "growth",
    f"{', '.join(map(str, COUNTS))} cameras of {FPS:g} frames/s each (a looped file at its own pace, {MODEL}) on the "
    "whole stack.",
    run,
)
