"""What the analytics store answers with."""

from __future__ import annotations

from dataclasses import dataclass

from core.ids import Run, Seq, StreamId, TrackId
from core.messages import Box, Detection, Face, TrackedBox
from warehouse.filters import Kind


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """The stores' side of a run's ledger, in frames; `cancelled` were not wanted any more."""

    processed: int
    dead_lettered: int
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """One object or face in one frame.

    Attributes:
        idx: position in its frame's list of this kind.
        index: position of the frame among the source's decoded frames.
        landmarks: (x, y) each, of a face; empty for objects.
    """

    stream_id: StreamId
    run: Run
    seq: Seq
    kind: Kind
    idx: int
    index: int
    media_s: float
    ts_ms: int
    label: str
    score: float
    box: Box
    landmarks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track over its whole life.

    Attributes:
        label, score: those of its best-scored box.
        frames: analysed frames in which it was seen.
        image: media key of its best picture, None when none was taken.
    """

    stream_id: StreamId
    run: Run
    track_id: TrackId
    kind: Kind
    label: str
    score: float
    frames: int
    first_ms: int
    last_ms: int
    first_s: float
    last_s: float
    first_seq: Seq
    last_seq: Seq
    first_index: int
    last_index: int
    image: str | None = None


@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """One group's value; what was not grouped by is None.

    Attributes:
        bucket_ms: begin of the time bucket, UTC.
    """

    value: int
    bucket_ms: int | None = None
    label: str | None = None
    stream_id: StreamId | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RunFrame:
    """One analysed frame of a run with what was seen in it.

    Attributes:
        faces: None when faces were not looked for.
        error: why it could not be analysed.
    """

    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    width: int
    height: int
    model: str
    model_version: int
    error: str | None
    objects: tuple[Detection, ...]
    faces: tuple[Face, ...] | None


@dataclass(frozen=True, slots=True)
class RunTrackPoint:
    """One track's place in one frame of a run."""

    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    track: TrackedBox


@dataclass(frozen=True, slots=True)
class TrackView:
    """A stored picture of a track.

    Attributes:
        quality: 0..1, by which the best is chosen.
    """

    track_id: TrackId
    seq: Seq
    keyspace: str
    media_key: str
    score: float
    quality: float
    box: Box


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """Room on the disks of the analytics database, in bytes, and how many events it holds."""

    total_bytes: int
    free_bytes: int
    events: int
