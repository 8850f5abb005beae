"""Writing to Kafka and reading from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark
from benchmarks.child import Child
from benchmarks.parts import broker
from benchmarks.rawloop import work_of
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Row, row
from benchmarks.usage import Usage
from core.kafka import ensure_topics
from core.settings import Kafka, Settings

BARE = "confluent-kafka, bare"
NAMES = {
    "frames": "frames, as ingest writes them",
    "detections": "detections, as a stage writes them",
    "read": "frames, as a stage reads them",
}


class Topics:
    """Topics of its own for each round, so that no round reads what another has written."""

    def __init__(self, bench: Bench, kafka: Kafka, pid: int, pictures: Path) -> None:
        self._bench, self._kafka, self._pid, self._pictures = bench, kafka, pid, pictures
        self._numbers = count()
        setup = {"kafka": kafka.model_dump(mode="json"), "pictures": str(pictures)}
        self.clients = Child("benchmarks.work.kafka_clients", setup, bench.folder / "clients.log")

    def write(self, what: str, records: int) -> Side:
        """Write so many records in one of the ways of `work.kafka_clients`."""
        return Side(
            what,
            lambda: work_of(self.clients.ask(what=what, prefix=self._fresh().prefix, count=records)),
            lambda: {"client": self.clients.pid, "kafka": self._pid},
        )

    def read(self, what: str, records: int) -> Side:
        """Read so many records that were written for it."""
        return Side(what, lambda: self._filled(what, records))

    def _filled(self, what: str, records: int) -> Work:
        kafka = self._fresh()
        self.clients.ask(what="frames, bare", prefix=kafka.prefix, count=records)
        if what == "read, bare":
            with Usage({"client": self.clients.pid, "kafka": self._pid}) as used:
                done = self.clients.ask(what=what, prefix=kafka.prefix, count=records)
            return Work(records, done["seconds"], used.cpu_s, used.memory_mb)
        settings = Settings(data_dir=self._bench.folder / "stage", kafka=kafka)
        setup = {"settings": settings.model_dump(mode="json", include={"data_dir", "kafka"})}
        with (
            Child("benchmarks.work.counting", setup, self._bench.folder / "counting.log") as stage,
            Usage({"client": stage.pid, "kafka": self._pid}) as used,
        ):
            done = stage.ask(count=records)
        # its processor time without its start
        return Work(records, done["seconds"], {**used.cpu_s, "client": done["cpu_s"]}, used.memory_mb)

    def _fresh(self) -> Kafka:
        made = self._kafka.model_copy(update={"prefix": f"b{next(self._numbers)}."})
        ensure_topics(made)
        return made


def run(bench: Bench) -> Sequence[Row]:
    """Frames and detections written, frames read."""
    pictures = clips.kept(clips.jpegs(bench.shared / clips.CARS, 64), bench.folder)
    frames, detections = (3_000, 20_000) if bench.short else (20_000, 200_000)
    rows: list[Row] = []
    with broker(bench.folder) as (kafka, pid):
        topics = Topics(bench, kafka, pid, pictures)
        with topics.clients:
            for what, records in (("frames", frames), ("detections", detections)):
                sides = [topics.write(f"{what}, product", records), topics.write(f"{what}, bare", records)]
                rows += _rows(bench, what, sides)
            rows += _rows(bench, "read", [topics.read("read, product", frames), topics.read("read, bare", frames)])
    return rows


def _rows(bench: Bench, what: str, sides: Sequence[Side]) -> list[Row]:
    found = alternate(sides, bench.rounds, bench.say)
    product, bare = (found[side.name] for side in sides)
    return [
        row(NAMES[what], product, "records/s", against=(BARE, bare)),
        row(f"{NAMES[what].partition(',')[0]} {'read' if what == 'read' else 'written'}, {BARE}", bare, "records/s"),
    ]


BENCHMARK = Benchmark(
    "kafka",
    "Records of one stream written and read with the product's own clients (encoding, counting and confirming among "
    "it; reading by Faust with commits); beside it confluent-kafka with the same settings and ready bytes.",
    run,
)
