"""Whether a run's ledger sums, from counts that were made independently of each other.

Ingest counts what it decodes, chooses, holds back, drops and gets acknowledged; ClickHouse counts
the frames that arrived. Nothing here is derived from what it is held against.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.messages import IngestCounts
from warehouse.rows import FrameCounts


@dataclass(frozen=True, slots=True)
class Difference:
    """An equation that does not hold.

    Attributes:
        equation: as the documentation writes it.
        frames: left side minus right side.
    """

    equation: str
    frames: int

    def __str__(self) -> str:
        return f"{self.equation} is off by {self.frames:+}"


def differences(counts: IngestCounts, stored: FrameCounts, *, finished: bool) -> tuple[Difference, ...]:
    """Every equation of the ledger that does not hold.

    While a run goes on, frames may be on their way, and more may have arrived than ingest has told
    of; then only ingest's own sum must hold. Once it is finished nothing may be in flight.

    Args:
        finished: the run has ended, and the sinks have stored everything of it.
    """
    settled_at_ingest = counts.gated + sum(counts.dropped.values())
    arrived = stored.processed + stored.dead_lettered + stored.cancelled
    found = [Difference("decoded = sampled_out + read", counts.decoded - counts.sampled_out - counts.read)]
    if finished:
        found += [
            Difference("read = gated + dropped + published", counts.read - settled_at_ingest - counts.published),
            Difference("read = processed + gated + dropped + dead_lettered", counts.read - settled_at_ingest - arrived),
        ]
    return tuple(difference for difference in found if difference.frames)


def imbalance(found: tuple[Difference, ...]) -> int:
    """Frames by which a ledger does not sum; 0 is right."""
    return max((abs(difference.frames) for difference in found), default=0)
