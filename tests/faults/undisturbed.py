"""One undisturbed pass over the records of `frames.live`: what the live lane must have found."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from confluent_kafka import Consumer, KafkaError, TopicPartition

from core.errors import BadImage
from core.ids import StreamId
from core.kafka import consumer
from core.messages import (
    Detection,
    Event,
    Frame,
    FrameDetections,
    FrameTracks,
    Keyspace,
    Lane,
    decode_detections,
    decode_event,
    decode_frames,
    decode_tracks,
)
from core.settings import Settings
from core.topics import Topics
from inference.client import ModelClient
from streams_proc.analyse import AnalyseHandler
from streams_proc.detect import DetectHandler
from streams_proc.frame_reader import FrameReader
from streams_proc.stage import Outcome, Output, Poison, Record
from streams_proc.views import Embedding, ViewTaker

Answer: TypeAlias = tuple[Detection, ...] | BadImage
Answers: TypeAlias = dict[tuple[str, bytes], Answer]
"""What a model has said of pictures, by their digests."""

BATCH = 16
CHUNK = 100
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the pass gives, as the stages would publish it."""

    frames: Sequence[FrameDetections]
    tracks: Sequence[FrameTracks]
    events: Sequence[Event]


class Remembering(ModelClient):
    """Asks about a picture once: its answer has the same bits whatever it is batched with, as a test holds."""

    def __init__(self, settings: Settings, answers: Answers) -> None:
        super().__init__(settings.models, settings.breaker, settings.models_dir)
        self._answers = answers

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch", floor: float | None = None
    ) -> list[Answer]:
        """As the client's own."""
        keys = [(f"{model} {floor}", hashlib.blake2b(image).digest()) for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._answers}
        if new:
            answers = await super().detect(model, list(new.values()), lane=lane, floor=floor)
            self._answers.update(zip(new, answers, strict=True))
        return [self._answers[key] for key in keys]


def records_of(settings: Settings, topic: str, streams: Sequence[StreamId]) -> dict[StreamId, list[Record]]:
    """Every record of some streams on a topic, in order."""
    wanted = {str(stream).encode(): stream for stream in streams}
    found: dict[StreamId, list[Record]] = {stream: [] for stream in streams}
    client = consumer(settings.kafka, "faults", "faults", **{"enable.partition.eof": True})
    try:
        for partition in range(settings.kafka.partitions):
            for record in _partition(client, topic, partition):
                if record.key in wanted:
                    found[wanted[record.key]].append(record)
    finally:
        client.close()
    return found


def _partition(client: Consumer, topic: str, partition: int) -> Iterator[Record]:
    place = TopicPartition(topic, partition)
    low, high = client.get_watermark_offsets(place, timeout=TIMEOUT_S)
    if low >= high:
        return
    client.assign([TopicPartition(topic, partition, low)])
    while True:
        message = client.poll(TIMEOUT_S)
        assert message is not None, f"{topic}/{partition} does not answer"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            return
        headers = {name: value or b"" for name, value in message.headers() or ()}
        yield Record(topic, partition, message.offset() or 0, message.key(), message.value(), headers)


def once(records: Sequence[Record]) -> list[Record]:
    """The records of a frames topic without those that the producer sent again under the same sequence number."""
    kept, highest = [], -1
    for record in records:
        message = decode_frames(record.value)
        if isinstance(message, Frame):
            if message.seq <= highest:
                continue
            highest = message.seq
        kept.append(record)
    return kept


async def _outputs(outcomes: Sequence[Outcome]) -> list[Output]:
    found: list[Output] = []
    for outcome in outcomes:
        assert not isinstance(outcome, Poison), outcome
        found += outcome
    return found


async def undisturbed(settings: Settings, records: Sequence[Record], answers: Answers) -> Found:
    """Detect and analyse the records in this process, from the first to the last, with nothing in between."""
    topics, models = Topics.of(settings.kafka), settings.models
    client = Remembering(settings, answers)
    reader = FrameReader(settings.kafka)
    embeddings: dict[Keyspace, Embedding] = {
        "appearance": Embedding(models.embedder, client.card(models.embedder).widen),
        "face": Embedding(models.face_embedder, client.card(models.face_embedder).widen),
    }
    detect = DetectHandler(client, topics, models.face_detector)
    analyse = AnalyseHandler(topics, settings.analyse, ViewTaker(reader, client, embeddings))
    try:
        seen: list[Output] = []
        for at in range(0, len(records), BATCH):
            seen += await _outputs(await detect.handle(records[at : at + BATCH]))
        given = [Record(o.topic, 0, i, o.key, o.value) for i, o in enumerate(seen)]
        followed: list[Output] = []
        for at in range(0, len(given), CHUNK):
            followed += await _outputs(await analyse.handle(given[at : at + CHUNK]))
    finally:
        await client.close()
        await reader.close()
    tracks = [decode_tracks(o.value) for o in followed if o.topic == topics.tracks]
    events = [decode_event(o.value) for o in followed if o.topic == topics.events]
    return Found(
        [m for m in (decode_detections(o.value) for o in seen) if isinstance(m, FrameDetections)],
        [m for m in tracks if isinstance(m, FrameTracks)],
        [m for m in events if isinstance(m, Event)],
    )


def expect(settings: Settings, records: Sequence[Record], answers: Answers) -> Found:
    """`undisturbed`, from code that is not asynchronous."""
    return asyncio.run(undisturbed(settings, records, answers))
