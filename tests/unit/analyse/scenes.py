"""Streams made up for tests: records of `detections`, and the parts that analyse works with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import simplejpeg

from core.errors import BadImage
from core.ids import Run, Seq, StreamId
from core.messages import (
    Analytic,
    Box,
    Detection,
    Event,
    Face,
    Frame,
    FrameDetections,
    FrameTracks,
    IngestCounts,
    Place,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    VideoInfo,
    decode_event,
    decode_tracks,
    encode_frame,
    encode_json,
)
from core.settings import Analyse, Kafka
from core.topics import Topics
from streams_proc.analyse import AnalyseHandler
from streams_proc.stage import Outcome, Output, Record
from streams_proc.views import Embedding, ViewTaker

TOPICS = Topics.of(Kafka())
STREAM = StreamId(UUID(int=7))
OTHER = StreamId(UUID(int=8))
FPS = 10.0
Message = RunBegin | FrameDetections | RunEnd
Row = Sequence[tuple[str, float, Box]]
"""What the detector saw in one frame: label, score, box."""

OBJECTS = Analytic("object_detection")


def jpeg(width: int = 192, height: int = 108, shade: int = 0) -> bytes:
    """A picture with something in it."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([(x * 2 + shade) % 256, (y * 3) % 256, (x + y) % 256], axis=-1).astype(np.uint8)
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=90)
    return encoded


class FakeFrames:
    """Frames of every offset; `gone` are kept no longer, and `failing` is raised once if set."""

    def __init__(self, stream: StreamId = STREAM) -> None:
        self.stream = stream
        self.gone: set[int] = set()
        self.broken: set[int] = set()
        self.failing: list[Exception] = []
        self.calls: list[tuple[Place, ...]] = []

    async def read(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        self.calls.append(tuple(places))
        await asyncio.sleep(0)
        if self.failing:
            raise self.failing.pop()
        return {p: self.record(p.offset) for p in places if p.offset not in self.gone}

    def record(self, offset: int) -> bytes:
        picture = b"no jpeg" if offset in self.broken else jpeg(shade=offset)
        return encode_frame(
            Frame(self.stream, Run(1), Seq(offset), offset, offset / FPS, 0, 192, 108, picture, model="m")
        )


class FakeEmbedder:
    """A vector that depends on the picture; remembers its calls."""

    def __init__(self) -> None:
        self.failing: list[Exception] = []
        self.refused: set[int] = set()
        self.calls: list[tuple[str, int]] = []
        self.lanes: list[str] = []

    async def embed(
        self, model: str, images: Sequence[bytes], *, lane: str = "batch"
    ) -> list[tuple[float, ...] | BadImage]:
        self.calls.append((model, len(images)))
        self.lanes.append(lane)
        await asyncio.sleep(0)
        if self.failing:
            raise self.failing.pop()
        return [
            BadImage("refused") if i in self.refused else (len(image) / 7.0, float(sum(image) % 97) / 3.0)
            for i, image in enumerate(images)
        ]


class Bench:
    """An `AnalyseHandler` with its fakes."""

    def __init__(self, settings: Analyse | None = None) -> None:
        self.frames = FakeFrames()
        self.embedder = FakeEmbedder()
        self.settings = settings or Analyse()
        self.now = 1000.0
        self.handler = self.new_handler()

    def new_handler(self) -> AnalyseHandler:
        taker = ViewTaker(
            self.frames, self.embedder, {"appearance": Embedding("appearance", 0.1), "face": Embedding("faceres", 0.3)}
        )
        return AnalyseHandler(TOPICS, self.settings, taker, clock=lambda: 100.0, monotonic=lambda: self.now)

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        return list(asyncio.run(self.handler.handle(records)))

    def give(self, messages: Iterable[Message | bytes]) -> list[Outcome]:
        return self.handle(records(messages))


def records(messages: Iterable[Message | bytes], first: int = 0) -> list[Record]:
    """`messages` as they lie in Kafka."""
    return [
        Record(TOPICS.detections, 0, first + i, b"key", m)
        if isinstance(m, bytes)
        else Record(TOPICS.detections, 0, first + i, str(m.stream_id).encode(), encode_json(m))
        for i, m in enumerate(messages)
    ]


def begin(
    *analytics: Analytic, stream: StreamId = STREAM, run: int = 1, lane: str = "batch", fps: float = FPS, **more: Any
) -> RunBegin:
    """A run's begin; the video is 1920 x 1080."""
    ephemeral = bool(more.pop("ephemeral", False))
    video = VideoInfo(width=1920, height=1080, fps=fps) if "video" not in more else more.pop("video")
    source = more.pop("source", Source(url="file:/v.mp4", fps=0))
    spec = StreamSpec(
        stream_id=stream,
        run=Run(run),
        name="test",
        lane=lane,  # type: ignore[arg-type]
        source=source,
        analytics=analytics or (OBJECTS,),
        model="centernet-512",
        started_ms=1_000_000,
        ephemeral=ephemeral,
    )
    return RunBegin(stream, Run(run), spec, video)


def frame(
    seq: int, row: Row = (), *, faces: Row | None = None, stream: StreamId = STREAM, run: int = 1, **more: Any
) -> FrameDetections:
    """One frame's detections, sorted as the detector sorts them."""
    media_s = more.pop("media_s", seq / FPS)
    found = [Detection(label, score, box) for label, score, box in sorted(row, key=lambda r: -r[1])]
    seen = None if faces is None else tuple(Face(score, box, ()) for _, score, box in faces)
    return FrameDetections(
        stream_id=stream,
        run=Run(run),
        seq=Seq(seq),
        index=seq,
        media_s=media_s,
        ts_ms=1_000_000 + round(media_s * 1000),
        width=192,
        height=108,
        model="centernet-512",
        model_version=1,
        place=Place(TOPICS.frames_batch, 0, seq),
        objects=tuple(found),
        faces=seen,
        **more,
    )


def end(stream: StreamId = STREAM, run: int = 1, **more: Any) -> RunEnd:
    """A run's end."""
    return RunEnd(stream, Run(run), "done", IngestCounts(), ts_ms=5_000_000, **more)


def walk(label: str, score: float, start: float, step: float, frames: int) -> list[Row]:
    """A thing of a fifth of the picture that goes right by `step` of the width a frame."""
    return [[(label, score, at(start + step * i))] for i in range(frames)]


def at(x: float, y: float = 0.3, size: float = 0.2) -> Box:
    """A box with its upper left corner there, rounded as detect rounds."""
    return (round(x, 5), round(y, 5), round(x + size, 5), round(y + size, 5))


def whole_run(rows: Sequence[Row], *analytics: Analytic, **more: Any) -> list[Message]:
    """A run of `rows`."""
    return [begin(*analytics, **more), *(frame(i, row) for i, row in enumerate(rows)), end()]


def outputs(outcomes: Iterable[Outcome]) -> list[Output]:
    """All outputs; there is no poison."""
    flat: list[Output] = []
    for outcome in outcomes:
        assert isinstance(outcome, Sequence), outcome
        flat += outcome
    return flat


def tracks_of(outcomes: Iterable[Outcome]) -> list[FrameTracks]:
    """Every frame's tracks."""
    found = [decode_tracks(o.value) for o in outputs(outcomes) if o.topic == TOPICS.tracks]
    return [message for message in found if isinstance(message, FrameTracks)]


def events_of(outcomes: Iterable[Outcome]) -> list[Event]:
    """Every phase of every event."""
    found = [decode_event(o.value) for o in outputs(outcomes) if o.topic == TOPICS.events]
    return [message for message in found if isinstance(message, Event)]
