"""The model server, asked by the product's own client."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark
from benchmarks.child import Child
from benchmarks.parts import model_server
from benchmarks.rawloop import precisions, raw_loop, work_of
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Row, row
from benchmarks.suite.model import MODELS
from core.settings import Detect

NAME = "model server"


def run(bench: Bench) -> Sequence[Row]:
    """Each size of the detector, beside its raw loop."""
    pictures = clips.kept(clips.jpegs(bench.shared / clips.CARS, 64), bench.folder)
    stage = Detect()
    rows = []
    for model in MODELS:
        with (
            model_server(bench.folder / model, model) as (models, pid),
            Child(
                "benchmarks.work.asking",
                {"models": models.model_dump(mode="json"), "pictures": str(pictures)},
                bench.folder / f"{model}-client.log",
            ) as client,
            raw_loop(bench, pictures, model, precisions()[-1]) as raw,
        ):

            def ask(client: Child = client, model: str = model) -> Work:
                asked = {"what": "detect", "model": model, "batch": stage.batch, "in_flight": stage.in_flight}
                return work_of(client.ask(**asked, seconds=bench.round_s))

            def processes(client: Child = client, pid: int = pid) -> dict[str, int]:
                return {"models": pid, "client": client.pid}

            sides = [Side(NAME, ask, processes), raw.side(bench.round_s)]
            found = alternate(sides, bench.rounds, bench.say)
        beside = (raw.name, found[raw.name])
        rows.append(row(f"{model}, {NAME}", found[NAME], "frames/s", against=beside))
        rows.append(row(f"{model}, {raw.name}", found[raw.name], "frames/s", note=str(raw.way)))
    return rows


BENCHMARK = Benchmark(
    "server",
    "JPEGs through the model server over gRPC with the product's client, in batches and calls in flight as the stage "
    "`detect` has them; beside it the raw loop on the same JPEGs.",
    run,
)
