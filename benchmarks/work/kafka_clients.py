"""Writing to Kafka and reading from it: with the product's own clients, and with bare confluent-kafka.

Bare means that the record's bytes are there already and nothing else is done with them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import child
from benchmarks.clips import pictures_of
from benchmarks.work.made_up import detections_of, frame_of, stream_of
from core import kafka as clients
from core.messages import encode_frame, encode_json
from core.settings import Kafka
from core.topics import Topics
from ingest.publisher import Acknowledged, Publisher
from ingest.reader import PRODUCER_KB
from streams_proc.publish import WITHOUT_HOLES, KafkaPublisher, Tally
from streams_proc.stage import Output

READ_S = 120.0


class Clients:
    """Each way, by name."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._kafka = Kafka(**setup["kafka"])
        self._pictures = pictures_of(setup["pictures"])
        self._ways: dict[str, Callable[[Topics, int], float]] = {
            "frames, product": self._frames,
            "frames, bare": self._frames_bare,
            "detections, product": self._detections,
            "detections, bare": self._detections_bare,
            "read, bare": self._read_bare,
        }

    def __call__(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Move ``count`` records on the topics of ``prefix``."""
        self._kafka = self._kafka.model_copy(update={"prefix": question["prefix"]})
        count = int(question["count"])
        seconds = self._ways[question["what"]](Topics.of(self._kafka), count)
        return {"items": count, "seconds": seconds}

    def _frames(self, topics: Topics, count: int) -> float:
        """As a reader publishes: encoded here, counted, acknowledged."""
        producer = clients.producer(self._kafka, "bench", **_reader_settings())
        publisher = Publisher(
            producer,
            topics,
            stream=stream_of(0),
            partition=0,
            frames_topic=topics.frames_batch,
            standing=Acknowledged(),
        )
        begun = time.perf_counter()
        for seq in range(count):
            frame = frame_of(0, seq, self._pictures[seq % len(self._pictures)])
            value = encode_frame(frame)
            while not publisher.room(len(value)):
                producer.poll(0.01)
            publisher.frame(frame, value)
        publisher.flush()
        return time.perf_counter() - begun

    def _frames_bare(self, topics: Topics, count: int) -> float:
        values = [encode_frame(frame_of(0, seq, picture)) for seq, picture in enumerate(self._pictures)]
        return self._bare(topics.frames_batch, values, count, **_reader_settings())

    def _detections(self, topics: Topics, count: int) -> float:
        """As a stage publishes: encoded here, each output's arrival confirmed in groups of a batch."""
        return asyncio.run(self._publish(topics, count))

    async def _publish(self, topics: Topics, count: int) -> float:
        publisher = KafkaPublisher(self._kafka, "bench")
        key = str(stream_of(0)).encode()
        begun = time.perf_counter()
        tallies = []
        for first in range(0, count, 8):
            tally = Tally()
            for seq in range(first, min(first + 8, count)):
                await publisher.send(Output(topics.detections, key, encode_json(detections_of(0, seq))), tally)
            tallies.append(tally)
        for tally in tallies:
            await tally.confirmed()
        seconds = time.perf_counter() - begun
        publisher.close()
        return seconds

    def _detections_bare(self, topics: Topics, count: int) -> float:
        values = [encode_json(detections_of(0, seq)) for seq in range(64)]
        return self._bare(topics.detections, values, count, **WITHOUT_HOLES)

    def _bare(self, topic: str, values: list[bytes], count: int, **settings: Any) -> float:
        producer = clients.producer(self._kafka, "bench", **settings)
        key = str(stream_of(0)).encode()
        begun = time.perf_counter()
        for number in range(count):
            while True:
                try:
                    producer.produce(topic, value=values[number % len(values)], key=key, partition=0)
                    break
                except BufferError:
                    producer.poll(0.01)
            producer.poll(0)
        assert producer.flush(READ_S) == 0
        return time.perf_counter() - begun

    def _read_bare(self, topics: Topics, count: int) -> float:
        """From the first record to the last."""
        consumer = clients.consumer(self._kafka, "bench", "bench")
        consumer.subscribe([topics.frames_batch])
        read, begun, until = 0, 0.0, time.monotonic() + READ_S
        while read < count:
            assert time.monotonic() < until, f"{read} of {count} records came within {READ_S:.0f} s"
            for record in consumer.consume(100, 1.0):
                assert record.error() is None
                begun = begun or time.perf_counter()
                read += 1
        seconds = time.perf_counter() - begun
        consumer.close()
        return seconds


def _reader_settings() -> dict[str, Any]:
    """Of a reader's producer, on top of everybody's."""
    return {"queue.buffering.max.kbytes": PRODUCER_KB, **WITHOUT_HOLES}


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """`setup` has ``kafka`` and ``pictures``."""
    return Clients(setup), {}


if __name__ == "__main__":
    child.serve(make)
