from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.errors import BadImage
from core.ids import Run, Seq, StreamId
from core.messages import (
    CANCELLED,
    Detection,
    Face,
    Frame,
    FrameDetections,
    IngestCounts,
    Lane,
    Place,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    VideoInfo,
    decode_detections,
    encode_frame,
)
from core.settings import Kafka, Settings
from core.topics import Topics
from streams_proc.detect import DetectHandler, detect_stage
from streams_proc.stage import Outcome, Poison, Record
from streams_proc.stateless import STANDING_BACK_S, StatelessLine
from tests.unit.streams_proc.stage_fakes import FakeGroup, FakeOrigin, FakePublisher, means, no_pressure, settle

TOPICS = Topics.of(Kafka(prefix=""))
STREAM = StreamId(UUID(int=7))
CAR = Detection("car", 0.5, (0.123456789, 0.2, 0.3, 0.987654321))
BUS = Detection("bus", 0.75, (0.0, 0.0, 1.0, 1.0))
FACE = Face(0.9, (0.1, 0.1, 0.2, 0.2), ((0.123456789, 0.5),) * 6)


class FakeDetector:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Lane, list[bytes]]] = []

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Detection, ...] | BadImage]:
        self.calls.append(("objects", model, lane, list(images)))
        return [BadImage("no jpeg") if image == b"bad" else (CAR, BUS) for image in images]

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Face, ...] | BadImage]:
        self.calls.append(("faces", model, lane, list(images)))
        return [BadImage("no face picture") if image == b"faceless" else (FACE,) for image in images]

    async def version(self, model: str) -> int:
        return 3


def frame(seq: int, jpeg: bytes = b"jpeg", *, model: str = "m", faces: bool = False) -> Frame:
    return Frame(STREAM, Run(1), Seq(seq), seq * 3, seq * 0.1, 1000 + seq, 960, 540, jpeg, model, faces, published_ms=5)


def on(value: bytes | None, offset: int = 0, topic: str = TOPICS.frames_batch) -> Record:
    return Record(topic, 2, offset, str(STREAM).encode(), value)


def handle(records: Sequence[Record], detector: FakeDetector | None = None) -> list[Outcome]:
    handler = DetectHandler(detector or FakeDetector(), TOPICS, "facenet")
    return list(asyncio.run(handler.handle(records)))


def message(outcome: Outcome) -> RunBegin | FrameDetections | RunEnd:
    outputs = outcome.outputs if isinstance(outcome, Poison) else outcome
    (output,) = outputs
    assert output.topic == TOPICS.detections
    assert output.key == str(STREAM).encode()
    return decode_detections(output.value)


def test_a_frame_becomes_its_detections_with_the_place_of_its_picture() -> None:
    (outcome,) = handle([on(encode_frame(frame(4)), 17)])
    assert message(outcome) == FrameDetections(
        STREAM, Run(1), Seq(4), 12, 0.4, 1004, 960, 540, "m", 3, Place("frames.batch", 2, 17),
        (BUS, Detection("car", 0.5, (0.12346, 0.2, 0.3, 0.98765))),
        published_ms=5,
    )  # fmt: skip


def test_begin_and_end_of_a_run_keep_their_places() -> None:
    spec = StreamSpec(STREAM, Run(1), "s", "batch", Source("file:x"), (), "m", 0)
    begin = RunBegin(STREAM, Run(1), spec, VideoInfo(1, 1, 1.0))
    end = RunEnd(STREAM, Run(1), "done", IngestCounts(), 9)
    outcomes = handle([on(encode_frame(m)) for m in (begin, frame(0), end)])
    first, between, last = map(message, outcomes)
    assert (first, last) == (begin, end)
    assert isinstance(between, FrameDetections)


def test_a_picture_that_cannot_be_decoded_is_a_dead_letter_and_leaves_no_gap() -> None:
    good, bad = handle([on(encode_frame(frame(0))), on(encode_frame(frame(1, b"bad")))])
    assert not isinstance(good, Poison)
    assert isinstance(bad, Poison)
    left = message(bad)
    assert isinstance(left, FrameDetections)
    assert (left.seq, left.error, left.objects, left.faces) == (1, "no jpeg", (), None)


def test_bytes_that_are_no_frame_are_a_dead_letter_alone() -> None:
    outcomes = handle([on(b"\xff\x00"), on(None), on(encode_frame(frame(0)))])
    assert [isinstance(o, Poison) and not o.outputs for o in outcomes] == [True, True, False]


def test_faces_are_looked_for_in_the_same_step_where_they_are_wanted() -> None:
    detector = FakeDetector()
    outcomes = handle([on(encode_frame(frame(0))), on(encode_frame(frame(1, b"two", faces=True)))], detector)
    without, with_faces = map(message, outcomes)
    assert isinstance(without, FrameDetections) and without.faces is None
    assert isinstance(with_faces, FrameDetections) and with_faces.faces is not None
    assert with_faces.faces[0].landmarks[0] == (0.12346, 0.5)
    assert ("faces", "facenet", "batch", [b"two"]) in detector.calls


def test_a_picture_the_face_model_cannot_decode_is_a_dead_letter_too() -> None:
    (outcome,) = handle([on(encode_frame(frame(1, b"faceless", faces=True)))])
    assert isinstance(outcome, Poison)
    left = message(outcome)
    assert isinstance(left, FrameDetections) and left.error == "no face picture"


