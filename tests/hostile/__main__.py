"""Mutants of good videos, read as the product reads them: ``python -m tests.hostile --seed 1 --count 1000``.

Results are kept in a file, one line a mutant, so a long run may be made in pieces (``--seconds``): it
goes on where it stopped. ``--table`` prints what was found so far; ``--host`` takes the mutants
through a real host and broker instead.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec

from tests.hostile.mutations import Good, goods, mutant
from tests.hostile.reading import Result, read_as_host, settings_of

ROOT = Path(__file__).parents[2]
OUTCOMES = {
    "whole": "analysed whole",
    "early": "ended early, or with damaged places, and says why",
    "refused": "refused, and says why",
    "crashed": "decoder crashed, twice, contained",
    "hung": "hung",
    "over_memory": "over memory",
}
FORBIDDEN = ("hung", "over_memory")


class Row(msgspec.Struct, frozen=True):
    """One mutant's line."""

    number: int
    source: str
    kind: str
    size: int
    result: Result
    crash: str = ""


def videos() -> list[Good]:
    """The good videos of the test data."""
    shared = Path(os.environ.get("SIGHTLINE_SHARED", ROOT.parent / "shared")).resolve()
    return goods(shared / "data" / "videos")


def main() -> int:
    """Read mutants; exit code 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--only", type=int, help="this mutant and no other")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; the next run goes on")
    parser.add_argument("--limit-s", type=float, default=60.0, help="seconds in which a mutant has to be done")
    parser.add_argument("--limit-mb", type=int, default=2048, help="most resident memory of its process, MiB")
    parser.add_argument("--results", type=Path, help="where results are kept")
    parser.add_argument("--table", action="store_true", help="print what was found so far, and read nothing")
    parser.add_argument("--host", action="store_true", help="through a real host and broker")
    chosen = parser.parse_args()
    if chosen.host:
        return through_host(chosen.seed, chosen.count)
    kept = chosen.results or ROOT / "var" / "hostile" / f"seed-{chosen.seed}.jsonl"
    rows = [] if chosen.only is not None else rows_of(kept)
    if not chosen.table:
        numbers = [chosen.only] if chosen.only is not None else range(len(rows), chosen.count)
        read(chosen, list(numbers), rows, None if chosen.only is not None else kept)
    print(table(rows, chosen.seed))
    return int(any(row.result.outcome in FORBIDDEN or row.result.wrong for row in rows))


def rows_of(kept: Path) -> list[Row]:
    """What was read before."""
    return [msgspec.json.decode(line, type=Row) for line in kept.read_bytes().splitlines()] if kept.is_file() else []


def read(chosen: argparse.Namespace, numbers: list[int], rows: list[Row], kept: Path | None) -> None:
    """Read mutants, and note each at once."""
    until, sources = time.monotonic() + chosen.seconds, videos()
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sightline-hostile-") as name:
        folder = Path(name).resolve()
        settings = settings_of(folder)
        for number in numbers:
            if time.monotonic() > until:
                return
            made = mutant(chosen.seed, number, sources)
            path = folder / made.name
            path.write_bytes(made.data)
            result, crash = read_as_host(path, settings, limit_s=chosen.limit_s, limit_mb=chosen.limit_mb)
            path.unlink()
            row = Row(number, made.source, made.kind, len(made.data), result, crash)
            rows.append(row)
            if kept is not None:
                with kept.open("ab") as file:
                    file.write(msgspec.json.encode(row) + b"\n")
            if crash or result.wrong or result.outcome in FORBIDDEN or number % 50 == 0:
                said = f"{result.outcome} {result.why} {result.wrong}"
                print(f"{number:5} {made.kind:10} {made.source:45} {said} {crash and 'after ' + crash}", flush=True)


def table(rows: list[Row], seed: int) -> str:
    """Markdown: kinds of damage against outcomes, and the largest figures."""
    if not rows:
        return "nothing was read yet"
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_kind[row.kind][row.result.outcome] += 1
        by_kind["all"][row.result.outcome] += 1
    kinds = [*sorted(kind for kind in by_kind if kind != "all"), "all"]
    heads = [f"damage (seed {seed})", "mutants", *OUTCOMES.values()]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for kind in kinds:
        found = by_kind[kind]
        cells = " | ".join(str(found[outcome]) for outcome in OUTCOMES)
        lines.append(f"| {kind} | {found.total()} | {cells} |")
    crashed = Counter(row.crash for row in rows if row.crash)
    results = [row.result for row in rows]
    lines += [
        "",
        f"Readers that died, and were begun again without decord: {crashed.total()} ({dict(crashed) or 'none'}). "
        f"Ledgers that do not add up: {sum(bool(r.wrong) for r in results)}. Frames decoded: "
        f"{sum(r.decoded for r in results)}. Longest: {max(r.seconds for r in results):.1f} s; most memory: "
        f"{max(r.peak_mb for r in results)} MiB.",
    ]
    return "\n".join(lines)


def through_host(seed: int, count: int) -> int:
    """The mutants of a seed as tasks of a real host."""
    from confluent_kafka import TopicPartition

    from core import kafka as clients
    from core.kafka import ensure_topics, ready
    from core.settings import Kafka, Settings
    from core.topics import Topics
    from tests.conftest import PARTS, free_ports, listens, served
    from tests.hostile.through_host import read_by_host
    from tests.integration.ingest.conftest import Bench

    with tempfile.TemporaryDirectory(prefix="sightline-hostile-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        data_dir = folder / "kafka-broker"
        (data_dir / "kafka").mkdir(parents=True)
        (data_dir / "kafka" / "lib").symlink_to(PARTS / "kafka" / "lib")
        port, controller = free_ports(2)
        kafka = Kafka(port=port, controller_port=controller, heap_mb=256)
        variables = {
            "SIGHTLINE_DATA_DIR": str(data_dir),
            "SIGHTLINE_KAFKA__PORT": str(port),
            "SIGHTLINE_KAFKA__CONTROLLER_PORT": str(controller),
            "SIGHTLINE_KAFKA__HEAP_MB": "256",
        }
        with served("infra.kafka", folder, variables, lambda: listens(port) and ready(kafka)):
            ensure_topics(kafka)
            sources = videos()
            good = Path(os.environ.get("SIGHTLINE_SHARED", ROOT.parent / "shared")).resolve() / "data" / "videos"
            settings = Settings(data_dir=folder / "var", kafka=kafka, ingest={"file_roots": [folder, good]})
            topics = Topics.of(kafka)
            consumer = clients.consumer(kafka, "hostile", "hostile")
            followed = (topics.frames_batch, topics.frames_live, topics.stream_status, topics.ingest_progress)
            consumer.assign([TopicPartition(topic, p, 0) for topic in followed for p in range(kafka.partitions)])
            bench = Bench(settings, consumer)
            try:
                mutants = [mutant(seed, number, sources) for number in range(count)]
                beside = good / "firefox" / "gizmo.webm"
                seen = read_by_host(bench, mutants, folder, beside, timeout_s=max(120.0, 6.0 * count))
            finally:
                bench.stop_hosts()
                consumer.close()
    print(f"{count} tasks through a host in {seen.seconds} s: {seen.outcomes}, {seen.frames} frames")
    print(*seen.reasons.items(), *seen.wrong, sep="\n")
    return int(bool(seen.wrong))


if __name__ == "__main__":
    sys.exit(main())
