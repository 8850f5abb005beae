"""The control database as one object."""

from __future__ import annotations

from core.clock import Clock, wall_clock
from core.settings import Settings
from warehouse.control.audits import Audits
from warehouse.control.database import open_engine
from warehouse.control.outbox import Outbox
from warehouse.control.runs import Runs
from warehouse.control.schema import upgrade
from warehouse.control.signing_keys import SigningKeys
from warehouse.control.tombstones import Tombstones
from warehouse.control.uploads import Uploads


class ControlStore(Runs, Audits, Tombstones, Outbox, Uploads, SigningKeys):
    """Streams, tasks, runs, receipts, tombstones, the outbox, uploads and signing keys.

    Threads and processes may share the database; calls block. Every method raises
    StoreUnavailable when the database does not answer, and SetupError when it has no schema.
    """

    @classmethod
    def connect(cls, settings: Settings, clock: Clock = wall_clock) -> ControlStore:
        """The database of ``control.url``; opened at the first call."""
        return cls(open_engine(settings.control_url), prefix=settings.kafka.prefix, clock=clock)

    def migrate(self) -> None:
        """Create or upgrade the schema; several processes may try at once.

        Raises:
            ConfigError: the database is of a newer version.
        """
        with self._writing() as connection:
            upgrade(connection)
