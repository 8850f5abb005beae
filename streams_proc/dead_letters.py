"""Putting aside records that can never succeed, up to a rate beyond which something else must be wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from core import log
from core.errors import TooManyDeadLetters
from core.metrics import counter
from core.settings import DeadLetters as Limits
from streams_proc.letter import letter_of, origin
from streams_proc.stage import Outcome, Output, Poison, Record

MINUTE_S = 60.0
_log = log.get(__name__)


class DeadLetters:
    """Turns outcomes into what is published, and stops the line when too much fails.

    A record that would pass a limit is not put aside: the line stops before it, and it comes again.

    Args:
        topic: of the dead letters.
        stage: whose records they are.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        topic: str,
        stage: str,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = topic
        self._stage = stage
        self._limits = limits
        self._clock = clock
        self._in_a_row = 0
        self._lately: deque[float] = deque()

    def outputs(self, record: Record, outcome: Outcome) -> Sequence[Output]:
        """What to publish for a record.

        Raises:
            TooManyDeadLetters: in a row, or within a minute.
        """
        counts = counter("sightline_stage_messages_total")
        if not isinstance(outcome, Poison):
            self._in_a_row = 0
            counts.labels(self._stage, "done").inc()
            return outcome
        kind = type(outcome.error).__name__
        self._admit(f"the last at {origin(record)}: {kind}: {outcome.error}")
        _log.warning("dead letter", stage=self._stage, origin=origin(record), kind=kind, reason=str(outcome.error))
        counts.labels(self._stage, "dead_lettered").inc()
        counter("sightline_dead_letters_total").labels(self._stage, kind).inc()
        return (letter_of(self._topic, self._stage, record, outcome.error), *outcome.outputs)

    def _admit(self, last: str) -> None:
        """Count one more dead letter. Raises TooManyDeadLetters."""
        now = self._clock()
        while self._lately and self._lately[0] <= now - MINUTE_S:
            self._lately.popleft()
        if self._in_a_row >= self._limits.in_a_row:
            raise TooManyDeadLetters(f"{self._in_a_row + 1} records in a row can never succeed, {last}")
        if len(self._lately) >= self._limits.per_minute:
            raise TooManyDeadLetters(f"{len(self._lately) + 1} records within a minute can never succeed, {last}")
        self._in_a_row += 1
        self._lately.append(now)
