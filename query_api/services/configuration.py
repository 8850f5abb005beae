"""What is configured while Sightline runs, and what of it the service itself obeys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import asdict

from core import log
from core.clock import now_ms, rfc3339
from core.errors import InvalidInput, SightlineError
from core.settings import Settings
from query_api.ports import Collaborators
from query_api.types.engine import (
    CheckinStatus,
    DatabaseChange,
    DatabaseConfig,
    DatabaseStats,
    PlatformChange,
    PlatformConfig,
)
from warehouse.control.configuration import Keeping, Platform

FRESH_S = 5.0
PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Known:
    """What the service goes by without asking for it each time."""

    platform: Platform
    deployment_key: str


class Configuration:
    """The configuration; all but `refresh` blocking.

    Another process may change it: the service goes by what it has read at most some seconds ago.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Collaborators,
        now: Callable[[], float] = time.monotonic,
        set_level: Callable[[str], None] = log.set_level,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._now = now
        self._set_level = set_level
        self._due = float("-inf")
        self.known = Known(Platform(), "")

    async def refresh(self) -> None:
        """Read it again if that is due; a database that does not answer soon is asked the next time."""
        if self._now() < self._due:
            return
        self._due = self._now() + FRESH_S
        with suppress(SightlineError, TimeoutError):
            self._take(await asyncio.wait_for(self._parts.pool.run(self._read), PATIENCE_S))

    def platform(self) -> PlatformConfig:
        """The platform's."""
        return self._shown(self._parts.control.platform())

    def change_platform(self, change: PlatformChange) -> PlatformConfig:
        """Change what is given."""
        self._parts.control.change_platform(**_given(change))
        self._take(self._read())
        return self._shown(self.known.platform)

    def database(self) -> DatabaseConfig:
        """What is kept of streams."""
        return _keeping(self._parts.control.keeping())

    def change_database(self, change: DatabaseChange) -> DatabaseConfig:
        """Change what is given; deleting begins within a minute."""
        return _keeping(self._parts.control.change_keeping(**_given(change)))

    def database_stats(self) -> DatabaseStats:
        """How full the analytics database's disks are."""
        found = self._parts.analytics.usage()
        used = max(0, found.total_bytes - found.free_bytes)
        return DatabaseStats(200, "success", found.total_bytes, used, found.free_bytes, found.events)

    def restart(self) -> None:
        """Have all workers end what they have begun, and begin again."""
        self._parts.control.request_restart()

    def checkin(self) -> CheckinStatus:
        """How the check-in stands."""
        control = self._parts.control
        found, key = control.checkin(), control.deployment_key()
        if not found.access_key:
            return CheckinStatus("inactive", key, None, None)
        status: Literal["active", "expired"] = "active" if now_ms(self._parts.clock) < found.expires_ms else "expired"
        return CheckinStatus(status, key, rfc3339(found.at_ms), rfc3339(found.expires_ms))

    def check_in(self, access_key: str, secret_key: str) -> CheckinStatus:
        """Check in. Raises InvalidInput for a pair that was not issued."""
        if self._parts.control.check_in(access_key, secret_key) is None:
            raise InvalidInput("invalid license credentials")
        self._take(self._read())
        return self.checkin()

    def clear_checkin(self) -> None:
        """Forget the check-in."""
        self._parts.control.clear_checkin()

    def _read(self) -> Known:
        control = self._parts.control
        return Known(control.platform(), control.deployment_key())

    def _take(self, known: Known) -> None:
        if known.platform.log_level != self.known.platform.log_level:
            self._set_level(known.platform.log_level or self._settings.telemetry.level)
        self.known = known

    def _shown(self, platform: Platform) -> PlatformConfig:
        return PlatformConfig(
            max_streams_per_node=platform.max_streams_per_node,
            event_retention_days=platform.event_retention_days,
            enable_cors=platform.enable_cors,
            log_level=platform.log_level or self._settings.telemetry.level,
        )


def _given(change: PlatformChange | DatabaseChange) -> dict[str, object]:
    """What a change names."""
    return {name: value for name, value in asdict(change).items() if value is not None}


def _keeping(keeping: Keeping) -> DatabaseConfig:
    return DatabaseConfig(keeping.retention_days, keeping.max_events_per_stream)
