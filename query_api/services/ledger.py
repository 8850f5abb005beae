"""The ledger of a run, out of ingest's counts and what the stores hold."""

from __future__ import annotations

from core.messages import CANCELLED, IngestCounts
from query_api.types.query import Ledger
from warehouse.rows import FrameCounts


def balance(counts: IngestCounts, stored: FrameCounts) -> Ledger:
    """The ledger, which always sums.

    Ingest's counts come with heartbeats and may be a second old, so more frames may be stored
    than it has told of: those were certainly read and decoded.
    """
    dropped = dict(counts.dropped)
    if stored.cancelled:
        dropped[CANCELLED] = dropped.get(CANCELLED, 0) + stored.cancelled
    settled = stored.processed + stored.dead_lettered + counts.gated + sum(dropped.values())
    read = max(counts.read, settled)
    decoded = max(counts.decoded, counts.sampled_out + read)
    return Ledger(
        decoded=decoded,
        sampled_out=decoded - read,
        read=read,
        processed=stored.processed,
        gated=counts.gated,
        dropped=dict(sorted(dropped.items())),
        dead_lettered=stored.dead_lettered,
        in_flight=read - settled,
    )
