"""Streams and tasks: every change writes the record that tells of it in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, func, insert, or_, select, update

from core.bounds import check
from core.errors import BadMessage, Conflict, InvalidInput, NotFound
from core.ids import Run, StreamId, engine_stream_id
from core.messages import IngestCounts, StreamSpec
from core.states import can_resume, can_stop
from warehouse.control import models
from warehouse.control.codec import RUN_COLUMNS, RUNS, STREAM_COLUMNS, STREAMS, json_text, stream_row, stream_values
from warehouse.control.database import Database, insert_new, table
from warehouse.control.limits import refuse_full, refuse_unseated
from warehouse.control.rows import RunState, StreamFilter, StreamRow
from warehouse.control.stream_logs import log_stream
from warehouse.control.task_ends import await_end
from warehouse.page import Page, decode_cursor, digest, page_of

EVERYTHING = StreamFilter()
MAX_LIMIT = 10_000
MOST_BYTES = 1024**2
"""Of a definition: it travels with its run along every topic."""

Change = Callable[[StreamRow], tuple[StreamSpec, dict[str, Any]]]
SHOWN = case(
    (STREAMS.c.desired == "stop", "stop"),
    (and_(RUNS.c.state == "in_progress", RUNS.c.paused != "[]"), "unknown"),
    else_=RUNS.c.state,
)
"""`StreamRow.shown`, where the database is to know it."""

CURRENT = and_(RUNS.c.stream_id == STREAMS.c.stream_id, RUNS.c.run == STREAMS.c.run)
_WHOLE = select(*STREAM_COLUMNS, *RUN_COLUMNS).join(RUNS, CURRENT)
_ORDERS = {"created": STREAMS.c.created_ms, "name": STREAMS.c.name, "id": STREAMS.c.stream_id}


class Streams(Database):
    """Streams, tasks among them."""

    def create_stream(self, spec: StreamSpec, extra: dict[str, Any] | None = None, *, node_num: int = 0) -> StreamRow:
        """A new stream with its first run, pending.

        Args:
            extra: what the surfaces keep with it; JSON values.
            node_num: where it is registered.

        Raises:
            Conflict: the id exists, was deleted, or ends in the same 16 digits as another's; or there is no room for it
                on its node, or no seat for one of its analytics.
            InvalidInput: no ingest host could take it.
        """
        now = self._now()
        with self._writing() as connection:
            _refuse_taken(connection, spec.stream_id)
            if not spec.task:
                refuse_full(connection, node_num)
                refuse_unseated(connection, self._seats, spec.analytics)
            connection.execute(
                insert(STREAMS).values(
                    **stream_values(spec, extra or {}), created_ms=now, updated_ms=now, version=1, node_num=node_num
                )
            )
            _begin_run(connection, spec, now)
            _tell(connection, spec.stream_id, spec, now)
            if spec.task and not spec.ephemeral:
                await_end(connection, spec.stream_id)
            created = read_stream(connection, spec.stream_id)
            log_stream(connection, None, created, now)
            return created

    def stream(self, stream_id: StreamId) -> StreamRow:
        """A stream with its current run. Raises NotFound."""
        with self._reading() as connection:
            return read_stream(connection, stream_id)

    def stream_by_engine_id(self, engine_id: str) -> StreamRow:
        """The stream whose id ends in these 16 digits. Raises NotFound."""
        with self._reading() as connection:
            row = connection.execute(_WHOLE.where(STREAMS.c.engine_id == engine_id)).first()
        if row is None:
            raise NotFound(f"no stream {engine_id}")
        return stream_row(row)

    def streams(
        self, filter_: StreamFilter = EVERYTHING, *, limit: int = 100, cursor: str | None = None
    ) -> Page[StreamRow]:
        """Streams, the newest first. Raises InvalidInput for a wrong limit or cursor."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput(f"a page has 1 to {MAX_LIMIT} rows", "limit")
        asked = digest("streams", filter_)
        statement = _filtered(_WHOLE, filter_).order_by(STREAMS.c.created_ms.desc(), STREAMS.c.stream_id.desc())
        if cursor is not None:
            created, hexadecimal = decode_cursor(cursor, asked, (int, str))
            at = UUID(hex=str(hexadecimal))
            statement = statement.where(
                or_(
                    STREAMS.c.created_ms < created,
                    and_(STREAMS.c.created_ms == created, STREAMS.c.stream_id < at),
                )
            )
        with self._reading() as connection:
            rows = [stream_row(row) for row in connection.execute(statement.limit(limit + 1))]
        return page_of(rows, limit, asked, lambda row: (row.created_ms, row.stream_id.hex))

    def list_streams(
        self,
        filter_: StreamFilter,
        *,
        by: Literal["created", "name", "id"] = "created",
        descending: bool = True,
        limit: int,
        offset: int = 0,
    ) -> list[StreamRow]:
        """`limit` streams behind the first `offset`, in the order asked for."""
        keys = (_ORDERS[by], STREAMS.c.stream_id)
        order = [key.desc() if descending else key.asc() for key in keys]
        statement = _filtered(_WHOLE, filter_).order_by(*order).limit(limit).offset(offset)
        with self._reading() as connection:
            return [stream_row(row) for row in connection.execute(statement)]

    def count_streams(self, filter_: StreamFilter = EVERYTHING) -> int:
        """How many streams the filter finds."""
        counted = (
            select(func.count())
            .select_from(STREAMS)
            .join(RUNS, and_(RUNS.c.stream_id == STREAMS.c.stream_id, RUNS.c.run == STREAMS.c.run))
        )
        with self._reading() as connection:
            return int(connection.execute(_filtered(counted, filter_)).scalar_one())

    def count_states(self, filter_: StreamFilter = EVERYTHING) -> dict[RunState, int]:
        """How many streams are in each state, as their users see it; states without one are left out."""
        each = select(SHOWN.label("shown")).select_from(STREAMS).join(RUNS, CURRENT)
        found = _filtered(each, filter_).subquery()
        counted = select(found.c.shown, func.count()).group_by(found.c.shown)
        with self._reading() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(counted)}

    def update_stream(
        self, spec: StreamSpec, extra: dict[str, Any] | None = None, *, version: int | None = None
    ) -> StreamRow:
        """Redefine a stream; a new run begins, numbered here whatever `spec.run` says.

        Args:
            extra: None leaves what is there.
            version: insist that nothing changed since.

        Raises:
            NotFound: no such stream.
            Conflict: it is at another version, or there is no seat for one of its analytics.
            InvalidInput: no ingest host could take it.
        """
        with self._writing() as connection:
            old = _lock(connection, spec.stream_id)
            if version is not None and version != old.version:
                raise Conflict(f"stream {spec.stream_id} is at version {old.version}, not {version}")
            refuse_unseated(connection, self._seats, spec.analytics, old.spec.analytics)
            renewed = msgspec.structs.replace(spec, run=Run(old.spec.run + 1))
            return self._changed(connection, old, renewed, old.extra if extra is None else extra)

    def change_stream(self, stream_id: StreamId, change: Change) -> StreamRow:
        """Change a stream as it stands; nobody else changes it between.

        Its run goes on, unless the changed definition has the number of the next one. A change that changes nothing
        is none.

        Args:
            change: from the stream to its new definition and what the surfaces keep with it; when it raises, all
                stays as it was.

        Raises:
            NotFound: no such stream.
            Conflict: there is no seat for one of its analytics.
            InvalidInput: no ingest host could take it.
        """
        with self._writing() as connection:
            old = _lock(connection, stream_id)
            spec, extra = change(old)
            if (spec, extra) == (old.spec, old.extra):
                return old
            refuse_unseated(connection, self._seats, spec.analytics, old.spec.analytics)
            return self._changed(connection, old, spec, extra)

    def set_extra(self, stream_id: StreamId, extra: dict[str, Any]) -> StreamRow:
        """Change what the surfaces keep with a stream; its run goes on. Raises NotFound."""
        with self._writing() as connection:
            old = _lock(connection, stream_id)
            return self._changed(connection, old, old.spec, extra)

    def set_desired(self, stream_id: StreamId, desired: Literal["run", "stop"]) -> StreamRow:
        """Stop a stream, or run it again as a new run that starts now; nothing if it is so already.

        Raises:
            NotFound: no such stream.
        """
        with self._writing() as connection:
            old = _lock(connection, stream_id)
            if old.spec.desired == desired:
                return old
            spec = msgspec.structs.replace(old.spec, desired=desired)
            if desired == "run":
                spec = self._again(spec)
            return self._changed(connection, old, spec, old.extra)

    def patch_stream(self, stream_id: StreamId, action: Literal["stop", "resume"]) -> bool:
        """Stop a stream that goes on, or begin a new run of one that stands still, however it came to.

        Returns:
            False when its state does not suit, and nothing was done.

        Raises:
            NotFound: no such stream.
        """
        with self._writing() as connection:
            old = _lock(connection, stream_id)
            if not (can_stop(old.shown) if action == "stop" else can_resume(old.shown)):
                return False
            spec = msgspec.structs.replace(old.spec, desired="stop" if action == "stop" else "run")
            self._changed(connection, old, spec if action == "stop" else self._again(spec), old.extra)
            return True

    def _again(self, spec: StreamSpec) -> StreamSpec:
        return msgspec.structs.replace(spec, run=Run(spec.run + 1), started_ms=self._now())

    def delete_stream(self, stream_id: StreamId) -> bool:
        """Remove a stream with its runs; a tombstone stays, so that nothing of it comes back.

        An immediate analysis has stored nothing, and leaves no tombstone.

        Returns:
            False when there was no such stream.
        """
        now = self._now()
        with self._writing() as connection:
            try:
                old = _lock(connection, stream_id)
            except NotFound:
                return False
            connection.execute(delete(STREAMS).where(STREAMS.c.stream_id == stream_id))
            if not old.spec.ephemeral:
                insert_new(connection, models.Tombstone, stream_id=stream_id, deleted_ms=now)
            _tell(connection, stream_id, None, now)
        return True

    def _changed(self, connection: Connection, old: StreamRow, spec: StreamSpec, extra: dict[str, Any]) -> StreamRow:
        now = self._now()
        connection.execute(
            update(STREAMS)
            .where(STREAMS.c.stream_id == spec.stream_id)
            .values(**stream_values(spec, extra), updated_ms=now, version=old.version + 1)
        )
        if spec.run != old.spec.run:
            _begin_run(connection, spec, now)
        if spec != old.spec:
            _tell(connection, spec.stream_id, spec, now)
        changed = read_stream(connection, spec.stream_id)
        log_stream(connection, old, changed, now)
        return changed


