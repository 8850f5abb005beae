"""Runs as ingest reports them, the sinks' receipts, and what they say of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from core import log
from core.errors import NotFound
from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamStatus
from core.metrics import counter
from core.states import legal, settled
from warehouse.control import models
from warehouse.control.codec import RUN_COLUMNS, RUNS, STREAMS, counts_of, json_text, run_row
from warehouse.control.database import Database, insert_new, table
from warehouse.control.limits import STREAMS_ONLY
from warehouse.control.receipts import EXPECTED
from warehouse.control.rows import ENDED, RunRow, StreamRow, TaskProgress, TaskState
from warehouse.control.stream_logs import log_stream
from warehouse.control.streams import CURRENT, Streams, read_stream

RECEIPTS = table(models.Receipt)
NONE_PAUSED = "[]"
logger = log.get(__name__)


class Runs(Streams, Database):
    """Runs and receipts."""

    def record_status(self, status: StreamStatus) -> bool:
        """Take over a state or heartbeat; says whether it was news. See `record_statuses`."""
        return self.record_statuses([status]) == 1

    def record_statuses(self, statuses: Sequence[StreamStatus]) -> int:
        """Take over states and heartbeats in one transaction; returns how many were news.

        A status older than the newest one is passed over unless it knows of more frames (a host's
        clock may be set back), so is one of a deleted stream, and all that follow the end of a
        run: replays change nothing. An end is news whatever its time.
        """
        news = 0
        ordered = sorted(statuses, key=lambda s: (s.stream_id.int, s.run))
        with self._writing() as connection:
            for status in ordered:
                news += _record(connection, status, self._now())
        return news

    def run(self, stream_id: StreamId, run: Run) -> RunRow:
        """One run. Raises NotFound."""
        with self._reading() as connection:
            row = connection.execute(
                select(*RUN_COLUMNS).where(RUNS.c.stream_id == stream_id, RUNS.c.run == run)
            ).first()
        if row is None:
            raise NotFound(f"no run {run} of stream {stream_id}")
        return run_row(row)

    def runs(self, stream_id: StreamId) -> list[RunRow]:
        """All runs of a stream, the first first; none of a stream that is not there."""
        with self._reading() as connection:
            rows = connection.execute(select(*RUN_COLUMNS).where(RUNS.c.stream_id == stream_id).order_by(RUNS.c.run))
            return [run_row(row) for row in rows]

    def held_runs(self) -> list[RunRow]:
        """Current runs of streams that an ingest host has begun and not ended, and is not known to be gone from.

        A camera that is connected to again is ``pending`` meanwhile. Tasks are not among them: they wait their turn.
        """
        begun = or_(
            RUNS.c.state.in_(("in_progress", "paused", "unknown", "restart")),
            and_(RUNS.c.state == "pending", RUNS.c.started_ms.is_not(None)),
        )
        with self._reading() as connection:
            rows = connection.execute(select(*RUN_COLUMNS).join(STREAMS, CURRENT).where(begun, *STREAMS_ONLY))
            return [run_row(row) for row in rows]

    def record_receipt(self, stream_id: StreamId, run: Run, sink: str, topic: str) -> None:
        """A sink has stored everything of the run from the topic; nothing for a deleted stream.

        Args:
            topic: with or without the prefix.
        """
        with self._writing() as connection:
            if _create_missing(connection, stream_id, run, self._now()):
                insert_new(
                    connection,
                    models.Receipt,
                    stream_id=stream_id,
                    run=run,
                    sink=sink,
                    topic=topic.removeprefix(self._prefix),
                    recorded_ms=self._now(),
                )

    def receipts(self, stream_id: StreamId, run: Run) -> frozenset[tuple[str, str]]:
        """(sink, topic without prefix) of those that are there."""
        return frozenset(self._receipt_times(stream_id, run))

    def _receipt_times(self, stream_id: StreamId, run: Run) -> dict[tuple[str, str], int]:
        with self._reading() as connection:
            rows = connection.execute(
                select(RECEIPTS.c.sink, RECEIPTS.c.topic, RECEIPTS.c.recorded_ms).where(
                    RECEIPTS.c.stream_id == stream_id, RECEIPTS.c.run == run
                )
            )
            return {(row.sink, row.topic): row.recorded_ms for row in rows}

    def task_state(self, stream_id: StreamId) -> TaskProgress:
        """How far a task is. Raises NotFound."""
        stream = self.stream(stream_id)
        times = self._receipt_times(stream_id, stream.spec.run)
        missing = EXPECTED - times.keys()
        state = _task_state(stream, missing)
        ended = max(times.values()) if state == "done" else stream.current.ended_ms
        return TaskProgress(
            state,
            stream.current,
            missing,
            read_fraction(stream.current),
            ended_ms=None if state == "collecting" else ended,
        )


def _task_state(stream: StreamRow, missing: frozenset[tuple[str, str]]) -> TaskState:
    match stream.current.state:
        case "done" if stream.spec.desired == "stop":
            return "cancelled"  # after the source was read; frames on their way are passed over
        case "done":
            return "collecting" if missing else "done"
        case "failure":
            return "failed"
        case "stop":
            return "cancelled"
        case "pending":
            return "cancelled" if stream.spec.desired == "stop" else "pending"
        case _:
            return "in_progress"


def read_fraction(run: RunRow) -> float | None:
    """Of the source's frames, those that ingest has decoded; None while their number is unknown."""
    if run.state == "done":
        return 1.0
    if not run.total_frames:
        return None
    return min(1.0, run.counts.decoded / run.total_frames)


