"""Writing to ClickHouse and asking it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bench import Bench, Benchmark
from benchmarks.child import Child
from benchmarks.figures import percentile, spread
from benchmarks.parts import clickhouse, migrate
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Goal, Row, row
from benchmarks.tables import number
from benchmarks.usage import Usage
from benchmarks.work.warehouse import STREAM_ROWS
from core.settings import Settings

WRITER = "detections, the warehouse's writer"
BARE = "the driver with ready columns"
GOAL_S = 0.050


def run(bench: Bench) -> Sequence[Row]:
    """The writer first, into tables that are nearly empty; then questions as the rows become many."""
    with clickhouse(bench.folder) as (where, pid):
        settings = Settings(data_dir=bench.folder / "data", clickhouse=where)
        migrate(settings)
        setup = {"settings": settings.model_dump(mode="json", include={"data_dir", "clickhouse"})}
        with Child("benchmarks.work.warehouse", setup, bench.folder / "warehouse.log") as asked:
            rows = _written(bench, asked, pid)
            for streams in (2,) if bench.short else (2, 20, 200):
                rows += _questions(bench, asked, pid, streams)
    return rows


def _written(bench: Bench, asked: Child, pid: int) -> list[Row]:
    def write(what: str) -> Work:
        done = asked.ask(what=what, number=20 if bench.short else 100)
        return Work(done["items"], done["seconds"], {"writer": done["cpu_s"]})

    asked.ask(what="product", number=2)
    sides = [
        Side(name, lambda what=what: write(what), lambda: {"writer": asked.pid, "clickhouse": pid})  # type: ignore[misc]  # a default of a lambda has no type
        for name, what in ((WRITER, "product"), (BARE, "bare"))
    ]
    found = alternate(sides, bench.rounds, bench.say)
    return [
        row(WRITER, found[WRITER], "rows/s", against=(BARE, found[BARE]), goal=Goal("value", 100_000)),
        row(BARE, found[BARE], "rows/s"),
    ]


def _questions(bench: Bench, asked: Child, pid: int, streams: int) -> list[Row]:
    rows = number(streams * STREAM_ROWS)
    filled = asked.ask(what="fill", number=streams)
    bench.say(f"{rows} rows, the last {number(filled['items'])} in {filled['seconds']:.0f} s")
    asked.ask(what="ask", number=5)
    took: list[list[float]] = []
    with Usage({"asker": asked.pid, "clickhouse": pid}) as used:
        for _ in range(bench.rounds):
            took.append(asked.ask(what="ask", number=20 if bench.short else 100)["took_s"])
    whole = [seconds for each in took for seconds in each]
    p95 = tuple(percentile(each, 0.95) * 1000 for each in took)
    return [
        Row(
            f"statistics, a stream-day of {number(STREAM_ROWS)} among {rows} rows, by hour",
            min(p95),
            "ms p95",
            "less",
            p95,
            spread(p95),
            cpu_s={name: seconds / len(whole) for name, seconds in used.cpu_s.items()},
            memory_mb=used.memory_mb,
            goal=Goal("value", GOAL_S * 1000),
            note=f"p50 {percentile(whole, 0.5) * 1000:.0f} ms",
        )
    ]


BENCHMARK = Benchmark(
    "clickhouse",
    "Detections into ClickHouse by the warehouse's writer, ten thousand an insert, one process; beside it the driver "
    "with the same columns made before. Then statistics as the rows become many.",
    run,
)