def _refuse_taken(connection: Connection, stream_id: StreamId) -> None:
    buried = table(models.Tombstone)
    if connection.execute(select(buried.c.stream_id).where(buried.c.stream_id == stream_id)).first():
        raise Conflict(f"stream {stream_id} was deleted; its id cannot be used again")
    taken = or_(STREAMS.c.stream_id == stream_id, STREAMS.c.engine_id == engine_stream_id(stream_id))
    if connection.execute(select(STREAMS.c.stream_id).where(taken)).first():
        raise Conflict(f"a stream {stream_id}, or one that ends in the same 16 digits, exists")


def read_stream(connection: Connection, stream_id: StreamId) -> StreamRow:
    """A stream with its current run, within a transaction. Raises NotFound."""
    row = connection.execute(_WHOLE.where(STREAMS.c.stream_id == stream_id)).first()
    if row is None:
        raise NotFound(f"no stream {stream_id}")
    return stream_row(row)


def _lock(connection: Connection, stream_id: StreamId) -> StreamRow:
    """So that the outbox holds a stream's changes in the order in which they were made."""
    connection.execute(select(STREAMS.c.stream_id).where(STREAMS.c.stream_id == stream_id).with_for_update())
    return read_stream(connection, stream_id)


def _begin_run(connection: Connection, spec: StreamSpec, now: int) -> None:
    connection.execute(
        insert(RUNS).values(
            stream_id=spec.stream_id,
            run=spec.run,
            state="pending",
            created_ms=now,
            status_ms=0,
            host="",
            counts=json_text(IngestCounts()),
            problems="[]",
        )
    )


