"""What is read from each table, and how a row becomes a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec

from core.ids import EventId, Run, Seq, StreamId, TrackId
from core.messages import Box, Event
from warehouse.clickhouse.topology import Topology
from warehouse.clickhouse.where import Where, detections, events, moment, tracks
from warehouse.filters import Filter, Table
from warehouse.page import Key
from warehouse.rows import DetectionRow, TrackRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SortKey:
    """What a list is ordered by, in full, so that no two rows are equal.

    Attributes:
        columns: expressions in the order of sorting.
        types: ClickHouse's type of each as a parameter; the first is a time in milliseconds.
        python: type of each in a cursor.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    python: tuple[type, ...]

    def order(self, descending: bool) -> str:
        """Without the words ORDER BY."""
        return ", ".join(f"{c} {'DESC' if descending else 'ASC'}" for c in self.columns)

    def after(self, where: Where, key: Key, descending: bool) -> None:
        """Only what follows the row of this key."""
        sign = "<" if descending else ">"
        names = [f"key_{i}" for i in range(len(key))]
        values = [moment(names[0]), *(f"{{{n}:{t}}}" for n, t in zip(names[1:], self.types[1:], strict=True))]
        where.add(
            f"{self.columns[0]} {sign}= {values[0]} AND ({', '.join(self.columns)}) {sign} ({', '.join(values)})",
            **dict(zip(names, key, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A list that can be asked for in pages.

    Attributes:
        select: the statement up to its last conditions, which follow after ``AND``.
        where: all conditions that the statement does not hold itself.
        row: makes a value of a row.
        key: sort key of a value.
    """

    select: str
    where: Where
    sort: SortKey
    row: Callable[[Sequence[Any]], T]
    key: Callable[[T], Key]

    def sql(self, *, descending: bool = False, limit: int | None = None) -> str:
        """The whole statement."""
        end = "" if limit is None else f" LIMIT {int(limit)}"
        return f"{self.select} {self.where.sql} ORDER BY {self.sort.order(descending)}{end}"


DETECTION_KEY = SortKey(
    ("ts", "stream_id", "run", "seq", "kind", "idx"),
    ("Int64", "UUID", "UInt32", "UInt64", "Enum8('object' = 0, 'face' = 1)", "UInt32"),
    (int, str, int, int, str, int),
)
TRACK_KEY = SortKey(
    ("min_ts", "stream_id", "run", "track_id"), ("Int64", "UUID", "UInt32", "UInt32"), (int, str, int, int)
)
EVENT_KEY = SortKey(("begin", "stream_id", "event_id"), ("Int64", "UUID", "UUID"), (int, str, str))
EVENT_COLUMNS = (
    "event_id, stream_id, run, analytic_index, type, event_type, phase, number, seq, "
    "toUnixTimestamp64Milli(ts) AS ts_ms, toUnixTimestamp64Milli(begin) AS begin_ms, begin_s, begin_seq, "
    "end_ms, end_s, end_seq, label, about_track, score, image, box, data"
)
_data_decoder = msgspec.json.Decoder(dict[str, Any])


def points_of(flat: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Landmarks out of x, y, x, y ..."""
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def detection_row(r: Sequence[Any]) -> DetectionRow:
    """Of the columns that `detection_question` reads."""
    return DetectionRow(
        StreamId(r[0]),
        Run(r[1]),
        Seq(r[2]),
        r[3],
        r[4],
        r[5],
        r[6],
        r[7],
        r[8],
        r[9],
        tuple(r[10:14]),
        points_of(r[14]),
    )


def detection_question(filter_: Filter, topology: Topology) -> Question[DetectionRow]:
    """Objects and faces, by time."""
    select = (
        "SELECT stream_id, run, seq, kind, idx, frame_index, media_s, toUnixTimestamp64Milli(ts), label, score, "  # noqa: S608
        f"x_min, y_min, x_max, y_max, landmarks FROM {topology.table('detections')} FINAL WHERE"
    )
    return Question(
        select,
        detections(filter_),
        DETECTION_KEY,
        detection_row,
        lambda d: (d.ts_ms, str(d.stream_id), d.run, d.seq, d.kind, d.idx),
    )


def event_row(r: Sequence[Any]) -> Event:
    """Of `EVENT_COLUMNS`; equal to the message that was written."""
    return Event(
        event_id=EventId(r[0]),
        stream_id=StreamId(r[1]),
        run=Run(r[2]),
        analytic_index=r[3],
        type=r[4],
        event_type=r[5],
        phase=r[6],
        number=r[7],
        seq=Seq(r[8]),
        ts_ms=r[9],
        begin_ms=r[10],
        begin_s=r[11],
        begin_seq=Seq(r[12]),
        end_ms=r[13],
        end_s=r[14],
        end_seq=None if r[15] is None else Seq(r[15]),
        label=r[16],
        track_id=None if r[17] is None else TrackId(r[17]),
        score=r[18],
        image=r[19],
        box=cast("Box", tuple(r[20])) if r[20] else None,
        data=_data_decoder.decode(r[21]),
    )


def event_question(filter_: Filter, topology: Topology) -> Question[Event]:
    """Events as they stand, by their begin."""
    select = f"SELECT {EVENT_COLUMNS} FROM {topology.table('events')} FINAL WHERE"  # noqa: S608
    return Question(
        select, events(filter_), EVENT_KEY, event_row, lambda e: (e.begin_ms, str(e.stream_id), str(e.event_id))
    )


def track_row(r: Sequence[Any]) -> TrackRow:
    """Of the columns that `track_question` reads."""
    return TrackRow(
        StreamId(r[0]),
        Run(r[1]),
        TrackId(r[2]),
        r[3],
        r[4],
        r[5],
        r[6],
        r[7],
        r[8],
        r[9],
        r[10],
        r[11],
        r[12],
        r[13],
        r[14],
    )


def whole_tracks(filter_: Filter, topology: Topology, *, begun: bool = False) -> tuple[str, Where]:
    """A sub-select of tracks put together, and the conditions on them; its parameters are in both."""
    where = tracks(filter_, topology.table("track_points"), begun=begun)
    where.whole.parameters.update(where.rows.parameters)
    inner = (
        "SELECT stream_id, run, track_id, any(kind) AS one_kind, argMaxMerge(label) AS best_label, "  # noqa: S608
        "max(score) AS best_score, groupBitmapMerge(frames) AS in_frames, min(first_ts) AS min_ts, "
        "max(last_ts) AS max_ts, min(first_s) AS min_s, max(last_s) AS max_s, min(first_seq) AS min_seq, "
        "max(last_seq) AS max_seq, min(first_index) AS min_index, max(last_index) AS max_index "
        f"FROM {topology.table('tracks')} WHERE {where.rows.sql} GROUP BY stream_id, run, track_id"
    )
    return inner, where.whole


def track_question(filter_: Filter, topology: Topology) -> Question[TrackRow]:
    """Whole tracks, by their begin."""
    inner, where = whole_tracks(filter_, topology)
    select = (
        "SELECT stream_id, run, track_id, one_kind AS kind, best_label AS label, best_score AS score, "  # noqa: S608
        "in_frames AS frames, toUnixTimestamp64Milli(min_ts) AS first_ms, toUnixTimestamp64Milli(max_ts) AS last_ms, "
        "min_s AS first_s, max_s AS last_s, min_seq AS first_seq, max_seq AS last_seq, min_index AS first_index, "
        f"max_index AS last_index FROM ({inner}) WHERE"
    )
    return Question(select, where, TRACK_KEY, track_row, lambda t: (t.first_ms, str(t.stream_id), t.run, t.track_id))


EXPORTS: dict[Table, str] = {
    "detections": (
        "SELECT toString(stream_id) AS stream_id, run, seq, toString(kind) AS kind, idx, frame_index, media_s, ts, "
        "label, score, x_min, y_min, x_max, y_max, landmarks FROM {table} FINAL WHERE"
    ),
    "events": (
        "SELECT toString(event_id) AS event_id, toString(stream_id) AS stream_id, run, analytic_index, type, "
        "event_type, toString(phase) AS phase, number, begin, "
        "fromUnixTimestamp64Milli(end_ms, 'UTC') AS end, begin_s, end_s, begin_seq, end_seq, label, "
        "about_track AS track_id, score, image, box, data FROM {table} FINAL WHERE"
    ),
}
