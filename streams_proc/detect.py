"""detect: frames to what is in them, in batches across streams."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import BadImage
from core.ids import StreamId
from core.messages import (
    CANCELLED,
    Box,
    Detection,
    Face,
    Frame,
    FrameDetections,
    FramesMessage,
    Lane,
    Place,
    decode_frames,
    encode_json,
)
from core.settings import Settings
from core.topics import Topics
from streams_proc.outcomes import decode_each
from streams_proc.stage import Handler, Outcome, Output, Poison, Record, StatelessStage

DECIMALS = 5
Objects = tuple[Detection, ...] | BadImage
Faces = tuple[Face, ...] | BadImage | None


class Detector(Protocol):
    """The part of `inference.client.ModelClient` that detect asks."""

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Detection, ...] | BadImage]:
        """Objects of each picture."""
        ...

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Face, ...] | BadImage]:
        """Faces of each picture."""
        ...

    async def version(self, model: str) -> int:
        """Version that answered last."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What the models answered for one frame."""

    objects: Objects
    faces: Faces
    version: int


class DetectHandler:
    """Asks the detector about frames; what is no frame is passed on in its place.

    A frame that cannot be decoded is a dead letter, and goes on empty with its error, so that the
    run has no gap. So does one that nobody wants any more; it is not looked at.

    Args:
        unwanted: streams whose frames are not to be looked at.
    """

    def __init__(
        self, detector: Detector, topics: Topics, face_model: str, unwanted: Container[StreamId] = frozenset()
    ) -> None:
        self._detector = detector
        self._topics = topics
        self._face_model = face_model
        self._unwanted = unwanted

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """One FrameDetections for each frame.

        Raises:
            TransientError: no model server answers.
            ModelError: the model is not there, or fails on everything.
        """
        messages = decode_each(records, lambda record: decode_frames(record.value))
        frames = {i: m for i, m in enumerate(messages) if isinstance(m, Frame) and m.stream_id not in self._unwanted}
        seen = await self._look(frames, records)
        return [
            message if isinstance(message, Poison) else self._outcome(message, record, seen.get(i))
            for i, (record, message) in enumerate(zip(records, messages, strict=True))
        ]

    async def _look(self, frames: dict[int, Frame], records: Sequence[Record]) -> dict[int, Seen]:
        groups: dict[tuple[str, Lane], list[int]] = defaultdict(list)
        for i, frame in frames.items():
            groups[frame.model, self._lane(records[i])].append(i)
        answers = await asyncio.gather(
            *(self._look_at(model, lane, [(i, frames[i]) for i in places]) for (model, lane), places in groups.items())
        )
        return {i: seen for answer in answers for i, seen in answer.items()}

    async def _look_at(self, model: str, lane: Lane, frames: list[tuple[int, Frame]]) -> dict[int, Seen]:
        wanted = [(i, frame) for i, frame in frames if frame.faces]
        objects, faces = await asyncio.gather(
            self._detector.detect(model, [frame.jpeg for _, frame in frames], lane=lane),
            self._faces([frame.jpeg for _, frame in wanted], lane),
        )
        version = await self._detector.version(model)
        faces_of: dict[int, Faces] = dict(zip((i for i, _ in wanted), faces, strict=True))
        return {i: Seen(found, faces_of.get(i), version) for (i, _), found in zip(frames, objects, strict=True)}

    def _faces(self, jpegs: list[bytes], lane: Lane) -> Awaitable[list[tuple[Face, ...] | BadImage]]:
        return self._detector.detect_faces(self._face_model, jpegs, lane=lane) if jpegs else _nothing()

    def _lane(self, record: Record) -> Lane:
        return "live" if record.topic == self._topics.frames_live else "batch"

    def _outcome(self, message: FramesMessage, record: Record, seen: Seen | None) -> Outcome:
        if not isinstance(message, Frame):
            return (self._output(message),)
        if seen is None:
            return (self._output(_frame_detections(message, record, Seen((), None, 0), CANCELLED)),)
        for found in (seen.objects, seen.faces):
            if isinstance(found, BadImage):
                failed = _frame_detections(message, record, Seen((), None, seen.version), str(found))
                return Poison(found, (self._output(failed),))
        return (self._output(_frame_detections(message, record, seen, None)),)

    def _output(self, message: FramesMessage | FrameDetections) -> Output:
        return Output(self._topics.detections, str(message.stream_id).encode(), encode_json(message))


def detect_stage(settings: Settings, handler: Handler) -> StatelessStage:
    """The stage; each lane has calls of its own, so that a live frame waits behind none of a task's."""
    topics = Topics.of(settings.kafka)
    return StatelessStage(
        "detect",
        (topics.frames_live, topics.frames_batch),
        handler,
        batch=settings.detect.batch,
        linger_s=settings.detect.linger_ms / 1000,
        in_flight=settings.detect.in_flight,
        apart=True,
    )


async def _nothing() -> list[tuple[Face, ...] | BadImage]:
    return []


def _frame_detections(frame: Frame, record: Record, seen: Seen, error: str | None) -> FrameDetections:
    assert not isinstance(seen.objects, BadImage)
    assert not isinstance(seen.faces, BadImage)
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
        model_version=seen.version,
        place=Place(record.topic, record.partition, record.offset),
        objects=tuple(sorted(map(_rounded, seen.objects), key=lambda d: (-d.score, d.label, d.box))),
        faces=None if seen.faces is None else tuple(sorted(map(_rounded_face, seen.faces), key=lambda f: -f.score)),
        error=error,
        ephemeral=frame.ephemeral,
        published_ms=frame.published_ms,
        held=frame.held,
        held_s=frame.held_s,
    )


def _rounded(detection: Detection) -> Detection:
    return Detection(detection.label, detection.score, _rounded_box(detection.box))


def _rounded_face(face: Face) -> Face:
    points = tuple((round(x, DECIMALS), round(y, DECIMALS)) for x, y in face.landmarks)
    return Face(face.score, _rounded_box(face.box), points)


def _rounded_box(box: Box) -> Box:
    x_min, y_min, x_max, y_max = box
    return round(x_min, DECIMALS), round(y_min, DECIMALS), round(x_max, DECIMALS), round(y_max, DECIMALS)
