"""A reader of ingest, beside the decoding and encoding that it cannot do without."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import psutil

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import broker
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Goal, Row, Sample, row
from benchmarks.usage import Usage
from benchmarks.work.made_up import stream_of
from core.ids import Run
from core.kafka import ensure_topics
from core.messages import Analytic, Source, StreamSpec
from core.settings import Ingest, Kafka, Settings
from core.topics import Topics
from ingest.file_source import FileSource
from ingest.protocol import Start, settings_for_reader
from ingest.reader import end_offset
from ingest.reader_process import Death, ReaderProcess
from tests.conftest import ROOT

BARE = "decode, scale and encode in a loop"
READER = "a reader, to Kafka"
MOST = 1.15
ALIVE_S = 0.5
BEGIN_AND_END = 2
"""Records of a run that are no frames."""


def run(bench: Bench) -> Sequence[Row]:
    """Two clips, neither larger than is sent, so that none is scaled."""
    rows: list[Row] = []
    with broker(bench.folder) as (standing, pid):
        kafka = standing.model_copy(update={"frames_batch_bytes": 1024**4})  # there is no detect to wait for
        ensure_topics(kafka)
        streams = count()
        for clip in (clips.CARS, clips.BOTTLES):
            file = bench.shared / clip
            longer = clips.repeated(file, 3 if bench.short else 8, bench.folder / file.name)
            rows += _rows(bench, kafka, pid, (file, longer), streams)
    return rows


def _rows(bench: Bench, kafka: Kafka, pid: int, files: tuple[Path, Path], streams: Iterator[int]) -> list[Row]:
    frames = {file: FileSource.open(file, Ingest().max_pixels, None).probe.expected or 0 for file in files}

    def read(file: Path) -> Work:
        return _read(bench, kafka, file, frames[file], next(streams))

    sides = [
        Side(READER, lambda: beyond(read, files), lambda: {"kafka": pid}),
        Side(BARE, lambda: beyond(_bare, files)),
    ]
    found = alternate(sides, bench.rounds, bench.say)
    name = files[0].name
    mine, other = _cpu(found[READER], "reader"), _cpu(found[BARE], "loop")
    return [
        row(f"{name}, {READER}", found[READER], "frames/s", against=(BARE, found[BARE])),
        row(f"{name}, {BARE}", found[BARE], "frames/s"),
        row(
            f"{name}, processor time of a frame",
            mine,
            "ms",
            better="less",
            against=(BARE, other),
            goal=Goal("ratio", MOST),
        ),
    ]


def beyond(read: Callable[[Path], Work], files: tuple[Path, Path]) -> Work:
    """What the longer file takes beyond the shorter one: frames alone, without a process's start and end."""
    short, long = (read(file) for file in files)
    spent = {name: seconds - short.cpu_s[name] for name, seconds in long.cpu_s.items()}
    return Work(long.items - short.items, long.seconds - short.seconds, spent, long.memory_mb)


def _cpu(samples: Sequence[Sample], process: str) -> list[Sample]:
    return [Sample(sample.cpu_s[process] * 1000) for sample in samples]


def _read(bench: Bench, kafka: Kafka, file: Path, frames: int, number: int) -> Work:
    """As a host runs a reader: the whole process, from its start to its end."""
    roots = (bench.shared, bench.folder)
    settings = Settings(data_dir=bench.folder / "ingest", kafka=kafka, ingest=Ingest(file_roots=roots))
    spec = StreamSpec(
        stream_of(number),
        Run(1),
        "bench",
        "batch",
        Source(f"file:{file.resolve()}", fps=0.0),
        (Analytic("object_detection"),),
        "model",
        0,
        task=True,
    )
    start = Start(spec, number % kafka.partitions, "bench", settings_for_reader(settings))
    topic, offset = Topics.of(kafka).frames_batch, end_offset(settings, Topics.of(kafka).frames_batch, start.partition)
    begun, before = time.perf_counter(), _children_s()
    reader = ReaderProcess(start, 60.0)
    try:
        with Usage({"reader": reader.pid}) as watched:
            death = _ended(reader)
    finally:
        reader.end(0.0)
    seconds = time.perf_counter() - begun
    used = _children_s() - before
    published = end_offset(settings, topic, start.partition) - offset - BEGIN_AND_END
    if not death.ended or published != frames:
        raise Failed(f"the reader of {file.name} published {published} of {frames} frames: {death.crash}")
    return Work(frames, seconds, {"reader": used}, watched.memory_mb)


def _ended(reader: ReaderProcess) -> Death:
    """How it ended, having renewed its lease until then, as a host does."""
    alive = 0.0
    while (death := reader.poll()) is None:
        if time.monotonic() - alive > ALIVE_S:
            alive = time.monotonic()
            reader.alive()
        time.sleep(0.01)
    return death


def _bare(file: Path) -> Work:
    begun, before = time.perf_counter(), _children_s()
    command = [sys.executable, "-m", "benchmarks.work.decoding", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        with Usage({"loop": process.pid}) as watched:
            said, why = process.communicate()
    finally:
        process.kill()
        process.wait()
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise Failed(f"the bare loop over {file.name}: {why.strip()[-500:]}")
    return Work(int(said), seconds, {"loop": _children_s() - before}, watched.memory_mb)


def _children_s() -> float:
    """Processor seconds of all processes below this one that have ended; a reader is no child of its host's."""
    times = [process.cpu_times() for process in (psutil.Process(), *psutil.Process().children())]
    return float(sum(used.children_user + used.children_system for used in times))


BENCHMARK = Benchmark(
    "ingest",
    "A reader of ingest as a host runs it, every frame of a file to Kafka; beside it one process that decodes, scales "
    "and encodes the same file in a loop. Of both what a file takes beyond a shorter one: starts do not count.",
    run,
)
