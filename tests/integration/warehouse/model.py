"""What filters mean, said once more in plain Python over the messages themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from core.messages import Box, Event, FrameDetections, FrameTracks, TrackedBox
from warehouse.filters import Filter

WIDTHS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


def in_order(uuid: UUID) -> tuple[int, int]:
    """ClickHouse sorts a UUID by its second half, then by its first."""
    return uuid.int & (2**64 - 1), uuid.int >> 64


def overlaps(a: Box, b: Box) -> bool:
    return a[0] < b[2] and a[2] > b[0] and a[1] < b[3] and a[3] > b[1]


def _common(f: Filter, stream, run, label, score) -> bool:
    return (
        (f.stream_ids is None or stream in f.stream_ids)
        and (f.run is None or run == f.run)
        and (not f.labels or label in f.labels)
        and (f.min_score is None or score >= f.min_score)
    )


def _touches(f: Filter, begin: int, end: int) -> bool:
    return (f.from_ms is None or end >= f.from_ms) and (f.to_ms is None or begin < f.to_ms)


def detections(rows: Iterable[FrameDetections], f: Filter) -> list[tuple]:
    """(ts, stream, run, seq, kind, idx, label, score, box, landmarks) by time."""
    found = []
    for r in rows:
        seen = [("object", i, o.label, o.score, o.box, ()) for i, o in enumerate(r.objects)]
        seen += [("face", i, "face", x.score, x.box, x.landmarks) for i, x in enumerate(r.faces or ())]
        for kind, idx, label, score, box, landmarks in seen:
            if (
                _common(f, r.stream_id, r.run, label, score)
                and _touches(f, r.ts_ms, r.ts_ms)
                and (f.kind is None or kind == f.kind)
                and (f.area is None or overlaps(box, f.area))
            ):
                found.append((r.ts_ms, r.stream_id, r.run, r.seq, kind, idx, label, score, box, landmarks))
    return sorted(found, key=lambda d: (d[0], in_order(d[1]), d[2], d[3], d[4] == "face", d[5]))


@dataclass(frozen=True)
class Whole:
    stream: object
    run: int
    track: int
    points: tuple[tuple[FrameTracks, TrackedBox], ...]

    @property
    def best(self) -> TrackedBox:
        return max(self.points, key=lambda p: (p[1].score, p[0].seq))[1]

    @property
    def first(self) -> FrameTracks:
        return self.points[0][0]

    @property
    def last(self) -> FrameTracks:
        return self.points[-1][0]


def wholes(rows: Iterable[FrameTracks]) -> list[Whole]:
    points = defaultdict(list)
    for r in rows:
        for t in r.tracks:
            points[r.stream_id, r.run, t.track_id].append((r, t))
    return [Whole(*key, tuple(value)) for key, value in points.items()]


def tracks(rows: Iterable[FrameTracks], f: Filter, *, begun: bool = False) -> list[Whole]:
    """Whole tracks by their begin."""
    found = [
        w
        for w in wholes(rows)
        if _common(f, w.stream, w.run, w.best.label, w.best.score)
        and _touches(f, w.first.ts_ms, w.first.ts_ms if begun else w.last.ts_ms)
        and (f.kind is None or w.best.kind == f.kind)
        and (f.track_id is None or w.track == f.track_id)
        and (f.area is None or any(overlaps(t.box, f.area) for _, t in w.points))
    ]
    return sorted(found, key=lambda w: (w.first.ts_ms, in_order(w.stream), w.run, w.track))


def points(rows: Iterable[FrameTracks], f: Filter) -> list[tuple[FrameTracks, TrackedBox]]:
    return [
        (r, t)
        for r in rows
        for t in r.tracks
        if _common(f, r.stream_id, r.run, t.label, t.score)
        and _touches(f, r.ts_ms, r.ts_ms)
        and (f.kind is None or t.kind == f.kind)
        and (f.track_id is None or t.track_id == f.track_id)
        and (f.area is None or overlaps(t.box, f.area))
    ]


def events(stories: Iterable[list[Event]], f: Filter, *, begun: bool = False) -> list[Event]:
    """Events as they stand, by their begin."""
    found = [
        e
        for e in (story[-1] for story in stories)
        if _common(f, e.stream_id, e.run, e.label, e.score)
        and _touches(f, e.begin_ms, e.begin_ms if begun else e.ts_ms if e.end_ms is None else e.end_ms)
        and (f.track_id is None or e.track_id == f.track_id)
        and (not f.event_ids or e.event_id in f.event_ids)
        and (not f.types or e.type in f.types)
        and (not f.event_types or e.event_type in f.event_types)
        and (not f.phases or e.phase in f.phases)
        and (f.area is None or (e.box is not None and overlaps(e.box, f.area)))
    ]
    return sorted(found, key=lambda e: (e.begin_ms, in_order(e.stream_id), in_order(e.event_id)))


def counted(rows: Iterable[tuple[int, object, str, str | None, object]], bucket, group_by, *, fold=len) -> dict:
    """`rows` are (time, stream, label, type, what is counted); distinct things per group, folded."""
    groups = defaultdict(set)
    for ts, stream, label, type_, thing in rows:
        key = (
            ts // WIDTHS[bucket] * WIDTHS[bucket] if bucket else None,
            label if "label" in group_by else None,
            stream if "stream" in group_by else None,
            type_ if "type" in group_by else None,
        )
        groups[key].add(thing)
    if not groups and not bucket and not group_by:
        groups[None, None, None, None] = set()
    return {key: fold(things) for key, things in groups.items()}


def most_at_once(things: set) -> int:
    """`things` are (frame, track)."""
    frames = defaultdict(set)
    for frame, track in things:
        frames[frame].add(track)
    return max((len(t) for t in frames.values()), default=0)
