"""The model by itself: its exported signature beside its bare graph."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark
from benchmarks.rawloop import bare_graph, precisions, raw_loop
from benchmarks.rounds import alternate
from benchmarks.rows import Goal, Row, row

MODELS = ("centernet-512", "centernet-384", "centernet-256")


def run(bench: Bench) -> Sequence[Row]:
    """Each size of the detector, in each precision."""
    pictures = clips.kept(clips.jpegs(bench.shared / clips.CARS, 64), bench.folder)
    rows = []
    for model in MODELS:
        for precision in precisions():
            with (
                raw_loop(bench, pictures, model, precision) as raw,
                bare_graph(bench, pictures, raw, model, precision) as bare,
            ):
                sides = [raw.side(bench.round_s), bare.side(bench.round_s)]
                found = alternate(sides, bench.rounds, bench.say)
            beside = (bare.name, found[bare.name])
            goal = Goal("ratio", 0.90)
            rows.append(
                row(f"{model}, {raw.name}", found[raw.name], "frames/s", against=beside, goal=goal, note=str(raw.way))
            )
            rows.append(row(f"{model}, {bare.name}", found[bare.name], "frames/s"))
    return rows


BENCHMARK = Benchmark(
    "model",
    "The raw loop: a detector's exported `serving_default` called in one process on JPEGs, at the best of nine ways "
    "(batch, calls in flight, threads); beside it the bare graph on decoded pixels, called in the same way.",
    run,
)
