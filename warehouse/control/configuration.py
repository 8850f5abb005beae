"""What is configured while Sightline runs: limits, retention, logging, and the orders of the workers.

Every process that needs it reads it here; 0 sets no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, select, update

from core.ids import StreamId
from core.messages import Orders
from warehouse.control import models
from warehouse.control.codec import STREAMS, json_text
from warehouse.control.database import Database, table

CONFIGURATION = table(models.Configuration)
Name = Literal["platform", "database", "workers", "checkin", "deployment"]
LogLevel = Literal["", "debug", "info", "warning", "error"]
T = TypeVar("T", bound=msgspec.Struct)


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """The platform.

    Attributes:
        event_retention_days: age at which events of streams go.
        log_level: of all workers; empty: what their settings say.
    """

    max_streams_per_node: int = 0
    event_retention_days: int = 0
    enable_cors: bool = False
    log_level: LogLevel = ""


class Keeping(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the stores keep of streams.

    Attributes:
        retention_days: age at which detections, tracks, pictures, vectors and events go.
        max_events_per_stream: of more than so many the oldest go.
    """

    retention_days: int = 0
    max_events_per_stream: int = 0


class Workers(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a restart was last asked for."""

    restart_ms: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """What is to be kept of streams; see `Platform` and `Keeping`."""

    days: int
    event_days: int
    most_events: int


class Configurations(Database):
    """Configuration."""

    def platform(self) -> Platform:
        """The platform's."""
        with self._reading() as connection:
            return read(connection, "platform", Platform)

    def change_platform(self, **changes: Any) -> Platform:
        """Change some of it, to values that are allowed; all of it."""
        return self._change("platform", Platform, changes)

    def keeping(self) -> Keeping:
        """The stores'."""
        with self._reading() as connection:
            return read(connection, "database", Keeping)

    def change_keeping(self, **changes: Any) -> Keeping:
        """Change some of it, to values that are allowed; all of it."""
        return self._change("database", Keeping, changes)

    def retention(self) -> Retention:
        """What is to be kept, of both."""
        with self._reading() as connection:
            platform, keeping = read(connection, "platform", Platform), read(connection, "database", Keeping)
        return Retention(keeping.retention_days, platform.event_retention_days, keeping.max_events_per_stream)

    def retained_streams(self) -> list[StreamId]:
        """The streams that retention is about: all but tasks, whose results stay until they are deleted."""
        with self._reading() as connection:
            rows = connection.execute(select(STREAMS.c.stream_id).where(STREAMS.c.task.is_(False)))
            return [StreamId(row.stream_id) for row in rows]

    def request_restart(self) -> int:
        """Order all workers to begin again; the time of the order, later than that of any before."""
        with self._writing() as connection:
            before = read(connection, "workers", Workers, lock=True)
            order = Workers(max(self._now(), before.restart_ms + 1))
            write(connection, "workers", order, self._now())
        return order.restart_ms

    def orders(self) -> Orders:
        """What the workers are to be told."""
        with self._reading() as connection:
            platform, workers = read(connection, "platform", Platform), read(connection, "workers", Workers)
        return Orders(workers.restart_ms, platform.log_level)

    def _change(self, name: Name, kind: type[T], changes: dict[str, Any]) -> T:
        with self._writing() as connection:
            changed = msgspec.structs.replace(read(connection, name, kind, lock=True), **changes)
            write(connection, name, changed, self._now())
        return changed


def read(connection: Connection, name: Name, kind: type[T], *, lock: bool = False) -> T:
    """One part of the configuration.

    Args:
        lock: nobody else changes it, or locks it, until the transaction has ended.
    """
    statement = select(CONFIGURATION.c.value).where(CONFIGURATION.c.name == name)
    text = connection.execute(statement.with_for_update() if lock else statement).scalar_one()
    return msgspec.json.decode(text, type=kind)


def write(connection: Connection, name: Name, value: msgspec.Struct, now: int) -> None:
    """Keep one part of the configuration."""
    connection.execute(
        update(CONFIGURATION).where(CONFIGURATION.c.name == name).values(value=json_text(value), updated_ms=now)
    )
