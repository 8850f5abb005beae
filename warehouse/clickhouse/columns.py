"""Messages as columns of ClickHouse's tables, checked as a whole and blamed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import PoisonError
from core.messages import Box, Event, FrameDetections, FrameTracks

Columns = dict[str, Sequence[Any] | npt.NDArray[Any]]
M = TypeVar("M", FrameDetections, FrameTracks, Event)
LAST_MS = 10_413_792_000_000  # 2300-01-01, where DateTime64(3) ends
KINDS = {"object": 0, "face": 1}
PHASES = {"begin": 0, "update": 1, "end": 2}
BOX = ("x_min", "y_min", "x_max", "y_max")


class BadRow(PoisonError):
    """A message that ClickHouse cannot hold.

    Attributes:
        position: of the message in the sequence that was to be written.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns of one table.

    Attributes:
        columns: name to values, all of one length.
    """

    table: str
    columns: Columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def types(self) -> list[str]:
        """ClickHouse's type of each column."""
        return [TYPES.get(name, "Float64") for name in self.columns]


TYPES = {
    "stream_id": "UUID",
    "view_id": "UUID",
    "event_id": "UUID",
    "run": "UInt32",
    "seq": "UInt64",
    "frame_index": "UInt64",
    "ts": "DateTime64(3, 'UTC')",
    "begin": "DateTime64(3, 'UTC')",
    "width": "UInt32",
    "height": "UInt32",
    "model": "LowCardinality(String)",
    "model_version": "UInt64",
    "objects": "UInt32",
    "faces": "Int32",
    "error": "String",
    "kind": "Enum8('object' = 0, 'face' = 1)",
    "idx": "UInt32",
    "label": "LowCardinality(String)",
    "landmarks": "Array(Float64)",
    "track_id": "UInt32",
    "detection": "Int32",
    "keyspace": "LowCardinality(String)",
    "media_key": "String",
    "analytic_index": "UInt16",
    "type": "LowCardinality(String)",
    "event_type": "LowCardinality(String)",
    "phase": "Enum8('begin' = 0, 'update' = 1, 'end' = 2)",
    "number": "UInt32",
    "begin_seq": "UInt64",
    "end_ms": "Nullable(Int64)",
    "end_s": "Nullable(Float64)",
    "end_seq": "Nullable(UInt64)",
    "about_track": "Nullable(UInt32)",
    "image": "Nullable(String)",
    "box": "Array(Float64)",
    "data": "String",
}


