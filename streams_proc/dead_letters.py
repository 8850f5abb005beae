"""Records that can never succeed, kept with where they came from and why."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from core import log
from core.errors import FatalError
from core.metrics import counter
from streams_proc.stage import Outcome, Output, Poison, Record

MOST_IN_A_ROW = 100
LONGEST_TEXT = 4096
_log = log.get(__name__)


class DeadLetters:
    """Turns outcomes into what is published, and stops the line when nothing succeeds any more.

    Args:
        topic: of the dead letters.
        stage: whose records they are.
        most: dead letters in a row after which something other than the records must be wrong.
    """

    def __init__(self, topic: str, stage: str, most: int = MOST_IN_A_ROW) -> None:
        self._topic = topic
        self._stage = stage
        self._most = most
        self._in_a_row = 0

    def outputs(self, record: Record, outcome: Outcome) -> Sequence[Output]:
        """What to publish for a record.

        Raises:
            FatalError: too many dead letters in a row.
        """
        counts = counter("sightline_stage_messages_total")
        if not isinstance(outcome, Poison):
            self._in_a_row = 0
            counts.labels(self._stage, "done").inc()
            return outcome
        self._in_a_row += 1
        reason = type(outcome.error).__name__
        if self._in_a_row > self._most:
            raise FatalError(
                f"{self._in_a_row} records in a row can never succeed, the last at {origin(record)}: "
                f"{reason}: {outcome.error}"
            )
        _log.warning("dead letter", stage=self._stage, origin=origin(record), kind=reason, reason=str(outcome.error))
        counts.labels(self._stage, "dead_lettered").inc()
        counter("sightline_dead_letters_total").labels(self._stage, reason).inc()
        return (self._letter(record, outcome), *outcome.outputs)

    def _letter(self, record: Record, poison: Poison) -> Output:
        trace = "".join(traceback.format_exception(poison.error))[-LONGEST_TEXT:]
        return Output(
            self._topic,
            origin(record).encode(),
            record.value,
            {
                **record.headers,
                "origin_topic": record.topic.encode(),
                "origin_partition": str(record.partition).encode(),
                "origin_offset": str(record.offset).encode(),
                "origin_key": record.key or b"",
                "stage": self._stage.encode(),
                "reason": f"{type(poison.error).__name__}: {poison.error}"[:LONGEST_TEXT].encode(),
                "trace": trace.encode(),
            },
        )


def origin(record: Record) -> str:
    """A record's place as text: ``topic/partition/offset``."""
    return f"{record.topic}/{record.partition}/{record.offset}"
