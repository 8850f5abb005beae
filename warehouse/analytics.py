"""Detections, tracks and events in ClickHouse.

Writing is idempotent: rows carry deterministic ids, and every question counts a row once whether
or not ClickHouse has merged its copies yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

from core.errors import InvalidInput, LimitExceeded
from core.ids import EventId, Run, Seq, StreamId
from core.messages import CANCELLED, Event, FrameDetections, FrameTracks
from core.settings import Settings
from warehouse.clickhouse import results, retention
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.columns import Batch, build, event_batches, frame_batches, track_batches
from warehouse.clickhouse.exports import export_sql
from warehouse.clickhouse.questions import (
    Question,
    detection_question,
    event_question,
    track_question,
)
from warehouse.clickhouse.statistics import counting
from warehouse.clickhouse.topology import TABLES, Topology
from warehouse.filters import Bucket, Filter, GroupBy, Metric, Table
from warehouse.page import Page, decode_cursor, digest, page_of
from warehouse.rows import (
    DetectionRow,
    FrameCounts,
    RunFrame,
    RunTrackPoint,
    StatisticsRow,
    StoreUsage,
    TrackRow,
    TrackView,
)

T = TypeVar("T")
MAX_LIMIT = 100_000
RUN_PAGE = 5000


class AnalyticsStore:
    """The analytics database. Threads may share it; calls block.

    Every method raises StoreUnavailable when ClickHouse does not answer or refuses for now, and
    SetupError when it has no schema.
    """

    def __init__(self, client: Client, topology: Topology) -> None:
        self._client = client
        self._topology = topology

    @classmethod
    def connect(cls, settings: Settings) -> AnalyticsStore:
        """A store over the server or cluster of the settings."""
        return cls(Client(settings), Topology.of(settings.clickhouse))

    def ready(self) -> bool:
        """Whether ClickHouse answers."""
        return self._client.ready()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    # writing

    def write_frames(self, rows: Sequence[FrameDetections]) -> None:
        """Detections and their frames; all can be seen on return.

        Raises:
            PoisonError: a `BadRow` naming a message that cannot be held; nothing was written.
        """
        self._insert(build(rows, frame_batches))

    def write_tracks(self, rows: Sequence[FrameTracks]) -> None:
        """Places of tracks, and which pictures were taken (not the pictures). Raises as `write_frames`."""
        self._insert(build(rows, track_batches))

    def write_events(self, rows: Sequence[Event]) -> None:
        """Phases of events, in any order; the latest is the event. Raises as `write_frames`."""
        self._insert(build(rows, event_batches))

    def _insert(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._client.insert(self._topology.table(batch.table), batch.columns, batch.types)

    def delete_stream(self, stream: StreamId) -> None:
        """Everything of a stream; no question sees any of it on return."""
        for table in TABLES:
            self._client.command(
                f"DELETE FROM {self._topology.local(table)}{self._topology.on_cluster} WHERE stream_id = {{id:UUID}}",  # noqa: S608
                {"id": str(stream)},
            )

    def purge_deleted(self) -> None:
        """Rewrite what still holds deleted rows, so that they leave the disk; heavy, for quiet hours."""
        for table in TABLES:
            self._client.command(
                f"ALTER TABLE {self._topology.local(table)}{self._topology.on_cluster} APPLY DELETED MASK"
            )

    # keeping no more than is to be kept

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        """Detections, places of tracks, tracks and views of before then; whether there were any.

        Frames stay: the ledger is made of them.
        """
        return retention.delete_before(self._client, self._topology, retention.FINDINGS, streams, before_ms)

    def delete_events_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        """Events whose newest phase is of before then; whether there were any."""
        return retention.delete_before(self._client, self._topology, retention.EVENTS, streams, before_ms)

    def delete_events_beyond(self, streams: Sequence[StreamId], most: int) -> bool:
        """Of each stream all events but the `most` that began last; whether there were any."""
        return retention.delete_events_beyond(self._client, self._topology, frozenset(streams), most)

    def old_pictures(self, streams: Sequence[StreamId], before_ms: int, *, after: str, limit: int) -> list[str]:
        """Media keys of pictures taken before then, in their order, those after `after`."""
        return retention.old_pictures(self._client, self._topology, streams, before_ms, after=after, limit=limit)

    def usage(self) -> StoreUsage:
        """How full its disks are, and how many events there are."""
        return retention.usage(self._client, self._topology)

    # asking

    def frame_counts(self, stream: StreamId, run: Run) -> FrameCounts:
        """Frames of a run that are here, analysed or failed; one that failed and was analysed later is analysed."""
        columns = self._client.columns(
            "SELECT uniqExactIf(seq, error = ''), uniqExactIf(seq, error IN ('', {cancelled:String})), uniqExact(seq) "  # noqa: S608
            f"FROM {self._topology.table('frames')} WHERE stream_id = {{stream:UUID}} AND run = {{run:UInt32}}",
            {"stream": str(stream), "run": run, "cancelled": CANCELLED},
        )
        processed, unfailed, stored = (int(column[0]) for column in columns)
        return FrameCounts(processed, stored - unfailed, unfailed - processed)

    def missing_frames(self, stream: StreamId, run: Run, *, upto: int, after: int = -1, limit: int) -> list[Seq]:
        """Numbers of a run's frames above `after` and below `upto` that are not here, the first ones first."""
        columns = self._client.columns(
            "SELECT number FROM numbers({first:UInt64}, {count:UInt64}) WHERE number NOT IN ("  # noqa: S608
            f"SELECT seq FROM {self._topology.table('frames')} WHERE stream_id = {{stream:UUID}} "
            "AND run = {run:UInt32} AND seq >= {first:UInt64}) ORDER BY number LIMIT {limit:UInt32}",
            {"stream": str(stream), "run": run, "first": after + 1, "count": max(0, upto - after - 1), "limit": limit},
        )
        return [Seq(seq) for column in columns for seq in column]

    def detections(
        self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False
    ) -> Page[DetectionRow]:
        """Objects and faces by time. Raises InvalidInput for a wrong filter, limit or cursor."""
        return self._page(
            detection_question(filter_, self._topology),
            digest("detections", filter_, descending),
            limit=limit,
            cursor=cursor,
            descending=descending,
        )

    def events(
        self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False
    ) -> Page[Event]:
        """Events as they stand, by their begin. Raises as `detections`."""
        return self._page(
            event_question(filter_, self._topology),
            digest("events", filter_, descending),
            limit=limit,
            cursor=cursor,
            descending=descending,
        )

    def tracks(
        self, filter_: Filter, *, limit: int = 100, cursor: str | None = None, descending: bool = False
    ) -> Page[TrackRow]:
        """Whole tracks by their begin, with their best pictures. Raises as `detections`."""
        page = self._page(
            track_question(filter_, self._topology),
            digest("tracks", filter_, descending),
            limit=limit,
            cursor=cursor,
            descending=descending,
        )
        return Page(results.with_images(self._client, self._topology, page.items), page.next_cursor)

    def event(self, event: EventId) -> Event | None:
        """One event as it stands."""
        found = self.events(Filter(event_ids=(event,)), limit=1).items
        return found[0] if found else None

    def statistics(
        self,
        filter_: Filter,
        *,
        metric: Metric,
        bucket: Bucket | None = None,
        group_by: Sequence[GroupBy] = (),
        limit: int = MAX_LIMIT,
    ) -> list[StatisticsRow]:
        """Counts by time bucket (UTC) and group, in that order; buckets without any are left out.

        Args:
            metric: ``detections``: objects and faces in frames; ``objects``: tracks seen, in each
                bucket again; ``visits``: tracks, in the bucket where they begin; ``events``, in
                the bucket where they begin; ``max_at_once``: most tracks in any one frame.
            group_by: ``type`` for events only.

        Raises:
            InvalidInput: a filter or group that the metric does not have.
            LimitExceeded: more than `limit` rows.
        """
        question = counting(filter_, self._topology, metric, bucket=bucket, group_by=group_by, limit=limit)
        columns = self._client.columns(question.sql, question.parameters)
        rows = [question.row(values) for values in zip(*columns, strict=True)]
        if len(rows) > limit:
            raise LimitExceeded(f"more than {limit} groups; ask for a larger bucket or a shorter range")
        return rows

    def export(self, table: Table, filter_: Filter) -> Iterator[pa.RecordBatch]:
        """All rows by time, in Arrow batches as they come; the columns do not depend on the rows.

        Raises:
            InvalidInput: a filter that does not apply; at the first batch.
        """
        sql, parameters = export_sql(table, filter_, self._topology)
        return self._client.arrow(sql, parameters)

    def export_schema(self, table: Table) -> pa.Schema:
        """The columns of `export`, for a file that may get no rows."""
        sql, parameters = export_sql(table, Filter(stream_ids=()), self._topology)
        return self._client.arrow_schema(sql, parameters)

    # everything of a run, in the order of its frames

    def run_frames(self, stream: StreamId, run: Run) -> Iterator[RunFrame]:
        """Every analysed frame with what was seen in it."""
        return results.run_frames(self._client, self._topology, stream, run)

    def run_track_points(self, stream: StreamId, run: Run) -> Iterator[RunTrackPoint]:
        """Every track's place in every frame, by frame and track."""
        return results.run_track_points(self._client, self._topology, stream, run)

    def run_views(self, stream: StreamId, run: Run) -> Iterator[TrackView]:
        """Every picture taken, by track and frame."""
        return results.run_views(self._client, self._topology, stream, run)

    def run_events(self, stream: StreamId, run: Run) -> Iterator[Event]:
        """Every event as it stands, by its begin."""
        filter_ = Filter(stream_ids=(stream,), run=run)
        return _through(lambda cursor: self.events(filter_, limit=RUN_PAGE, cursor=cursor))

    def run_tracks(self, stream: StreamId, run: Run) -> Iterator[TrackRow]:
        """Every whole track, by its begin, with its best picture."""
        filter_ = Filter(stream_ids=(stream,), run=run)
        return _through(lambda cursor: self.tracks(filter_, limit=RUN_PAGE, cursor=cursor))

    def _page(self, question: Question[T], asked: str, *, limit: int, cursor: str | None, descending: bool) -> Page[T]:
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput(f"a page has 1 to {MAX_LIMIT} rows", "limit")
        if cursor is not None:
            question.sort.after(question.where, decode_cursor(cursor, asked, question.sort.python), descending)
        sql = question.sql(descending=descending, limit=limit + 1)
        columns = self._client.columns(sql, question.where.parameters)
        rows = [question.row(values) for values in zip(*columns, strict=True)]
        return page_of(rows, limit, asked, question.key)


def _through(page_after: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All rows of all pages."""
    page = page_after(None)
    yield from page.items
    while page.next_cursor is not None:
        page = page_after(page.next_cursor)
        yield from page.items
