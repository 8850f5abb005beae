"""Whether this host is still a member of its group, as the group's coordinator last said.

Asked by committing an offset, which only a member of the living generation may. The answer comes
while the host polls; it is not waited for, because librdkafka does not always give one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, TopicPartition

from core.log import get

log = get(__name__)
ASK_S = 1.0
FRESH_S = 2.5
"""A reader that begins now has so much less of its first lease."""


class Membership:
    """Asks each second, and remembers when it asked the newest question that was answered with yes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._asked = float("-inf")
        self._known = float("-inf")
        self._silent = False

    @property
    def known_at(self) -> float:
        """Monotonic time at which it still held; the session has been renewed at most a heartbeat before."""
        return self._known

    @property
    def fresh(self) -> bool:
        """Whether it held just now, so that a reader may begin."""
        return self._now() - self._known < FRESH_S

    def question(self, place: TopicPartition | None) -> TopicPartition | None:
        """What is to be committed now, with the time in it; None when it is not time to ask, or nothing is held.

        Args:
            place: the beginning of a partition that is held, where it is always read from.
        """
        if place is None or self._now() - self._asked < ASK_S:
            return None
        self._asked = self._now()
        return TopicPartition(place.topic, place.partition, place.offset, repr(self._asked))

    def answer(self, error: KafkaError | None, places: Sequence[TopicPartition]) -> None:
        """Take the answer to a question, however old."""
        for place in places:
            refused = error or place.error
            if refused is None or refused.code() == KafkaError.REBALANCE_IN_PROGRESS:  # said to members only
                self._silent = False
                self._known = max(self._known, float(place.metadata))
            elif not self._silent:
                self._silent = True
                log.warning("the group does not say that this host belongs to it", error=refused.str())

    def ask_now(self) -> None:
        """Ask without waiting for the second to pass."""
        self._asked = float("-inf")

    def lost(self) -> None:
        """It is known not to hold any more."""
        self._known = float("-inf")
