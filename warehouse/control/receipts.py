"""The receipts that make a task's result complete.

A sink writes one when everything up to a run's end on a topic is in its store.
"""

from __future__ import annotations

EXPECTED: frozenset[tuple[str, str]] = frozenset(
    {
        ("sink-clickhouse", "detections"),
        ("sink-clickhouse", "tracks"),
        ("sink-clickhouse", "events"),
        ("sink-lancedb", "tracks"),
        ("sink-media", "tracks"),
    }
)
"""(sink, topic without the prefix)."""
