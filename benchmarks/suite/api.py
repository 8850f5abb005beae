"""The query service over sockets."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.child import Child
from benchmarks.figures import percentile
from benchmarks.parts import broker, clickhouse, migrate, models_dir, query_service
from benchmarks.rawloop import work_of
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Goal, Row, row
from benchmarks.work.made_up import BEGIN_MS, stream_of
from core.ids import Run
from core.kafka import ensure_topics
from core.messages import Analytic, Source, StreamSpec
from core.settings import Ingest, Models, Settings
from tests.conftest import ROOT, free_ports, listens
from warehouse.control import ControlStore

STREAMS = 200
CLIENTS = 16
LIST = "stream list"
PLAIN = "uvicorn with the list's bytes"
PATHS = {
    LIST: "/query/v1/streams?limit=20",
    "one stream": f"/query/v1/streams/{stream_of(7)}",
    "events, none there": "/query/v1/events?limit=20",
    "version": "/version",
}
START_S = 30.0


def run(bench: Bench) -> Sequence[Row]:
    """Each path in turn, and the list's bytes by uvicorn alone."""
    with (
        broker(bench.folder) as (kafka, _),
        clickhouse(bench.folder) as (analytics, _),
    ):
        settings = Settings(
            data_dir=bench.folder / "query",
            kafka=kafka,
            clickhouse=analytics,
            models=Models(dir=models_dir()),
            ingest=Ingest(allow_loopback=True),
        )
        ensure_topics(kafka)
        settings.data_dir.mkdir(parents=True)
        migrate(settings)
        _streams(settings)
        with (
            query_service(bench.folder, settings) as (query, pid),
            Child("benchmarks.work.requests", {}, bench.folder / "requests.log") as asker,
            _plain(bench.folder, query.port) as (plain_port, plain_pid),
        ):
            took: dict[str, list[float]] = {}

            def side(name: str, port: int, path: str, pids: dict[str, int]) -> Side:
                def ask() -> Work:
                    answer = asker.ask(port=port, path=path, clients=CLIENTS, seconds=bench.round_s)
                    took.setdefault(name, []).extend(answer["took_s"])
                    return work_of(answer)

                return Side(name, ask, lambda: pids)

            sides = [side(name, query.port, path, {"query": pid}) for name, path in PATHS.items()]
            sides.insert(1, side(PLAIN, plain_port, "/", {"uvicorn": plain_pid}))
            found = alternate(sides, bench.rounds, bench.say)
    return [
        row(
            name,
            samples,
            "requests/s",
            against=None if name == PLAIN else (PLAIN, found[PLAIN]),
            goal=Goal("value", 3000) if name == LIST else None,
            note=f"p95 {percentile(took[name], 0.95) * 1000:.1f} ms",
        )
        for name, samples in found.items()
    ]


def _streams(settings: Settings) -> None:
    control = ControlStore.connect(settings)
    try:
        for number in range(STREAMS):
            source = Source(f"rtsp://10.0.0.{number % 250 + 1}/stream", fps=5.0)
            analytics = (Analytic("object_detection"),)
            control.create_stream(
                StreamSpec(stream_of(number), Run(1), f"camera {number}", "live", source, analytics, "m", BEGIN_MS)
            )
    finally:
        control.close()


@contextmanager
def _plain(folder: Path, query: int) -> Iterator[tuple[int, int]]:
    """Uvicorn alone with the list's bytes: its port and process id."""
    address = f"http://127.0.0.1:{query}{PATHS[LIST]}"
    until = time.monotonic() + START_S
    while True:
        answer = httpx.get(address, trust_env=False)
        if answer.is_success:
            break
        if time.monotonic() > until:
            raise Failed(f"the query service answers {answer.status_code}: {answer.text[:300]}")
        time.sleep(0.2)
    body = folder / "list.json"
    body.write_bytes(answer.content)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.work.plain_asgi", str(port), str(body)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        while not listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise Failed("uvicorn does not start")
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


BENCHMARK = Benchmark(
    "api",
    f"The query service, one worker, {STREAMS} streams in its database, asked by {CLIENTS} clients over sockets on the "
    "same machine; beside it uvicorn alone with the stream list's bytes.",
    run,
)
