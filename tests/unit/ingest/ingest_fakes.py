"""A broker and a source that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
from confluent_kafka import KafkaException
from numpy.typing import NDArray

from core.ids import Run, StreamId
from core.messages import Analytic, Frame, RunBegin, RunEnd, Source, StreamSpec, decode_frames
from ingest.decoded import NotDecoded, ProblemSink, Unneeded, all_needed
from ingest.luma import Cells, Luma, of_plane
from ingest.picture import Size
from ingest.probe import Probe

STREAM = StreamId(UUID(int=7))


@dataclass
class FakeMessage:
    at: int

    def offset(self) -> int:
        return self.at


@dataclass
class FakeProducer:
    """Acknowledges when polled, while `answering`; at most `capacity` records wait."""

    answering: bool = True
    capacity: int = 10_000
    error: str | None = None
    refuse: bool = False
    records: list[tuple[str, bytes, bytes, int]] = field(default_factory=list)
    waiting: list[tuple[int, Callable[..., None]]] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Callable[..., None]) -> None:
        if self.refuse:
            raise KafkaException("refused")
        if len(self.waiting) >= self.capacity:
            raise BufferError("full")
        self.records.append((topic, value, key, partition))
        self.waiting.append((len(self.records) - 1, on_delivery))

    def poll(self, timeout: float) -> int:
        if timeout and not self.answering:
            self.answering = True
        if not self.answering:
            return 0
        waiting, self.waiting = self.waiting, []
        for offset, delivered in waiting:
            delivered(self.error, FakeMessage(offset))
        return len(waiting)

    def flush(self, timeout: float) -> int:
        self.poll(0)
        return len(self.waiting)

    def frames(self, topic: str) -> list[RunBegin | Frame | RunEnd]:
        return [decode_frames(value) for name, value, *_ in self.records if name == topic]


@dataclass
class FakeLag:
    records: int = 0
    error: bool = False
    closed: bool = False
    record_bytes: float | None = None

    def count(self) -> int:
        if self.error:
            raise KafkaException("no answer")
        return self.records

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def still(_: int) -> NDArray[np.uint8]:
    """Luma of a frame in which nothing ever moves."""
    return np.full((48, 64), 100, np.uint8)


def moving(*numbers: int) -> Callable[[int], NDArray[np.uint8]]:
    """Luma of frames in which a thing moves where their numbers are among these, and is not there else."""

    def scene(number: int) -> NDArray[np.uint8]:
        plane = still(number)
        if number in numbers:
            x = number * 8 % 48
            plane[8:24, x : x + 16] = 200
        return plane

    return scene


@dataclass
class FakeDecoded:
    pts: Fraction | None
    number: int
    good: bool = True
    plane: Any = None
    dts: Fraction | None = None

    def cells(self, _: Luma) -> Cells:
        return of_plane(self.plane)

    def rgb(self) -> Any:
        if not self.good:
            raise NotDecoded
        return np.full((48, 64, 3), self.number % 256, np.uint8)


@dataclass
class FakeSource:
    """`count` frames at `fps`; frames in `bad` raise when they are taken, and are not given again.

    `gaps`: frames of time from each to the next; one each where it is empty. `enter`: every so many frames it can be
    entered, so that what lies before and is not needed is left out; 0: nowhere. `scene`: luma by number.
    """

    count: int = 30
    fps: int = 10
    bad: frozenset[int] = frozenset()
    damage: dict[int, str] = field(default_factory=dict)
    gaps: list[int] = field(default_factory=list)
    enter: int = 0
    scene: Callable[[int], Any] = still
    decoder: str = "fake"
    broken: str | None = None
    lost: str | None = None
    times: str = "recorded"

    @property
    def probe(self) -> Probe:
        return Probe(
            coded=Size(64, 48),
            shown=Size(64, 48),
            rotation=0,
            fps=Fraction(self.fps),
            time_base=Fraction(1, 1000),
            codec="fake",
            pixels="rgb24",
            promised=self.count,
            duration_s=self.count / self.fps,
        )

    def frames(self, problem: ProblemSink, unneeded: Unneeded = all_needed) -> Iterator[FakeDecoded]:
        entry = 0
        for number in range(self.count):
            if 0 < number < entry:
                continue
            if number in self.damage:
                problem(self.damage[number])
            yield FakeDecoded(self._pts(number), number, number not in self.bad, self.scene(number))
            if number == 0 and self.enter and (until := unneeded()) is not None:
                entry = max(n for n in range(0, self.count, self.enter) if self._pts(n) <= until)

    def _pts(self, number: int) -> Fraction:
        return Fraction(sum(self.gaps[:number]) if self.gaps else number, self.fps)


def spec(lane: str = "batch", fps: float = 0.0, run: int = 1, **more: Any) -> StreamSpec:
    source = {name: more.pop(name) for name in list(more) if name in Source.__struct_fields__}
    return StreamSpec(
        stream_id=more.pop("stream_id", STREAM),
        run=Run(run),
        name="clip",
        lane=lane,  # type: ignore[arg-type]
        source=Source(**{"url": "file:/clip.mp4", "fps": fps, **source}),
        analytics=more.pop("analytics", (Analytic("object_detection"),)),
        model="detector",
        started_ms=more.pop("started_ms", 1_000_000),
        **more,
    )
