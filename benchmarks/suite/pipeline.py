"""The whole pipeline, from a file to rows in the stores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import Stack, stack
from benchmarks.rawloop import Loop, precisions, raw_loop
from benchmarks.rounds import Side, Work, alternate
from benchmarks.rows import Goal, Row, Sample, row
from benchmarks.suite.model import MODELS
from infra.cli.job import Options
from infra.cli.query_service import TaskProgress

WHOLE = "whole pipeline"
WANTED = {
    "centernet-512": {"float": 0.90, "bfloat16": 0.80},
    "centernet-256": {"float": 0.70, "bfloat16": 0.60},
}
TIMES, TIMES_SHORT = 12, 3
ROUNDS = 3
"""A task is half a minute at least, so that what its begin and end cost is what it is for a video of some length."""
POLL_S, POLL_LATE_S = 1.0, 0.1
PATIENCE_S = 900.0
FIRST, LAST = 0.1, 0.9


def run(bench: Bench) -> Sequence[Row]:
    """Each size of the detector, beside its raw loop on pictures of the same file, in each precision."""
    pictures = clips.kept(clips.jpegs(bench.shared / clips.CARS, 64), bench.folder)
    file = clips.repeated(bench.shared / clips.CARS, TIMES_SHORT if bench.short else TIMES, bench.folder / "cars.mp4")
    rows: list[Row] = []
    for precision in reversed(precisions()[-1:] if bench.short else precisions()):
        chosen = {"SIGHTLINE_MODELS__BFLOAT16": "off" if precision == "float" else "on"}
        with stack(bench.folder / precision, chosen) as standing:
            for model in MODELS:
                if precision == precisions()[-1] or model in WANTED:
                    with raw_loop(bench, pictures, model, precision) as raw:
                        rows += _rows(bench, Task(standing, file, model), raw, precision)
    return rows


def _rows(bench: Bench, task: Task, raw: Loop, precision: str) -> list[Row]:
    model = task.model
    side = Side(f"{WHOLE}, {precision}", task.run, task.processes)
    found = alternate([side, raw.side(bench.round_s)], min(ROUNDS, bench.rounds), bench.say)
    beside = (raw.name, found[raw.name])
    wanted = WANTED.get(model, {}).get(precision)
    goal = None if wanted is None else Goal("ratio", wanted)
    note = "between the first and the last tenth of the file's rows"
    return [
        row(f"{model}, {side.name}", found[side.name], "frames/s", against=beside, goal=goal),
        row(f"{model}, {side.name}, in full swing", task.swing, "frames/s", against=beside, note=note),
        row(f"{model}, {raw.name}", found[raw.name], "frames/s", note=str(raw.way)),
    ]


class Task:
    """A file analysed again and again, every frame.

    Attributes:
        processes: of the stack.
        swing: frames/s of each time without begin and end.
    """

    def __init__(self, standing: Stack, file: Path, model: str) -> None:
        self.model = model
        self.processes = standing.processes
        self._service = standing.service
        self._file = file
        self._options = Options(fps=0.0, model=model)
        self.swing: list[Sample] = []

    def run(self) -> Work:
        """From the submission of an uploaded file until everything of it is stored."""
        url = self._service.upload(self._file).url
        begun = time.monotonic()
        task = self._service.submit(self._options.request(url))
        points: list[tuple[float, int]] = []
        while True:
            progress = self._service.task(task)
            points.append((time.monotonic() - begun, progress.ledger.processed))
            if progress.state == "done":
                break
            _refuse(progress, points[-1][0])
            # a look costs the stack some milliseconds: often only where it tells when the task ended
            late = progress.ledger.processed > LAST * progress.ledger.read > 0
            time.sleep(POLL_LATE_S if late else POLL_S)
        seconds, frames = points[-1]
        if frames != progress.ledger.read:
            raise Failed(f"{frames} of {progress.ledger.read} frames were analysed")
        self.swing.append(Sample(swing(points)))
        return Work(frames, seconds)


def swing(points: Sequence[tuple[float, int]]) -> float:
    """Frames/s between the first and the last tenth of the frames, of what was seen when."""
    frames = points[-1][1]
    middle = [point for point in points if FIRST * frames <= point[1] <= LAST * frames]
    if len(middle) < 2 or middle[0][1] == middle[-1][1]:
        raise Failed("the task was too short to see its full swing")
    (begin_s, begin), (end_s, end) = middle[0], middle[-1]
    return (end - begin) / (end_s - begin_s)


def _refuse(progress: TaskProgress, seconds: float) -> None:
    if progress.state in {"failed", "cancelled"}:
        raise Failed(f"the task ended as {progress.state}: {progress.error}")
    if seconds > PATIENCE_S:
        raise Failed(f"the task is not done after {seconds:.0f} s: {progress}")


BENCHMARK = Benchmark(
    "pipeline",
    "The whole one-machine stack: every frame of a file, `object_detection` with appearance embeddings, from the "
    "task's submission until detections, tracks, events, embeddings and pictures are stored; beside it the raw loop on "
    "JPEGs of the same file, in the precision of the stack's model server, while the stack stands idle.",
    run,
)
