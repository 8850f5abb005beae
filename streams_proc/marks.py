"""What has become of dead letters, and which stages stand still for their sake, on a compacted topic.

A letter cannot be changed where it lies, so what was done with it is a record of its own:
``letter/<partition>/<offset>`` says that it was put back or dropped, ``halt/<stage>`` that a stage
has stopped and does not go on until the mark is taken away. Both survive every restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from core import kafka as clients
from core import log
from core.errors import BrokerUnavailable, InvalidInput
from core.reading import reading
from core.settings import Kafka
from core.topics import Topics
from streams_proc.letter import LetterId

TIMEOUT_S = 20.0
LETTER = "letter/"
_log = log.get(__name__)


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mark: what was done, when (wall time), and why."""

    what: Literal["replayed", "dropped", "halted"]
    ts_ms: int
    reason: str = ""


_decoder = msgspec.json.Decoder(Mark)


class Marks(Protocol):
    """Where marks are kept. Blocking; every method raises BrokerUnavailable."""

    def all(self) -> Mapping[str, Mark]:
        """Every mark that stands, by its key."""
        ...

    def write(self, marks: Mapping[str, Mark | None]) -> None:
        """Set marks, or take them away; they are safe on return."""
        ...


class KafkaMarks:
    """Marks on the topic `dead-letter-marks`."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._topic = Topics.of(kafka).dead_letter_marks

    def all(self) -> Mapping[str, Mark]:
        """Every mark that stands, by its key."""
        found: dict[str, Mark] = {}
        with reading(self._kafka, "marks") as reader:
            for partition in range(self._kafka.partitions):
                for message in reader.records(self._topic, partition, *reader.bounds(self._topic, partition)):
                    key, value = (message.key() or b"").decode(errors="replace"), message.value()
                    found.pop(key, None)
                    if value is not None:
                        self._take(found, key, value)
        return found

    def write(self, marks: Mapping[str, Mark | None]) -> None:
        """Set marks, or take them away; they are safe on return."""
        failed: list[str] = []
        client = clients.producer(self._kafka, "marks", **{"delivery.timeout.ms": int(TIMEOUT_S * 1000)})
        for key, mark in marks.items():
            value = None if mark is None else msgspec.json.encode(mark)
            client.produce(
                self._topic,
                key=key.encode(),
                value=value,
                on_delivery=lambda e, _: failed.append(str(e)) if e else None,
            )
        if client.flush(TIMEOUT_S + 1) or failed:
            raise BrokerUnavailable(f"{self._topic} does not take marks: {failed[0] if failed else 'no answer'}")

    @staticmethod
    def _take(found: dict[str, Mark], key: str, value: bytes) -> None:
        try:
            if key.startswith(LETTER):
                LetterId.parse(key.removeprefix(LETTER))
            found[key] = _decoder.decode(value)
        except (InvalidInput, msgspec.DecodeError) as error:  # nobody but us writes here; other writing is left alone
            _log.warning("a mark cannot be read", key=key, error=str(error))


def letter_key(letter: LetterId) -> str:
    """Key of the mark of a letter."""
    return f"{LETTER}{letter}"


def halt_key(stage: str) -> str:
    """Key of the mark of a stage that stands still."""
    return f"halt/{stage}"


def halts(marks: Marks) -> Mapping[str, Mark]:
    """Stages that stand still, and why. Raises BrokerUnavailable."""
    prefix = halt_key("")
    return {key.removeprefix(prefix): mark for key, mark in marks.all().items() if key.startswith(prefix)}