def test_calls_are_divided_by_model_and_lane_and_answers_come_back_in_order() -> None:
    detector = FakeDetector()
    records = [
        on(encode_frame(frame(0, b"a", model="x"))),
        on(encode_frame(frame(1, b"b", model="y"))),
        on(encode_frame(frame(2, b"c", model="x"))),
        on(encode_frame(frame(3, b"d", model="x")), topic=TOPICS.frames_live),
    ]
    outcomes = handle(records, detector)
    assert [m.seq for m in map(message, outcomes) if isinstance(m, FrameDetections)] == [0, 1, 2, 3]
    assert sorted(detector.calls) == [
        ("objects", "x", "batch", [b"a", b"c"]),
        ("objects", "x", "live", [b"d"]),
        ("objects", "y", "batch", [b"b"]),
    ]


def test_frames_that_nobody_wants_any_more_go_on_unseen_without_a_gap() -> None:
    detector = FakeDetector()
    handler = DetectHandler(detector, TOPICS, "facenet", unwanted={STREAM})
    outcomes = asyncio.run(handler.handle([on(encode_frame(frame(seq))) for seq in range(3)]))
    passed = [message(outcome) for outcome in outcomes]
    assert detector.calls == []
    assert [isinstance(m, FrameDetections) and (m.seq, m.error, m.objects) for m in passed] == [
        (seq, CANCELLED, ()) for seq in range(3)
    ]
    assert not any(isinstance(outcome, Poison) for outcome in outcomes)


def test_what_was_held_back_before_a_frame_goes_on_with_it_whatever_becomes_of_it() -> None:
    frames = [replace(frame(0), held=3, held_s=0.3), replace(frame(1, b"bad"), held=2, held_s=0.2)]
    handler = DetectHandler(FakeDetector(), TOPICS, "facenet")
    unwanted = DetectHandler(FakeDetector(), TOPICS, "facenet", unwanted={STREAM})
    for one in (handler, unwanted):
        passed = [message(o) for o in asyncio.run(one.handle([on(encode_frame(each)) for each in frames]))]
        assert [(m.held, m.held_s) for m in passed if isinstance(m, FrameDetections)] == [(3, 0.3), (2, 0.2)]


class Halting(FakeDetector):
    """Answers what is of `lane` when `go` is set, and all else at once."""

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self.lane = lane
        self.go = asyncio.Event()

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Detection, ...] | BadImage]:
        if lane == self.lane:
            await self.go.wait()
        return await super().detect(model, images, lane=lane)


def test_a_live_frame_waits_behind_no_call_of_a_task() -> None:
    settings = Settings()
    topics = Topics.of(settings.kafka)

    async def scene() -> None:
        detector, publisher = Halting("batch"), FakePublisher()
        stage = detect_stage(settings, DetectHandler(detector, topics, "facenet"))
        line = StatelessLine(stage, means(FakeGroup(), publisher, FakeOrigin()), no_pressure())
        working = asyncio.create_task(line.run())
        for offset in range(10 * stage.batch * stage.in_flight):
            line.offer(1, on(encode_frame(frame(offset)), offset, topics.frames_batch))
        await asyncio.sleep(2 * stage.linger_s)
        for offset in range(stage.batch):
            line.offer(1, on(encode_frame(frame(offset)), offset, topics.frames_live))
        await settle()
        places = [decode_detections(value).place for value in publisher.values(topics.detections)]  # type: ignore[union-attr]
        assert [(place.topic, place.offset) for place in places] == [
            (topics.frames_live, offset) for offset in range(stage.batch)
        ]
        detector.go.set()
        line.stop()
        await working

    asyncio.run(scene())


@pytest.mark.parametrize("waiting_already", [True, False])
def test_while_cameras_send_frames_a_task_is_looked_at_frame_by_frame(waiting_already: bool) -> None:
    settings = Settings()
    topics = Topics.of(settings.kafka)

    async def scene() -> None:
        detector = FakeDetector()
        stage = detect_stage(settings, DetectHandler(detector, topics, "facenet"))
        line = StatelessLine(stage, means(FakeGroup(), FakePublisher(), FakeOrigin()), no_pressure())
        working = asyncio.create_task(line.run())
        if not waiting_already:  # the task's calls stand ready when the first records come
            await settle()
        line.offer(1, on(encode_frame(frame(0)), 0, topics.frames_live))
        for offset in range(stage.batch):
            line.offer(1, on(encode_frame(frame(offset)), offset, topics.frames_batch))
        await asyncio.sleep(2 * stage.linger_s)
        await settle()
        line.stop()
        await working
        assert [len(images) for _, _, lane, images in detector.calls if lane == "batch"] == [1] * stage.batch

    asyncio.run(scene())


def test_a_live_call_that_takes_long_keeps_a_task_s_calls_small() -> None:
    settings = Settings()
    topics = Topics.of(settings.kafka)

    async def scene() -> None:
        detector = Halting("live")
        stage = detect_stage(settings, DetectHandler(detector, topics, "facenet"))
        line = StatelessLine(stage, means(FakeGroup(), FakePublisher(), FakeOrigin()), no_pressure())
        working = asyncio.create_task(line.run())
        line.offer(1, on(encode_frame(frame(0)), 0, topics.frames_live))
        await asyncio.sleep(STANDING_BACK_S + 0.05)
        for offset in range(stage.batch):
            line.offer(1, on(encode_frame(frame(offset)), offset, topics.frames_batch))
        await settle()
        detector.go.set()
        line.stop()
        await working
        assert len(next(images for _, _, lane, images in detector.calls if lane == "batch")) == 1

    asyncio.run(scene())