def ints(values: Iterable[int], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """An array of exactly this range. Raises OverflowError, TypeError."""
    return np.array(list(values), dtype=dtype)


def floats(values: Iterable[float]) -> npt.NDArray[np.float64]:
    """Finite numbers, unchanged. Raises ValueError."""
    array = np.array(list(values), dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array


def times(values: Iterable[int]) -> list[int]:
    """Milliseconds since the epoch that DateTime64(3) holds. Raises ValueError."""
    array = list(values)
    if array and not 0 <= min(array) <= max(array) < LAST_MS:
        raise ValueError("a time is outside of 1970 to 2299")
    return array


def texts(values: Iterable[str]) -> list[str]:
    """Text that has UTF-8. Raises UnicodeEncodeError."""
    array = list(values)
    for value in set(array):
        value.encode()
    return array


def _boxes(boxes: Sequence[Box]) -> Columns:
    array = floats(v for box in boxes for v in box).reshape(-1, 4)
    return {name: array[:, i] for i, name in enumerate(BOX)}


def _uuids(values: Iterable[UUID]) -> list[int]:
    return [value.int for value in values]


def build(rows: Sequence[M], columns: Callable[[Sequence[M]], list[Batch]]) -> list[Batch]:
    """The tables' columns of `rows`, those of immediate analyses left out.

    Raises:
        BadRow: names the first message that cannot be written; nothing was.
    """
    kept = [row for row in rows if not row.ephemeral]
    try:
        return [batch for batch in columns(kept) if len(batch)]
    except (ValueError, OverflowError, TypeError) as error:
        for position, row in enumerate(rows):
            if not row.ephemeral:
                _blame(row, position, columns)
        raise PoisonError(f"rows cannot be written together: {error}") from error


def _blame(row: M, position: int, columns: Callable[[Sequence[M]], list[Batch]]) -> None:
    try:
        columns([row])
    except (ValueError, OverflowError, TypeError) as error:
        name = f"{type(row).__name__} of stream {row.stream_id} run {row.run} seq {row.seq}"
        raise BadRow(f"{name}: {error}", position) from error


def frame_batches(rows: Sequence[FrameDetections]) -> list[Batch]:
    """Detections first, so that a frame that can be counted has all of them."""
    return [_objects(rows), _faces(rows), _frames(rows)]


def _frames(rows: Sequence[FrameDetections]) -> Batch:
    return Batch(
        "frames",
        {
            "stream_id": _uuids(f.stream_id for f in rows),
            "run": ints((f.run for f in rows), np.uint32),
            "seq": ints((f.seq for f in rows), np.uint64),
            "frame_index": ints((f.index for f in rows), np.uint64),
            "media_s": floats(f.media_s for f in rows),
            "ts": times(f.ts_ms for f in rows),
            "width": ints((f.width for f in rows), np.uint32),
            "height": ints((f.height for f in rows), np.uint32),
            "model": texts(f.model for f in rows),
            "model_version": ints((f.model_version for f in rows), np.uint64),
            "objects": ints((len(f.objects) for f in rows), np.uint32),
            "faces": ints((-1 if f.faces is None else len(f.faces) for f in rows), np.int32),
            "error": texts("" if f.error is None else f.error or "unknown" for f in rows),
        },
    )


def _repeated(rows: Sequence[FrameDetections | FrameTracks], counts: Sequence[int]) -> Columns:
    """What every row of a frame shares, as often as the frame has rows."""

    def spread(values: npt.NDArray[Any]) -> Any:
        return np.repeat(values, counts)

    return {
        "stream_id": [v for f, n in zip(rows, counts, strict=True) for v in (f.stream_id.int,) * n],
        "run": spread(ints((f.run for f in rows), np.uint32)),
        "seq": spread(ints((f.seq for f in rows), np.uint64)),
        "frame_index": spread(ints((f.index for f in rows), np.uint64)),
        "media_s": spread(floats(f.media_s for f in rows)),
        "ts": spread(np.array(times(f.ts_ms for f in rows), dtype=np.int64)).tolist(),
    }


def _objects(rows: Sequence[FrameDetections]) -> Batch:
    counts = [len(f.objects) for f in rows]
    found = [d for f in rows for d in f.objects]
    return Batch(
        "detections",
        {
            **_repeated(rows, counts),
            "kind": [KINDS["object"]] * len(found),
            "idx": ints((i for n in counts for i in range(n)), np.uint32),
            "label": texts(d.label for d in found),
            "score": floats(d.score for d in found),
            **_boxes([d.box for d in found]),
        },
    )


def _faces(rows: Sequence[FrameDetections]) -> Batch:
    counts = [len(f.faces or ()) for f in rows]
    found = [face for f in rows for face in f.faces or ()]
    floats(v for face in found for point in face.landmarks for v in point)
    return Batch(
        "detections",
        {
            **_repeated(rows, counts),
            "kind": [KINDS["face"]] * len(found),
            "idx": ints((i for n in counts for i in range(n)), np.uint32),
            "label": ["face"] * len(found),
            "score": floats(face.score for face in found),
            **_boxes([face.box for face in found]),
            "landmarks": [[float(v) for point in face.landmarks for v in point] for face in found],
        },
    )


def track_batches(rows: Sequence[FrameTracks]) -> list[Batch]:
    """Views and places of tracks."""
    return [_views(rows), _points(rows)]


def _points(rows: Sequence[FrameTracks]) -> Batch:
    """Places in the frames themselves, and in those before a track was believed."""
    earlier = [e for f in rows for e in f.earlier]
    of_frames = _repeated(rows, [len(f.tracks) for f in rows])
    before = {
        "stream_id": [f.stream_id.int for f in rows for _ in f.earlier],
        "run": ints((f.run for f in rows for _ in f.earlier), np.uint32),
        "seq": ints((e.seq for e in earlier), np.uint64),
        "frame_index": ints((e.index for e in earlier), np.uint64),
        "media_s": floats(e.media_s for e in earlier),
        "ts": times(e.ts_ms for e in earlier),
    }
    found = [t for f in rows for t in f.tracks] + [e.track for e in earlier]
    return Batch(
        "track_points",
        {
            **{name: _joined(of_frames[name], before[name]) for name in of_frames},
            "track_id": ints((t.track_id for t in found), np.uint32),
            "kind": [KINDS[t.kind] for t in found],
            "label": texts(t.label for t in found),
            "score": floats(t.score for t in found),
            **_boxes([t.box for t in found]),
            "detection": ints((-1 if t.detection is None else t.detection for t in found), np.int32),
        },
    )


def _joined(one: Any, other: Any) -> Any:
    return one + other if isinstance(one, list) else np.concatenate((one, other))


def _views(rows: Sequence[FrameTracks]) -> Batch:
    found = [v for f in rows for v in f.views]
    shared = _repeated(rows, [len(f.views) for f in rows])
    return Batch(
        "views",
        {
            **{name: shared[name] for name in ("stream_id", "run", "seq", "ts")},
            "track_id": ints((v.track_id for v in found), np.uint32),
            "view_id": _uuids(v.view_id for v in found),
            "keyspace": texts(v.keyspace for v in found),
            "label": texts(v.label for v in found),
            "score": floats(v.score for v in found),
            "quality": floats(v.quality for v in found),
            **_boxes([v.box for v in found]),
            "media_key": texts(v.media_key for v in found),
            "model": texts(v.model for v in found),
        },
    )


def _optional(values: Iterable[int | None], dtype: type[np.integer[Any]]) -> list[int | None]:
    array = list(values)
    ints((v for v in array if v is not None), dtype)
    return array


def event_batches(rows: Sequence[Event]) -> list[Batch]:
    """One row per phase; the highest number stays."""
    ends = [e.end_s for e in rows]
    floats(v for v in ends if v is not None)
    return [
        Batch(
            "events",
            {
                "stream_id": _uuids(e.stream_id for e in rows),
                "begin": times(e.begin_ms for e in rows),
                "event_id": _uuids(e.event_id for e in rows),
                "run": ints((e.run for e in rows), np.uint32),
                "analytic_index": ints((e.analytic_index for e in rows), np.uint16),
                "type": texts(e.type for e in rows),
                "event_type": texts(e.event_type for e in rows),
                "phase": [PHASES[e.phase] for e in rows],
                "number": ints((e.number for e in rows), np.uint32),
                "seq": ints((e.seq for e in rows), np.uint64),
                "ts": times(e.ts_ms for e in rows),
                "begin_s": floats(e.begin_s for e in rows),
                "begin_seq": ints((e.begin_seq for e in rows), np.uint64),
                "end_ms": _optional((e.end_ms for e in rows), np.int64),
                "end_s": ends,
                "end_seq": _optional((e.end_seq for e in rows), np.uint64),
                "label": texts(e.label for e in rows),
                "about_track": _optional((e.track_id for e in rows), np.uint32),
                "score": floats(e.score for e in rows),
                "image": [None if e.image is None else texts([e.image])[0] for e in rows],
                "box": [floats(e.box or ()).tolist() for e in rows],
                "data": texts(msgspec.json.encode(e.data).decode() for e in rows),
            },
        )
    ]
