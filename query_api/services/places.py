"""Where the frames of one run are that are neither stored nor given up."""

from __future__ import annotations

from collections.abc import Sequence

from core.ids import Seq
from core.messages import IngestCounts
from query_api.in_flight import Waiting
from query_api.types.query import FramePlace, Ledger, Places

MOST_MISSING = 20_000
"""Frames that ClickHouse is asked to name."""


def places_of(ledger: Ledger, counts: IngestCounts, missing: Sequence[Seq], waiting: Waiting | None) -> Places:
    """The places, which sum to what is in flight.

    Args:
        ledger: of counts asked for last of all.
        missing: frames that ClickHouse does not have, asked for after `waiting`; the first `MOST_MISSING`.
        waiting: what was seen on Kafka; None when nothing could be.
    """
    given_up = counts.gated + sum(counts.dropped.values())
    arrived = ledger.read - ledger.in_flight - given_up  # all that is settled, and not at ingest
    ingest = min(ledger.in_flight, max(0, ledger.read - given_up - max(counts.published, arrived)))
    acknowledged = ledger.in_flight - ingest
    if waiting is None:
        return Places(ingest=ingest, unlocated=acknowledged, awaiting_analyse=None)
    sink = min(acknowledged, _to_store(missing, waiting))
    rest = acknowledged - sink
    if not waiting.whole:
        return Places(ingest=ingest, sink=sink, unlocated=rest, awaiting_analyse=None)
    detect = min(rest, waiting.unread)
    return Places(ingest=ingest, detect=detect, sink=sink, missing=rest - detect, awaiting_analyse=waiting.for_analyse)


def _to_store(missing: Sequence[Seq], waiting: Waiting) -> int:
    named = frozenset(missing)
    beyond = missing[-1] if len(missing) >= MOST_MISSING else None
    return sum(seq in named or (beyond is not None and seq > beyond) for seq in waiting.detections)


def frame_place(seq: Seq, waiting: Waiting | None) -> FramePlace:
    """The place of a frame that ClickHouse does not have."""
    if waiting is None:
        return FramePlace(seq, "unlocated", None, None, None)
    if seq in waiting.detections:
        at = waiting.detections[seq]
        return FramePlace(seq, "sink", at.topic, at.partition, at.offset)
    if seq in waiting.frames:
        at = waiting.frames[seq]
        return FramePlace(seq, "detect", at.topic, at.partition, at.offset)
    return FramePlace(seq, "missing" if waiting.whole and waiting.frames_whole else "unlocated", None, None, None)