def _create_missing(connection: Connection, stream_id: StreamId, run: Run, now: int) -> bool:
    """Whether the stream is there; a run of it that is not yet known is written down."""
    found = select(STREAMS.c.stream_id).where(STREAMS.c.stream_id == stream_id)
    if connection.execute(found.with_for_update()).first() is None:
        return False
    insert_new(
        connection,
        models.Run,
        stream_id=stream_id,
        run=run,
        state="pending",
        created_ms=now,
        status_ms=0,
        host="",
        counts=json_text(IngestCounts()),
        problems="[]",
    )
    return True


def _record(connection: Connection, status: StreamStatus, now: int) -> bool:
    if not _create_missing(connection, status.stream_id, status.run, now):
        return False
    this = (RUNS.c.stream_id == status.stream_id, RUNS.c.run == status.run)
    columns = (RUNS.c.state, RUNS.c.status_ms, RUNS.c.started_ms, RUNS.c.counts, RUNS.c.paused, RUNS.c.attempt)
    old = connection.execute(select(*columns).where(*this)).one()
    if old.state in ENDED and (status.state == old.state or status.ts_ms <= old.status_ms):
        return False
    ends = status.state in ENDED
    decoded = counts_of(old.counts).decoded
    if status.ts_ms < old.status_ms and not (ends or status.counts.decoded > decoded):
        return False
    # a heartbeat that changes nothing but counts needs no look at the stream
    plain = status.state == old.state and status.error is None and not status.paused and old.paused == NONE_PAUSED
    stream = None if plain else read_stream(connection, status.stream_id)
    state = status.state if stream is None else settled(status.state, len(stream.spec.analytics), status.paused)
    if not legal(old.state, state):
        _refuse(old.state, status)
        return False
    values = _told(status)
    values["state"] = state
    if old.started_ms is None and status.state == "in_progress":
        values["started_ms"] = status.ts_ms
    if status.counts.decoded > decoded:
        values["frame_ms"] = status.ts_ms
    if status.attempt > old.attempt:
        values["attempt_ms"] = status.ts_ms
    if ends:
        values["ended_ms"] = status.ts_ms
    connection.execute(update(RUNS).where(*this).values(**values))
    if stream is not None and stream.spec.run == status.run:
        log_stream(connection, stream, read_stream(connection, status.stream_id), status.ts_ms, status.error)
    return True


def _refuse(before: str, status: StreamStatus) -> None:
    """A late or repeated status is passed over silently; this is one that contradicts what is known."""
    counter("sightline_run_transitions_refused_total").labels(before, status.state).inc()
    logger.warning(
        "a run cannot go from one state to the other",
        stream_id=str(status.stream_id),
        run=status.run,
        before=before,
        after=status.state,
        host=status.host,
    )


def _told(status: StreamStatus) -> dict[str, Any]:
    """What a status says; what it leaves out stays as it was."""
    values: dict[str, Any] = {
        "status_ms": status.ts_ms,
        "host": status.host,
        "attempt": status.attempt,
        "paused": json_text(tuple(sorted(set(status.paused)))),
    }
    if status.counts.decoded:  # whoever has counted nothing (it waits, it was restarted) does not undo what was
        values["counts"] = json_text(status.counts)
    if status.video is not None:
        values["video"] = json_text(status.video)
    if status.problems:
        values["problems"] = json_text(status.problems)
    for name in ("error", "total_frames", "last_media_s"):
        if getattr(status, name) is not None:
            values[name] = getattr(status, name)
    return values
