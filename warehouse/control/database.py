"""Connections to SQLite or PostgreSQL, transactions, and errors of our own tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase

from core.clock import Clock, now_ms, wall_clock
from core.errors import Conflict, FatalError, SetupError, SightlineError, StoreUnavailable

BUSY_S = 30
WRITE = "sightline_write"
DEAD_AFTER = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
DEAD_AFTER_MS = 10_000
"""A server that does not even acknowledge for so long is gone: whoever waits for its answer holds up others."""
PASSING = ("OperationalError", "InterfaceError", "InternalError")


def open_engine(address: str) -> Engine:
    """An engine over ``sqlite:///file`` or ``postgresql://...``; several processes may use one database."""
    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False}, pool_size=8)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    gone = {**DEAD_AFTER, "tcp_user_timeout": DEAD_AFTER_MS}
    return create_engine(url, pool_size=8, pool_pre_ping=True, connect_args=gone)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite` alone
    for pragma in (f"busy_timeout={BUSY_S * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: one that reads first and then writes could not wait for it."""
    write = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def translated(error: SQLAlchemyError) -> SightlineError:
    """A database's error as one of our tree."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    kind = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    if kind == "UndefinedTable" or "no such table" in said:
        return SetupError(f"control database: {said}; run `sightline migrate`")
    if isinstance(error, IntegrityError):
        return Conflict(f"control database: {said}")
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and type(error).__name__ in PASSING):
        return StoreUnavailable(f"control database: {said}")
    return FatalError(f"control database: {said}")


class Database:
    """An engine with read and write transactions."""

    def __init__(
        self, engine: Engine, *, prefix: str = "", clock: Clock = wall_clock, seats: Mapping[str, int] | None = None
    ) -> None:
        """Over an open engine.

        Args:
            prefix: of topics' names, which receipts leave out.
            seats: most streams of an analytic, by its id; one that is not named may have any number.
        """
        self._engine = engine
        self._writer = engine.execution_options(**{WRITE: True})
        self._prefix = prefix
        self._clock = clock
        self._holder = uuid4().hex
        self._seats = seats or {}

    def _now(self) -> int:
        return now_ms(self._clock)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _errors(), self._writer.begin() as connection:
            yield connection

    def ready(self) -> bool:
        """Whether the database answers."""
        try:
            with self._reading() as connection:
                connection.execute(text("SELECT 1"))
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise translated(error) from error


def table(model: type[DeclarativeBase]) -> Table:
    """A model's table."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


def insert_new(connection: Connection, model: type[DeclarativeBase], **values: Any) -> bool:
    """Insert unless the key is there already; says whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return connection.execute(dialect.insert(table(model)).values(**values).on_conflict_do_nothing()).rowcount == 1
