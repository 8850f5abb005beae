"""What is said of a stage that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.clock import rfc3339

if TYPE_CHECKING:
    from streams_proc.marks import Mark


def standstill(stage: str, mark: Mark) -> str:
    """Since when, why, and the command that ends it."""
    since = rfc3339(mark.ts_ms)
    return f"{stage} stands still since {since}: {mark.reason}. Mend it, then: sightline dlq resume {stage}"
