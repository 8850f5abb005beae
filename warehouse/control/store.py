"""The control database as one object."""

from __future__ import annotations

from core.clock import Clock, wall_clock
from core.settings import Settings
from warehouse.control.audits import Audits
from warehouse.control.checkin import Checkins
from warehouse.control.configuration import Configurations
from warehouse.control.database import open_engine
from warehouse.control.identity import Identity
from warehouse.control.nodes import Nodes
from warehouse.control.outbox import Outbox
from warehouse.control.runs import Runs
from warehouse.control.schema import upgrade
from warehouse.control.signing_keys import SigningKeys
from warehouse.control.stream_logs import StreamLogs
from warehouse.control.task_ends import TaskEnds
from warehouse.control.tokens import Tokens
from warehouse.control.tombstones import Tombstones
from warehouse.control.uploads import Uploads


class ControlStore(
    Runs,
    Audits,
    Tombstones,
    Outbox,
    Uploads,
    StreamLogs,
    Identity,
    Tokens,
    Nodes,
    Configurations,
    Checkins,
    TaskEnds,
    SigningKeys,
):
    """Streams and tasks, and all else that is looked up by its key.

    Threads and processes may share the database; calls block. Every method raises
    StoreUnavailable when the database does not answer, and SetupError when it has no schema.
    """

    @classmethod
    def connect(cls, settings: Settings, clock: Clock = wall_clock) -> ControlStore:
        """The database of ``control.url``; opened at the first call."""
        engine, seats = open_engine(settings.control_url), settings.query.seats
        return cls(engine, prefix=settings.kafka.prefix, clock=clock, seats=seats)

    def migrate(self) -> None:
        """Create or upgrade the schema; several processes may try at once.

        Raises:
            ConfigError: the database is of a newer version.
        """
        with self._writing() as connection:
            upgrade(connection)
