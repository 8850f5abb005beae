"""Wall time, in one place so that tests can pass their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Seconds since the epoch, UTC."""

wall_clock: Clock = time.time


def now_ms(clock: Clock = wall_clock) -> int:
    """Milliseconds since the epoch, UTC."""
    return int(clock() * 1000)


def utc_datetime(ms: int) -> datetime:
    """Aware UTC datetime of `ms` milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def rfc3339(ms: int) -> str:
    """RFC 3339 text, UTC, with milliseconds: ``2026-01-31T12:00:00.250Z``."""
    return utc_datetime(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
