"""detect over the real client and a model server that fails: what the line loses then, which is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import grpc
import numpy as np
import pytest
import simplejpeg

from core.errors import ModelError, TooManyDeadLetters
from core.ids import Run, Seq, StreamId
from core.messages import Frame, FrameDetections, decode_detections, encode_frame
from core.settings import Breaker, Kafka, Models
from core.topics import Topics
from inference.cards import ModelCard, save_card
from inference.client import ModelClient
from inference.protos import PredictResponse
from streams_proc.detect import DetectHandler
from streams_proc.stage import Record, StatelessStage, TopicPartition
from streams_proc.stateless import StatelessLine
from tests.unit.inference.fakes import FakeServer, Refused, replicas, response
from tests.unit.streams_proc.stage_fakes import FakeGroup, FakeOrigin, FakePublisher, means, no_pressure, settle

TOPICS = Topics.of(Kafka(prefix=""))
STREAM = StreamId(UUID(int=7))
FRAMES = 12
AT = TopicPartition(TOPICS.frames_batch, 0)
Answer = Callable[[Sequence[bytes]], PredictResponse]


def jpeg(number: int) -> bytes:
    picture: bytes = simplejpeg.encode_jpeg(np.full((8, 8, 3), number, np.uint8))
    return picture


PICTURES = [jpeg(number) for number in range(FRAMES)]


def seen(images: Sequence[bytes]) -> PredictResponse:
    """One box in every picture."""
    n = len(images)
    return response(
        detection_boxes=[[[0.1, 0.1, 0.5, 0.5]]] * n,
        detection_scores=[[0.9]] * n,
        detection_classes=[[1.0]] * n,
        num_detections=[1.0] * n,
    )


def failing(bad: Callable[[bytes], bool]) -> Answer:
    def answer(images: Sequence[bytes]) -> PredictResponse:
        if any(bad(image) for image in images):
            raise Refused(grpc.StatusCode.INTERNAL, "the graph failed")
        return seen(images)

    return answer


class Bench:
    """One partition of frames; every `run` is a process's life over it, begun at what is committed."""

    def __init__(self, folder: Path) -> None:
        card = ModelCard(
            name="d", version=1, kind="detector", labels=("cat",), input_size=8, floor=0.1, licence="MIT", source="test"
        )
        save_card(folder, card)
        self.folder = folder
        self.group = FakeGroup()
        self.publisher = FakePublisher()

    def run(self, answer: Answer, most: int = 100) -> None:
        """Deliver every frame that is not committed. Raises what ended the line."""
        client = ModelClient(Models(), Breaker(), self.folder, replicas=replicas(FakeServer(answer)))
        origin = FakeOrigin(self.group.position.get(AT))
        stage = StatelessStage("stage", (AT.topic,), DetectHandler(client, TOPICS, "faces"), 4, 0.0, 2)
        line = StatelessLine(stage, means(self.group, self.publisher, origin, most=most), no_pressure())

        async def life() -> None:
            working = asyncio.create_task(line.run())
            for offset in range(origin.committed or 0, FRAMES):
                line.offer(1, self.record(offset))
            await settle()
            line.stop()
            await working

        try:
            asyncio.run(life())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    @staticmethod
    def record(offset: int) -> Record:
        at = Frame(STREAM, Run(1), Seq(offset), offset, 0.0, 1000, 8, 8, PICTURES[offset], "d")
        return Record(AT.topic, 0, offset, str(STREAM).encode(), encode_frame(at))

    @property
    def answered(self) -> list[tuple[int, str | None]]:
        messages = [decode_detections(value) for value in self.publisher.values(TOPICS.detections)]
        return [(m.seq, m.error) for m in messages if isinstance(m, FrameDetections)]

    @property
    def letters(self) -> int:
        return len(self.publisher.values("dead"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_model_that_fails_on_every_frame_stops_the_line_again_and_again_and_loses_nothing(bench: Bench) -> None:
    for _ in range(3):  # the supervisor starts it again
        with pytest.raises(ModelError, match="fails on every picture"):
            bench.run(failing(lambda _: True))
    assert (bench.answered, bench.letters, bench.group.committed) == ([], 0, [])
    bench.run(seen)  # another version is there
    assert bench.answered == [(i, None) for i in range(FRAMES)]
    assert (bench.letters, bench.group.position) == (0, {AT: FRAMES})


def test_a_model_that_breaks_in_the_middle_is_gone_on_with_where_it_broke(bench: Bench) -> None:
    calls: list[int] = []

    def breaking(images: Sequence[bytes]) -> PredictResponse:
        calls.append(len(images))
        if len(calls) > 1:
            raise Refused(grpc.StatusCode.INTERNAL, "the graph failed")
        return seen(images)

    with pytest.raises(ModelError):
        bench.run(breaking)
    committed = bench.group.position.get(AT, 0)
    assert committed <= 4
    bench.run(seen)
    assert dict(bench.answered) == dict.fromkeys(range(FRAMES))
    assert (bench.letters, bench.group.position) == (0, {AT: FRAMES})


@pytest.mark.parametrize("poison", [0, 5, FRAMES - 1])
def test_a_frame_on_which_the_model_fails_costs_that_frame_alone(bench: Bench, poison: int) -> None:
    bench.run(failing(lambda image: image == PICTURES[poison]))
    assert bench.answered == [
        (i, "the picture cannot be decoded: the graph failed" if i == poison else None) for i in range(FRAMES)
    ]
    assert (bench.letters, bench.group.position) == (1, {AT: FRAMES})


def test_a_model_that_fails_on_all_but_the_simplest_picture_is_stopped_by_the_limit(bench: Bench) -> None:
    for _ in range(3):
        with pytest.raises(TooManyDeadLetters):
            bench.run(failing(lambda image: image in PICTURES), most=5)
        assert bench.group.position.get(AT, 0) <= 5
        bench.group.committed.clear()  # as after a process that died before its commit
    bench.publisher.sent.clear()
    bench.run(seen)
    assert bench.answered == [(i, None) for i in range(FRAMES)]
