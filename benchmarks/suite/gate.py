"""The motion gate: the frames that it holds back, the visits that are missed for it, and what it costs itself."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import cv2
from msgspec.structs import replace

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.parts import model_server
from benchmarks.rows import Row, Sample, row
from core.errors import BadImage
from core.ids import Run, Seq, StreamId, TrackId
from core.messages import (
    Analytic,
    AnalyticsChanged,
    Detection,
    Frame,
    FrameDetections,
    Gate,
    IngestCounts,
    Place,
    RunBegin,
    Source,
    StreamSpec,
)
from core.settings import Analyse, Breaker, Ingest, Models
from inference.client import ModelClient
from ingest.control import Control
from ingest.file_source import FileSource
from ingest.gate import MotionGate
from ingest.ledger import Ledger
from ingest.luma import Luma
from ingest.reading import Reading, Resume, Shape
from streams_proc.run_state import RunState

MODEL = "centernet-512"
FPS = 5.0
BATCH = 16
CLIPS = (
    clips.CARS,
    clips.BOTTLES,
    "data/videos/iscc/demo.mkv",
    "data/videos/intel/preview/person-bicycle-car-detection.gif",
    "data/videos/intel/preview/worker-zone-detection.gif",
    "data/videos/intel/preview/store-aisle-detection.gif",
    "data/videos/intel/preview/classroom.gif",
    "data/videos/firefox/street.mp4",
)
SHORT = 3
"""Clips of the short form."""

STILL_S, STILL_TIMES = 0.4, 250
SELDOM = "car-detection.mp4 between two stretches of 100 s of its first 0.4 s, in which nobody passes"
COST_FRAMES = 200
LOOK, GO_ON = "a look of the gate", "convert, scale and encode"
Spot: TypeAlias = tuple[float, int | None]
"""A detection: its frame's media second, and its position among the frame's."""

Visits: TypeAlias = Mapping[TrackId, frozenset[Spot]]
"""Where each visit was seen."""


@dataclass(frozen=True, slots=True)
class Found:
    """A clip without the gate and behind it.

    Attributes:
        missed: visits without the gate of which nothing was seen behind it.
        late_s: by how much the first sight of a visit comes later behind it, at most.
    """

    counts: IngestCounts
    whole: int
    behind: int
    missed: int
    late_s: float


class Kept:
    """A lane that keeps what it is given."""

    def __init__(self, ledger: Ledger) -> None:
        self.frames: list[Frame] = []
        self._ledger = ledger

    def put(self, frame: Frame) -> None:
        """Number it."""
        self.frames.append(replace(frame, seq=Seq(len(self.frames))))
        self._ledger.published()

    def pump(self) -> None:
        """Nothing waits here."""

    def drain(self) -> None:
        """Nothing waits here."""

    def change(self, _: AnalyticsChanged) -> None:
        """Nobody asks for other analytics."""


def run(bench: Bench) -> Sequence[Row]:
    """What is saved and missed on every clip, then the cost of a look."""
    rows: list[Row] = []
    chosen = CLIPS[:SHORT] if bench.short else CLIPS
    found: list[Found] = []
    with model_server(bench.folder / "models", MODEL) as (models, _):
        for clip in chosen:
            found.append(_clip(models, bench.shared / clip))
            rows += _rows(Path(clip).name, found[-1])
            bench.say(f"{Path(clip).name}: {found[-1]}")
        street = clips.quiet(bench.shared / clips.CARS, bench.folder / "street.mp4", still_s=STILL_S, times=STILL_TIMES)
        seldom = _clip(models, street)
        bench.say(f"{SELDOM}: {seldom}")
    rows += _rows(f"all {len(chosen)} clips", _all(found))
    rows += _rows(SELDOM, seldom)
    for clip in (clips.CARS, clips.BOTTLES):
        looks, others = _costs(bench, bench.shared / clip)
        rows.append(
            row(f"{Path(clip).name}, {LOOK}", looks, "ms of CPU a frame", better="less", against=(GO_ON, others))
        )
    return rows


def _rows(name: str, found: Found) -> list[Row]:
    read, held = found.counts.read, found.counts.gated
    share = 100.0 * (found.whole - found.missed) / found.whole if found.whole else 100.0
    visits = f"{found.whole} visits without the gate, {found.behind} behind it, {found.missed} missed"
    return [
        Row(f"{name}, held back", 100.0 * held / max(1, read), "% of frames", note=f"{held} of {read}"),
        Row(f"{name}, found", share, "% of visits", note=f"{visits}; first seen at most {found.late_s:.1f} s later"),
    ]


def _all(found: Sequence[Found]) -> Found:
    counts = IngestCounts(read=sum(f.counts.read for f in found), gated=sum(f.counts.gated for f in found))
    return Found(
        counts,
        sum(f.whole for f in found),
        sum(f.behind for f in found),
        sum(f.missed for f in found),
        max(f.late_s for f in found),
    )


def _clip(models: Models, file: Path) -> Found:
    """The same detections for both, so that nothing differs but the gate."""
    begin, frames, _ = read(file, None)
    seen = asyncio.run(_look(models, frames))
    whole = visits_of(begin, frames, seen)
    begin, frames, counts = read(file, Gate())
    behind = visits_of(begin, frames, seen)
    missed, late_s = compare(whole, behind)
    return Found(counts, len(whole), len(behind), missed, late_s)


def read(file: Path, gate: Gate | None) -> tuple[RunBegin, list[Frame], IngestCounts]:
    """What ingest publishes of the file, at `FPS`."""
    ingest = Ingest()
    analytic = Analytic("object_detection", {"labels": "any", "embeddings": False})
    stream, address = StreamId(UUID(int=1)), Source(f"file:{file}", fps=FPS)
    spec = StreamSpec(stream, Run(1), file.name, "batch", address, (analytic,), MODEL, 0, gate=gate)
    source = FileSource.open(file, ingest.max_pixels, None, careful=True)
    ledger = Ledger("batch")
    lane = Kept(ledger)
    control = Control(time.monotonic)
    Reading(spec, source, ingest, lane=lane, ledger=ledger, control=control, resume=Resume()).run()
    begin = RunBegin(spec.stream_id, spec.run, spec, source.probe.info(source.decoder))
    return begin, lane.frames, ledger.counts


async def _look(models: Models, frames: Sequence[Frame]) -> dict[float, tuple[Detection, ...]]:
    """Objects of each frame, by its media second."""
    assert models.dir is not None
    client = ModelClient(models, Breaker(), models.dir)
    found: dict[float, tuple[Detection, ...]] = {}
    try:
        for at in range(0, len(frames), BATCH):
            part = frames[at : at + BATCH]
            for frame, answer in zip(part, await client.detect(MODEL, [f.jpeg for f in part]), strict=True):
                if isinstance(answer, BadImage):
                    raise Failed(f"the frame at {frame.media_s} s: {answer}")
                found[frame.media_s] = answer
    finally:
        await client.close()
    return found


def visits_of(begin: RunBegin, frames: Sequence[Frame], seen: Mapping[float, tuple[Detection, ...]]) -> Visits:
    """What the follower makes of the frames."""
    state = RunState.of(begin, Analyse())
    found: dict[TrackId, set[Spot]] = defaultdict(set)
    for frame in frames:
        tracks = state.frame(_detections(frame, seen[frame.media_s])).tracks
        for box in tracks.tracks:
            found[box.track_id].add((frame.media_s, box.detection))
        for earlier in tracks.earlier:
            found[earlier.track.track_id].add((earlier.media_s, earlier.track.detection))
    return {track: frozenset(spots) for track, spots in found.items()}


def compare(whole: Visits, behind: Visits) -> tuple[int, float]:
    """Visits of `whole` of which `behind` saw nothing; by how much later the others were first seen, at most."""
    spots: frozenset[Spot] = frozenset().union(*behind.values())
    common = {track: seen & spots for track, seen in whole.items()}
    late = [min(at for at, _ in again) - min(at for at, _ in whole[track]) for track, again in common.items() if again]
    return sum(not again for again in common.values()), max(late, default=0.0)


def _detections(frame: Frame, objects: tuple[Detection, ...]) -> FrameDetections:
    return FrameDetections(
        stream_id=frame.stream_id,
        run=frame.run,
        seq=frame.seq,
        index=frame.index,
        media_s=frame.media_s,
        ts_ms=frame.ts_ms,
        width=frame.width,
        height=frame.height,
        model=frame.model,
        model_version=1,
        place=Place("frames", 0, frame.seq),
        objects=objects,
        held=frame.held,
        held_s=frame.held_s,
    )


def _costs(bench: Bench, file: Path) -> tuple[list[Sample], list[Sample]]:
    """Each round's milliseconds of a frame: the gate's, and those of what it saves ingest."""
    looks: list[Sample] = []
    others: list[Sample] = []
    with _one_thread():
        for number in range(1, bench.rounds + 1):
            look, other = _cost(file)
            bench.say(f"round {number} of {bench.rounds}, {file.name}: {look:.3f} ms, {GO_ON} {other:.3f} ms")
            looks.append(Sample(look))
            others.append(Sample(other))
    return looks, others


def _cost(file: Path) -> tuple[float, float]:
    ingest = Ingest()
    source = FileSource.open(file, ingest.max_pixels, None, careful=True)
    shape, luma = Shape.of(source.probe, ingest), Luma()
    gate = MotionGate(Gate(), source.probe.rotation, Fraction(2))
    looked_s = other_s = 0.0
    frames = 0
    for number, frame in enumerate(islice(source.frames(lambda _: None), COST_FRAMES)):
        begun = time.thread_time()
        gate.lets(frame.cells(luma), Fraction(number, 5))
        looked = time.thread_time()
        shape.jpeg(frame.rgb())
        other_s += time.thread_time() - looked
        looked_s += looked - begun
        frames += 1
    if not frames:
        raise Failed(f"{file.name} has no frames")
    return looked_s / frames * 1000, other_s / frames * 1000


@contextmanager
def _one_thread() -> Iterator[None]:
    """All of OpenCV's work is the calling thread's, which is measured."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


BENCHMARK = Benchmark(
    "gate",
    f"The motion gate as it is by default, on clips at {FPS:g} frames/s: the frames that it holds back, and the visits "
    f"that are found all the same ({MODEL}, one pass of it for both); and the processor time of a look, beside that of "
    "converting, scaling and encoding the frame.",
    run,
)