def _tell(connection: Connection, stream_id: StreamId, spec: StreamSpec | None, now: int) -> None:
    value = None if spec is None else _definition(spec)
    connection.execute(insert(table(models.Outbox)).values(key=str(stream_id), value=value, created_ms=now))


def _definition(spec: StreamSpec) -> bytes:
    """What an ingest host will read; one that no host can take would wait for ever.

    Raises:
        InvalidInput: a value that nothing can hold, or too much of it.
    """
    try:
        check(spec)
    except BadMessage as error:
        raise InvalidInput(f"a stream cannot be so: {error}") from error
    value = msgspec.json.encode(spec)
    if len(value) > MOST_BYTES:
        raise InvalidInput(f"the definition of a stream has {len(value)} bytes; {MOST_BYTES} are the most")
    return value


def _filtered(statement: Select[Any], filter_: StreamFilter) -> Select[Any]:
    s = STREAMS.c
    # only those are built: all of them cost as much as the query
    asked: tuple[tuple[Any, Callable[[Any], ColumnElement[bool]]], ...] = (
        (filter_.task, s.task.__eq__),
        (filter_.ephemeral, s.ephemeral.__eq__),
        (filter_.account_id, s.account_id.__eq__),
        (filter_.stream_ids, s.stream_id.in_),
        (filter_.names or None, s.name.in_),
        (filter_.desired, s.desired.__eq__),
        (filter_.node_num, s.node_num.__eq__),
        (filter_.states or None, RUNS.c.state.in_),
        (filter_.created_from_ms, s.created_ms.__ge__),
        (filter_.created_to_ms, s.created_ms.__lt__),
        (filter_.shown or None, SHOWN.in_),
        (filter_.stream_id_from, s.stream_id.__ge__),
        (filter_.stream_id_to, s.stream_id.__lt__),
        (filter_.references or None, s.reference.in_),
        (filter_.sources or None, s.source.in_),
        (filter_.event_source_groups or None, s.event_source_group.in_),
    )
    return statement.where(*(condition(value) for value, condition in asked if value is not None))
