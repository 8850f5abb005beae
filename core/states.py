"""What the surfaces call the states of a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENGINE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pending": "PENDING",
        "in_progress": "RUNNING",
        "done": "ENDED",
        "restart": "RESTARTING",
        "failure": "FAILED",
        "stop": "STOPPED",
        "handler_lost": "LOST",
        "unknown": "UNKNOWN",
        "paused": "PAUSED",
    }
)
"""By the state of a run, as the engine surface shows it."""
