"""Ending runs that no reader can end: cancelled before they began, deleted, replaced, or given up."""

from __future__ import annotations

from confluent_kafka import Producer
from msgspec.structs import replace

from core.clock import now_ms
from core.ids import StreamId
from core.messages import RunEnd, StreamProblem, StreamSpec, StreamStatus
from core.settings import Kafka
from core.topics import Topics
from ingest.closing import begin_if_missing, close_run, settled
from ingest.progress import Checkpoint
from ingest.publisher import FLUSH_S, Acknowledged, Publisher
from ingest.recover import Standing, recover


class Closer:
    """Says of runs that wait, or are over, what a reader would have said."""

    def __init__(self, kafka: Kafka, producer: Producer, host: str) -> None:
        self._kafka = kafka
        self._topics = Topics.of(kafka)
        self._producer = producer
        self._host = host

    def pending(self, spec: StreamSpec, partition: int) -> None:
        """Say that a run is accepted and waits. Raises BrokerUnavailable."""
        publisher = self._publisher(spec.stream_id, partition, self._topics.frames_batch, Standing())
        publisher.status(
            StreamStatus(
                stream_id=spec.stream_id,
                run=spec.run,
                state="pending",
                ts_ms=now_ms(),
                host=self._host,
                ephemeral=spec.ephemeral,
            )
        )
        publisher.flush()

    def restart(self, spec: StreamSpec, partition: int, checkpoint: Checkpoint, *, attempt: int, error: str) -> None:
        """Say that a run's reader has crashed and will be begun again. Raises BrokerUnavailable."""
        publisher = self._publisher(spec.stream_id, partition, self._topics.frames_live, Standing())
        restarted = StreamStatus(
            stream_id=spec.stream_id,
            run=spec.run,
            state="restart",
            ts_ms=now_ms(),
            host=self._host,
            counts=checkpoint.counts,
            error=error,
            attempt=attempt,
            ephemeral=spec.ephemeral,
        )
        publisher.status(restarted)
        publisher.status(replace(restarted, state="pending", error=None))
        publisher.flush()

    def close(self, checkpoint: Checkpoint, partition: int, spec: StreamSpec | None, error: str | None = None) -> None:
        """End the run of `checkpoint`: as failure when there is an `error`, else by request.

        Args:
            spec: its definition, for a `RunBegin` where none was published; None when it is lost.

        Raises:
            BrokerUnavailable: to be tried again.
        """
        topic = self._topics.frames_live if checkpoint.lane == "live" else self._topics.frames_batch
        standing = recover(self._kafka, topic, partition, checkpoint)
        publisher = self._publisher(checkpoint.stream_id, partition, topic, standing)
        if spec is not None:
            begin_if_missing(publisher, spec, begun=standing.begun)
        end = standing.end or self._end(checkpoint, standing, error)
        close_run(publisher, self._host, checkpoint, end, published=standing.end is not None)

    def forget(self, stream: bytes, partition: int) -> None:
        """Remove a deleted stream's checkpoint. Raises BrokerUnavailable."""
        self._producer.produce(self._topics.ingest_progress, value=None, key=stream, partition=partition)
        self._producer.flush(FLUSH_S)

    def _end(self, checkpoint: Checkpoint, standing: Standing, error: str | None) -> RunEnd:
        counts = checkpoint.counts
        problems = checkpoint.problems
        if error is not None:
            problems = (*problems, StreamProblem(counts.decoded, round(checkpoint.media_s, 3), error))
        return RunEnd(
            stream_id=checkpoint.stream_id,
            run=checkpoint.run,
            state="stop" if error is None else "failure",
            counts=settled(checkpoint.counts, standing),
            ts_ms=now_ms(),
            video=checkpoint.video,
            problems=problems,
            error=error,
            ephemeral=checkpoint.ephemeral,
        )

    def _publisher(self, stream: StreamId, partition: int, topic: str, standing: Standing) -> Publisher:
        last = standing.last
        reached = Acknowledged(
            next_seq=standing.next_seq,
            index=-1 if last is None else last.index,
            media_s=0.0 if last is None else last.media_s,
            offset=standing.offset,
        )
        return Publisher(
            self._producer, self._topics, stream=stream, partition=partition, frames_topic=topic, standing=reached
        )
