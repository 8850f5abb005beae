"""sink-clickhouse: detections, tracks and events into the analytics store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.messages import (
    Event,
    FrameDetections,
    FrameTracks,
    decode_detections,
    decode_event,
    decode_tracks,
)
from core.topics import Topics
from streams_proc.sink import Message, Rows, count_rows
from streams_proc.stage import Poison, Record

NAME = "sink-clickhouse"


class Analytics(Protocol):
    """The part of `warehouse.analytics.AnalyticsStore` that is written to. Blocking."""

    def write_frames(self, rows: Sequence[FrameDetections]) -> None:
        """Frames and their detections."""
        ...

    def write_tracks(self, rows: Sequence[FrameTracks]) -> None:
        """Places of tracks."""
        ...

    def write_events(self, rows: Sequence[Event]) -> None:
        """Events' phases."""
        ...


class ClickHouseStore:
    """Writes a batch table by table."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    def write(self, messages: Sequence[tuple[int, Message]]) -> dict[int, Poison]:
        """Store the messages; a row that no table can hold is poison."""
        frames: Rows[FrameDetections] = Rows()
        tracks: Rows[FrameTracks] = Rows()
        events: Rows[Event] = Rows()
        for place, message in messages:
            match message:
                case FrameDetections():
                    frames.add(place, message)
                case FrameTracks():
                    tracks.add(place, message)
                case Event():
                    events.add(place, message)
        poisoned = {
            **frames.write(self._analytics.write_frames),
            **tracks.write(self._analytics.write_tracks),
            **events.write(self._analytics.write_events),
        }
        for table, rows in (("frames", frames), ("track_points", tracks), ("events", events)):
            count_rows("clickhouse", table, len(rows.messages))
        return poisoned


class ByTopic:
    """Reads a record as its topic's contract says."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def __call__(self, record: Record) -> Message:
        """The message. Raises BadMessage."""
        if record.topic == self._topics.detections:
            return decode_detections(record.value)
        if record.topic == self._topics.tracks:
            return decode_tracks(record.value)
        return decode_event(record.value)
