"""The benchmarks, in the order in which they run."""

from __future__ import annotations

from benchmarks.bench import Benchmark
from benchmarks.suite import (
    api,
    cameras,
    clickhouse,
    detect,
    gate,
    growth,
    ingest,
    kafka,
    lancedb,
    latency,
    model,
    pipeline,
    server,
    start,
)

MODULES = (
    model,
    server,
    pipeline,
    ingest,
    gate,
    kafka,
    clickhouse,
    lancedb,
    api,
    latency,
    cameras,
    detect,
    growth,
    start,
)
ALL: tuple[Benchmark, ...] = tuple(module.BENCHMARK for module in MODULES)
