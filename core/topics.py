"""Topics: their names, partitions and what is kept, and creating them."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import Kafka

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HEADERS_BYTES = 64 * 1024
KEEP = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how long its records are kept.

    Attributes:
        name: full name, prefix included.
        config: topic settings in Kafka's own names.
    """

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic's full name.

    `ingest_progress`, `snapshots_*` and `dead_letter_marks` are internal and compacted: where a run's
    reading stands, the state of a stage, and what has become of dead letters. `nodes` is compacted too: which
    hosts there are, and what all workers are told.
    """

    streams: str
    frames_live: str
    frames_batch: str
    detections: str
    tracks: str
    events: str
    stream_status: str
    dead_letters: str
    dead_letter_marks: str
    ingest_progress: str
    snapshots_analyse: str
    nodes: str
    stream_changes: str
    task_ends: str
    notifications: str

    @classmethod
    def of(cls, kafka: Kafka) -> Topics:
        """The names under `kafka.prefix`."""
        p = kafka.prefix
        return cls(
            streams=f"{p}streams",
            frames_live=f"{p}frames.live",
            frames_batch=f"{p}frames.batch",
            detections=f"{p}detections",
            tracks=f"{p}tracks",
            events=f"{p}events",
            stream_status=f"{p}stream-status",
            dead_letters=f"{p}dead-letters",
            dead_letter_marks=f"{p}dead-letter-marks",
            ingest_progress=f"{p}ingest-progress",
            snapshots_analyse=f"{p}snapshots.analyse",
            nodes=f"{p}nodes",
            stream_changes=f"{p}stream-changes",
            task_ends=f"{p}task-ends",
            notifications=f"{p}notifications",
        )


def letter_bytes(kafka: Kafka) -> int:
    """Size of the largest dead letter."""
    return kafka.max_message_bytes + HEADERS_BYTES


def definitions(kafka: Kafka) -> tuple[Topic, ...]:
    """All topics with their settings; the frames of a stream and its detections share a partition number."""
    names = Topics.of(kafka)
    size = {"max.message.bytes": str(kafka.max_message_bytes)}
    compact = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "segment.ms": str(HOUR_MS),
        "retention.ms": str(KEEP),
        **size,
    }

    def kept(ms: int, **more: str) -> dict[str, str]:
        return {"cleanup.policy": "delete", "retention.ms": str(ms), **size, **more}

    n = kafka.partitions
    live = {"retention.bytes": str(kafka.frames_live_bytes), "segment.bytes": str(64 * 1024**2)}
    batch = {"segment.bytes": str(64 * 1024**2)}
    return (
        Topic(names.streams, n, compact),
        Topic(names.frames_live, n, kept(DAY_MS, **live)),
        Topic(names.frames_batch, n, kept(KEEP, **batch)),
        Topic(names.detections, n, kept(12 * HOUR_MS)),
        Topic(names.tracks, n, kept(12 * HOUR_MS)),
        Topic(names.events, n, kept(7 * DAY_MS)),
        Topic(names.stream_status, n, kept(7 * DAY_MS)),
        Topic(names.stream_changes, n, kept(7 * DAY_MS)),
        Topic(names.task_ends, n, kept(7 * DAY_MS)),
        # the largest event there can be, and what is told beside it
        Topic(names.notifications, n, kept(DAY_MS) | {"max.message.bytes": str(letter_bytes(kafka))}),
        # a letter about the largest record there can be has that record's bytes, and its own headers
        Topic(names.dead_letters, n, kept(14 * DAY_MS) | {"max.message.bytes": str(letter_bytes(kafka))}),
        Topic(names.dead_letter_marks, n, compact),
        Topic(names.ingest_progress, n, compact),
        Topic(names.snapshots_analyse, n, compact),
        # when a host was heard of is the broker's to say: hosts have clocks of their own
        Topic(names.nodes, n, {**compact, "message.timestamp.type": "LogAppendTime"}),
    )
