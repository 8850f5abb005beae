"""Counts of one run, kept by the reading thread and read by the reporting one."""

from __future__ import annotations

import threading
from collections import Counter

from core.errors import DroppedFrame, policy_of
from core.messages import IngestCounts, Lane, StreamProblem
from core.metrics import counter

MAX_PROBLEMS = 50
OUTCOMES = ("decoded", "sampled_out", "read", "gated", "published")


class Ledger:
    """``decoded == sampled_out + read`` always; ``read == gated + dropped + published`` once all is acknowledged.

    Args:
        lane: label of the metrics.
        before, media_s: counts that a run brings along when it goes on elsewhere, and the media second it had reached.
    """

    def __init__(self, lane: Lane, before: IngestCounts = IngestCounts(), media_s: float = 0.0) -> None:  # noqa: B008  # frozen
        self._lane = lane
        frames = counter("sightline_ingest_frames_total")
        self._metrics = {outcome: frames.labels(lane, outcome) for outcome in OUTCOMES}
        self._lock = threading.Lock()
        self._decoded = before.decoded
        self._sampled_out = before.sampled_out
        self._read = before.read
        self._gated = before.gated
        self._published = before.published
        self._dropped: Counter[str] = Counter(before.dropped)
        self._problems: list[StreamProblem] = []
        self._more_problems = 0
        self.media_s = media_s

    def decoded(self, media_s: float, *, read: bool) -> None:
        """A frame was decoded, and chosen or not."""
        with self._lock:
            self._decoded += 1
            self._read += read
            self._sampled_out += not read
            self.media_s = media_s
        self._count("decoded")
        self._count("read" if read else "sampled_out")

    def gated(self) -> None:
        """A read frame was held back by the motion gate."""
        with self._lock:
            self._gated += 1
        self._count("gated")

    def published(self) -> None:
        """A frame was acknowledged by the broker."""
        with self._lock:
            self._published += 1
        self._count("published")

    def dropped(self, why: type[DroppedFrame]) -> None:
        """A read frame was given up; it is counted under the reason that the table of errors has for it."""
        reason = policy_of(why).reason
        with self._lock:
            self._dropped[reason] += 1
        counter("sightline_ingest_dropped_total").labels(self._lane, reason).inc()

    def problem(self, reason: str) -> None:
        """A place of the source is damaged; a flood of them is kept as its beginning and its number."""
        with self._lock:
            if len(self._problems) >= MAX_PROBLEMS:
                self._more_problems += 1
                return
            self._problems.append(StreamProblem(self._decoded, round(self.media_s, 3), reason))

    @property
    def problems(self) -> tuple[StreamProblem, ...]:
        """The damaged places, in order."""
        with self._lock:
            found = tuple(self._problems)
            if not self._more_problems:
                return found
            more = f"and {self._more_problems} more damaged places after these"
            return (*found, StreamProblem(self._decoded, round(self.media_s, 3), more))

    @property
    def counts(self) -> IngestCounts:
        """All counts, as of one moment."""
        with self._lock:
            return IngestCounts(
                decoded=self._decoded,
                sampled_out=self._sampled_out,
                read=self._read,
                gated=self._gated,
                published=self._published,
                dropped=dict(sorted(self._dropped.items())),
            )

    def _count(self, outcome: str) -> None:
        self._metrics[outcome].inc()
