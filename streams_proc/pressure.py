"""A bound in bytes on what waits, topic by topic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from streams_proc.stage import Record, TopicPartition

MOST_BYTES = 48 * 1024**2
RESUME_AT = 0.75


class Pressure:
    """Counts the bytes that wait and says which partitions are not to be fetched from.

    Args:
        pause: called for a partition that gave a record while its topic was over the bound.
        resume: called for each of them once the topic is down to three quarters.
    """

    def __init__(
        self,
        pause: Callable[[TopicPartition], None],
        resume: Callable[[TopicPartition], None],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._pause = pause
        self._resume = resume
        self._most = most_bytes
        self._held: dict[str, int] = defaultdict(int)
        self._paused: dict[str, set[TopicPartition]] = defaultdict(set)

    @property
    def holding(self) -> bool:
        """Whether a partition is not fetched from, until something that waits is taken."""
        return any(self._paused.values())

    def add(self, record: Record) -> None:
        """A record waits."""
        self._held[record.topic] += record.size
        if self._held[record.topic] >= self._most:
            # told again at each record: a rebalance in between has resumed everything
            self._paused[record.topic].add(record.tp)
            self._pause(record.tp)

    def remove(self, record: Record) -> None:
        """A record waits no more."""
        self._held[record.topic] -= record.size
        if self._paused[record.topic] and self._held[record.topic] <= self._most * RESUME_AT:
            for tp in self._paused.pop(record.topic):
                self._resume(tp)
