"""The log of streams: each change of a stream's state, and its errors.

An entry is written in the transaction that makes the change, so the log and the state never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, insert, select

from core.ids import StreamId
from core.messages import StreamChange, encode_json
from core.states import Place, State
from warehouse.control import models
from warehouse.control.codec import STREAMS
from warehouse.control.database import Database, table
from warehouse.control.rows import LogFilter, StreamLogRow, StreamRow

LOGS, CHANGES = table(models.StreamLog), table(models.StreamChange)
ERROR_MS = 5_000
"""The same error of a stream is told once within so long."""

EVERY_ENTRY = LogFilter()


class StreamLogs(Database):
    """Reading and clearing the log; it is written where streams and runs change."""

    def stream_logs(self, filter_: LogFilter = EVERY_ENTRY, *, limit: int, offset: int = 0) -> list[StreamLogRow]:
        """Entries, the newest first."""
        columns = (
            LOGS.c.stream_id,
            LOGS.c.status,
            LOGS.c.log_ms,
            LOGS.c.error,
            LOGS.c.frame_ms,
            LOGS.c.analytic_index,
        )
        statement = _filtered(select(*columns), filter_).order_by(LOGS.c.id.desc()).limit(limit).offset(offset)
        with self._reading() as connection:
            return [StreamLogRow(StreamId(row[0]), *row[1:]) for row in connection.execute(statement)]

    def clear_stream_logs(self, before_ms: int | None = None) -> int:
        """Remove what is older, or everything, but never a stream's last entry; returns how many went."""
        every = LOGS.alias()
        last = select(func.max(every.c.id)).group_by(every.c.stream_id)
        statement = delete(LOGS).where(LOGS.c.id.not_in(last))
        if before_ms is not None:
            statement = statement.where(LOGS.c.log_ms < before_ms)
        with self._writing() as connection:
            return int(connection.execute(statement).rowcount)


def log_stream(
    connection: Connection, old: StreamRow | None, new: StreamRow, at_ms: int, error: str | None = None
) -> None:
    """Write an entry for each analytic whose state is another than it was; for each when there is only an error.

    What the stream's users see of it is published.
    An error that this stream told within the last five seconds is left out, and so are entries that would say
    nothing else. Tasks have no log: their one run says it all.

    Args:
        old: None for a new stream.
    """
    if new.spec.task:
        return
    before: Mapping[Place, State] = {} if old is None else old.items
    told = None if error is None or _told_lately(connection, new.stream_id, error, at_ms) else error
    changed = [place for place, state in new.items.items() if before.get(place) != state]
    entries: list[dict[str, Any]] = [
        {
            "stream_id": new.stream_id,
            "status": new.items[place],
            "log_ms": at_ms,
            "error": told,
            "frame_ms": last_frame_ms(new),
            "analytic_index": place,
        }
        for place in (changed if changed or told is None else list(new.items))
    ]
    if entries:
        connection.execute(insert(LOGS), entries)
    if not new.spec.ephemeral and (told is not None or old is None or old.shown != new.shown):
        change = StreamChange(new.stream_id, new.spec.run, new.shown, at_ms, new.version, told)
        connection.execute(insert(CHANGES).values(key=str(new.stream_id), value=encode_json(change)))


def last_frame_ms(stream: StreamRow) -> int | None:
    """Wall time of the last frame that was read in the current run; None before the first."""
    run = stream.current
    if not run.counts.decoded:
        return None
    if stream.spec.lane == "live":
        return run.frame_ms
    return None if run.last_media_s is None else stream.spec.started_ms + round(run.last_media_s * 1000)


def _told_lately(connection: Connection, stream: StreamId, error: str, at_ms: int) -> bool:
    same = (LOGS.c.stream_id == stream, LOGS.c.error == error)
    lately = (LOGS.c.log_ms > at_ms - ERROR_MS, LOGS.c.log_ms < at_ms + ERROR_MS)
    return connection.execute(select(LOGS.c.id).where(*same, *lately).limit(1)).first() is not None


def _filtered(statement: Select[Any], filter_: LogFilter) -> Select[Any]:
    owned = exists().where(STREAMS.c.stream_id == LOGS.c.stream_id, STREAMS.c.account_id == filter_.account_id)
    conditions = (
        (filter_.account_id, owned),
        (filter_.stream_ids, LOGS.c.stream_id.in_(filter_.stream_ids or ())),
        (filter_.statuses or None, LOGS.c.status.in_(filter_.statuses)),
        (filter_.analytic_indexes or None, LOGS.c.analytic_index.in_(filter_.analytic_indexes)),
        (filter_.from_ms, LOGS.c.log_ms >= (filter_.from_ms or 0)),
        (filter_.to_ms, LOGS.c.log_ms < (filter_.to_ms or 0)),
    )
    return statement.where(*(condition for asked, condition in conditions if asked is not None))
