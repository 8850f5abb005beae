"""Events, tracks, detections and counts, as answers show them."""

from __future__ import annotations

from typing import Any

import msgspec

from core.clock import rfc3339
from core.ids import EventId, Run, StreamId, TrackId
from core.messages import Event
from query_api.services.results import seconds, short
from query_api.types import query
from query_api.types.common import span_ms
from warehouse.filters import Filter
from warehouse.rows import DetectionRow, StatisticsRow, TrackRow


def filter_of(params: query.RowParams | query.StatisticsParams) -> Filter:
    """The filter that the query's parameters mean. Raises InvalidInput."""
    given: dict[str, Any] = msgspec.structs.asdict(params)
    streams = given.get("stream_ids")
    run, track = given.get("run"), given.get("track_id")
    from_ms, to_ms = span_ms(params.from_, params.to)
    return Filter(
        stream_ids=None if streams is None else tuple(StreamId(one) for one in streams),
        run=None if run is None else Run(run),
        from_ms=from_ms,
        to_ms=to_ms,
        labels=params.labels,
        min_score=params.min_score,
        kind=given.get("kind"),
        track_id=None if track is None else TrackId(track),
        event_ids=tuple(EventId(one) for one in given.get("event_ids", ())),
        types=given.get("types", ()),
        event_types=given.get("event_types", ()),
        phases=given.get("phases", ()),
        area=params.area,
    )


def event_item(event: Event) -> query.EventItem:
    """An event as the list shows it."""
    return query.EventItem(
        event_id=event.event_id,
        stream_id=event.stream_id,
        run=event.run,
        type=event.type,
        event_type=event.event_type,
        phase=event.phase,
        label=event.label,
        score=short(event.score),
        track_id=event.track_id,
        begin=rfc3339(event.begin_ms),
        begin_ms=event.begin_ms,
        begin_s=seconds(event.begin_s),
        end=None if event.end_ms is None else rfc3339(event.end_ms),
        end_ms=event.end_ms,
        end_s=None if event.end_s is None else seconds(event.end_s),
        image=event.image,
        box=event.box,
        data=event.data,
    )


def detection_item(row: DetectionRow) -> query.DetectionItem:
    """A detection as the list shows it."""
    return query.DetectionItem(
        stream_id=row.stream_id,
        run=row.run,
        seq=row.seq,
        kind=row.kind,
        idx=row.idx,
        frame=row.index,
        media_s=seconds(row.media_s),
        ts_ms=row.ts_ms,
        label=row.label,
        score=short(row.score),
        box=row.box,
        landmarks=list(row.landmarks),
    )


def track_item(row: TrackRow) -> query.TrackItem:
    """A track as the list shows it."""
    return query.TrackItem(
        stream_id=row.stream_id,
        run=row.run,
        track_id=row.track_id,
        kind=row.kind,
        label=row.label,
        score=short(row.score),
        frames=row.frames,
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        first_s=seconds(row.first_s),
        last_s=seconds(row.last_s),
        first_frame=row.first_index,
        last_frame=row.last_index,
        image=row.image,
    )


def statistics_item(row: StatisticsRow) -> query.StatisticsItem:
    """A group's value as the answer shows it."""
    return query.StatisticsItem(
        value=row.value,
        bucket=None if row.bucket_ms is None else rfc3339(row.bucket_ms),
        bucket_ms=row.bucket_ms,
        label=row.label,
        stream_id=row.stream_id,
        type=row.type,
    )
