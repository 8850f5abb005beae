"""The benchmarks, in the order in which they run."""

from __future__ import annotations

from benchmarks.bench import Benchmark
from benchmarks.suite import clickhouse, detect, kafka, model, server

ALL: tuple[Benchmark, ...] = tuple(module.BENCHMARK for module in (model, server, kafka, clickhouse, detect))
