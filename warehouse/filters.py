"""What can be asked of detections, tracks and events."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from core.errors import InvalidInput
from core.ids import EventId, Run, StreamId, TrackId
from core.messages import Box

Table = Literal["detections", "tracks", "events"]
Bucket = Literal["second", "minute", "hour", "day"]
GroupBy = Literal["label", "stream", "type"]
Metric = Literal["detections", "objects", "visits", "events", "max_at_once"]
Kind = Literal["object", "face"]
Phase = Literal["begin", "update", "end"]

COMMON = frozenset({"stream_ids", "run", "from_ms", "to_ms", "labels", "min_score", "area"})
APPLIES: dict[Table, frozenset[str]] = {
    "detections": COMMON | {"kind"},
    "tracks": COMMON | {"kind", "track_id"},
    "events": COMMON | {"track_id", "event_ids", "types", "event_types", "phases"},
}
MAX_LIST = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows for which everything given holds; None or empty asks for nothing.

    Attributes:
        stream_ids: None means all streams; an empty tuple means none of them.
        run: run number within its stream.
        from_ms, to_ms: wall time, from inclusive, to exclusive. A detection is at its frame's
            time; a track or event counts when it was there at any moment of the range.
        labels: any of these.
        min_score: 0..1, inclusive. A track's and event's score is its highest.
        kind: objects or faces.
        types: analytics' ids (``object_detection``); event_types: what they call their events.
        phases: of the event as it stands: ``end`` has ended, the others last.
        area: the box overlaps this one (0..1); a track when any of its boxes does.
    """

    stream_ids: tuple[StreamId, ...] | None = None
    run: Run | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    labels: tuple[str, ...] = ()
    min_score: float | None = None
    kind: Kind | None = None
    track_id: TrackId | None = None
    event_ids: tuple[EventId, ...] = ()
    types: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    area: Box | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant. Raises InvalidInput."""
        _check_ranges(self)
        for name in ("stream_ids", "labels", "event_ids", "types", "event_types"):
            if len(getattr(self, name) or ()) > MAX_LIST:
                raise InvalidInput(f"at most {MAX_LIST} values", name)

    def check_applies(self, table: Table) -> None:
        """Refuse a field that rows of `table` do not have. Raises InvalidInput."""
        for field in fields(self):
            if getattr(self, field.name) not in (None, ()) and field.name not in APPLIES[table]:
                raise InvalidInput(f"{table} cannot be filtered by {field.name}", field.name)


def _check_ranges(filter_: Filter) -> None:
    if filter_.from_ms is not None and filter_.to_ms is not None and filter_.to_ms < filter_.from_ms:
        raise InvalidInput("to lies before from", "to_ms")
    if filter_.min_score is not None and not 0.0 <= filter_.min_score <= 1.0:
        raise InvalidInput("a score is between 0 and 1", "min_score")
    if filter_.area is not None:
        x_min, y_min, x_max, y_max = filter_.area
        if not (0.0 <= x_min < x_max <= 1.0 and 0.0 <= y_min < y_max <= 1.0):
            raise InvalidInput("an area is x_min, y_min, x_max, y_max within 0..1, the minima smaller", "area")
