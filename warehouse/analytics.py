"""Detections, tracks and events in ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from core.ids import EventId, Run, StreamId
from core.messages import Event, FrameDetections, FrameTracks
from core.settings import Settings
from warehouse.filters import Bucket, Filter, GroupBy, Metric, Table
from warehouse.page import Page
from warehouse.rows import DetectionRow, FrameCounts, RunFrame, RunTrackPoint, StatisticsRow, TrackRow, TrackView


class AnalyticsStore:
    @classmethod
    def connect(cls, settings: Settings) -> AnalyticsStore:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def write_frames(self, rows: Sequence[FrameDetections]) -> None:
        raise NotImplementedError

    def write_tracks(self, rows: Sequence[FrameTracks]) -> None:
        raise NotImplementedError

    def write_events(self, rows: Sequence[Event]) -> None:
        raise NotImplementedError

    def delete_stream(self, stream: StreamId) -> None:
        raise NotImplementedError

    def frame_counts(self, stream: StreamId, run: Run) -> FrameCounts:
        raise NotImplementedError

    def detections(self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False) -> Page[DetectionRow]:
        raise NotImplementedError

    def tracks(self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False) -> Page[TrackRow]:
        raise NotImplementedError

    def events(self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False) -> Page[Event]:
        raise NotImplementedError

    def event(self, event: EventId) -> Event | None:
        raise NotImplementedError

    def statistics(self, filter_: Filter, *, metric: Metric, bucket: Bucket | None = None, group_by: Sequence[GroupBy] = (), limit: int = 100_000) -> list[StatisticsRow]:
        raise NotImplementedError

    def export(self, table: Table, filter_: Filter) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def run_frames(self, stream: StreamId, run: Run) -> Iterator[RunFrame]:
        raise NotImplementedError

    def run_track_points(self, stream: StreamId, run: Run) -> Iterator[RunTrackPoint]:
        raise NotImplementedError

    def run_views(self, stream: StreamId, run: Run) -> Iterator[TrackView]:
        raise NotImplementedError

    def run_events(self, stream: StreamId, run: Run) -> Iterator[Event]:
        raise NotImplementedError
