"""Searching embeddings, beside FAISS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark
from benchmarks.child import Child
from benchmarks.figures import percentile, ratio, spread
from benchmarks.parts import model_server
from benchmarks.rows import Goal, Row
from benchmarks.tables import number
from benchmarks.usage import Usage
from benchmarks.work import embedding
from benchmarks.work.vectors import BUILD, LIMIT, LINKS, LOOK
from core.settings import Models

SIZES = (10_000, 200_000, 1_000_000)
SIZES_SHORT = (20_000,)
KINDS = {"lancedb": "the store", "hnsw": "FAISS HNSW", "flat": "FAISS flat"}
EMBEDDER = Models().embedder
GOAL_ROWS = 1_000_000
GOAL_MS, GOAL_RECALL = 15.0, 0.98
FROM_EACH_FILE = 80


def run(bench: Bench) -> Sequence[Row]:
    """Each size, not filtered and filtered."""
    middles = embedding.centres(_real(bench))
    rows: list[Row] = []
    for size in SIZES_SHORT if bench.short else SIZES:
        rows += _size(bench, middles, size)
    return rows


def _real(bench: Bench) -> list[list[float]]:
    """Embeddings of pictures, and of parts of them, by the product's embedder."""
    photos = sorted((bench.shared / "data/images/coco").rglob("*.jpg"))[:FROM_EACH_FILE]
    pictures = [photo.read_bytes() for photo in photos]
    for clip in (clips.CARS, clips.BOTTLES):
        pictures += clips.jpegs(bench.shared / clip, FROM_EACH_FILE)
    kept = clips.kept(pictures, bench.folder)
    with model_server(bench.folder, EMBEDDER) as (models, _):
        setup = {"models": models.model_dump(mode="json"), "pictures": str(kept)}
        with Child("benchmarks.work.asking", setup, bench.folder / "embedding.log") as client:
            found: list[list[float]] = client.ask(what="embed", model=EMBEDDER)["vectors"]
    bench.say(f"clusters around {len(found)} embeddings of {EMBEDDER}")
    return found


def _size(bench: Bench, middles: embedding.Vectors, size: int) -> list[Row]:
    vectors = embedding.around(middles, size, seed=2)
    queries = embedding.around(middles, 50 if bench.short else 200, seed=3)
    files = {"vectors": bench.folder / "vectors.npy", "queries": bench.folder / "queries.npy"}
    np.save(files["vectors"], vectors)
    np.save(files["queries"], queries)
    allowed = embedding.kept_by_filter(size)
    truth = {
        False: embedding.nearest(vectors, queries, LIMIT, None),
        True: embedding.nearest(vectors, queries, LIMIT, allowed),
    }
    del vectors
    rows: list[Row] = []
    with ExitStack() as kept:
        searchers = {kind: kept.enter_context(_searcher(bench, kind, files, size)) for kind in KINDS}
        for filtered, true in truth.items():
            name = f"{number(size)}, {'filtered' if filtered else 'not filtered'}"
            rows += _rows(bench, searchers, name, true, filtered=filtered, large=size >= GOAL_ROWS)
        rows += _built(searchers["lancedb"], size)
    return rows


def _searcher(bench: Bench, kind: str, files: Mapping[str, Path], size: int) -> Child:
    folder = bench.folder / f"{kind}-{size}"
    setup = {"kind": kind, "folder": str(folder), **{name: str(path) for name, path in files.items()}}
    made = Child("benchmarks.work.vectors", setup, bench.folder / f"{kind}-{size}.log")
    bench.say(f"{number(size)}: {KINDS[kind]} is built in {made.told['build_s']:.1f} s")
    return made


def _rows(
    bench: Bench, searchers: Mapping[str, Child], name: str, truth: list[list[int]], *, filtered: bool, large: bool
) -> list[Row]:
    took: dict[str, list[list[float]]] = {kind: [] for kind in searchers}
    recalls: dict[str, float] = {}
    cpu: dict[str, float] = {}
    memory: dict[str, dict[str, float]] = {}
    for searcher in searchers.values():
        searcher.ask(filtered=filtered)  # what is read from the disk once is read
    for _ in range(bench.rounds):
        for kind, searcher in searchers.items():
            with Usage({kind: searcher.pid}) as used:
                answer = searcher.ask(filtered=filtered)
            took[kind].append(answer["took_s"])
            recalls[kind] = embedding.recall(answer["found"], truth)
            cpu[kind] = used.cpu_s[kind] / len(truth)
            memory[kind] = used.memory_mb
    p95 = {kind: [percentile(each, 0.95) * 1000 for each in rounds] for kind, rounds in took.items()}
    rows = []
    for kind, shown in KINDS.items():
        whole = [seconds * 1000 for each in took[kind] for seconds in each]
        wanted = kind == "lancedb" and large and filtered
        rows.append(
            Row(
                f"{name}, {shown}",
                min(p95[kind]),
                "ms p95",
                "less",
                tuple(p95[kind]),
                spread(p95[kind]),
                "" if kind == "flat" else KINDS["flat"],
                None if kind == "flat" else ratio(p95[kind], p95["flat"]),
                {kind: cpu[kind]},
                memory[kind],
                Goal("value", GOAL_MS) if wanted else None,
                f"p50 {percentile(whole, 0.5):.1f} ms",
            )
        )
        least = Goal("value", GOAL_RECALL) if wanted else None
        rows.append(Row(f"{name}, {shown}, recall", recalls[kind], f"recall@{LIMIT}", goal=least))
        bench.say(f"{name}, {shown}: p95 {min(p95[kind]):.1f} ms, recall@{LIMIT} {recalls[kind]:.3f}")
    return rows


def _built(store: Child, size: int) -> list[Row]:
    told = store.told
    return [
        Row(f"{number(size)}, written by the store", 1 / told["write_s"], "vectors/s", note="a thousand a write"),
        Row(f"{number(size)}, indices and compaction", told["build_s"], "s", "less"),
    ]


BENCHMARK = Benchmark(
    "lancedb",
    f"The {LIMIT} nearest of many vectors of {embedding.DIMENSION} numbers, clustered around real embeddings of "
    f"`{EMBEDDER}` (rotated to that size), one question at a time, without a filter and with one that lets a twentieth "
    f"through; beside it FAISS, flat and HNSW ({LINKS} links, {BUILD} to build, {LOOK} to search).",
    run,
)
