"""Every error Sightline raises on purpose, as one tree.

SightlineError
├── TransientError          retry: the same call may succeed later
│   ├── BrokerUnavailable       Kafka does not answer, or refused for now
│   ├── ModelUnavailable        no model server answers, or all are shedding load
│   ├── CircuitOpen             the circuit breaker refuses calls until its time-out
│   └── StoreUnavailable        ClickHouse, LanceDB, control database or media store
├── PoisonError             dead-letter: this one message can never succeed
│   ├── BadMessage              bytes that no contract of this topic reads
│   └── BadImage                a frame or picture that cannot be decoded
├── FatalError              stop: going on would lose or falsify something
│   ├── ConfigError             settings that cannot work
│   ├── GapError                an offset was skipped in a log that must be contiguous
│   ├── SnapshotError           a snapshot of a version that cannot be read
│   ├── ModelError              a model that fails on every input, or a broken artefact
│   └── SetupError              something the machine lacks; says the command that mends it
└── ClientError             client error: whoever asked must ask differently
    ├── InvalidInput            names the field that is wrong
    ├── UnsupportedMedia        a video or image that no decoder reads
    ├── Forbidden               an address, scope or file that is not allowed
    ├── NotFound                no such stream, task, event or file
    ├── Conflict                the resource is not in a state for this
    └── LimitExceeded           too large, too many, too long

Each leaf's branch says what is done with it: see `Handling` and `handling_of`.
"""

from __future__ import annotations

from enum import Enum


class Handling(Enum):
    """What a stage or a surface does with an error of a branch."""

    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    STOP = "stop"
    CLIENT_ERROR = "client_error"


class SightlineError(Exception):
    """Base of all errors raised on purpose."""

    handling: Handling = Handling.STOP


class TransientError(SightlineError):
    """The same call may succeed later."""

    handling = Handling.RETRY


class BrokerUnavailable(TransientError):
    """Kafka does not answer, or refused for now."""


class ModelUnavailable(TransientError):
    """No model server answers, or all are shedding load."""


class CircuitOpen(ModelUnavailable):
    """The circuit breaker refuses calls until its recovery time-out has passed."""


class StoreUnavailable(TransientError):
    """A store (ClickHouse, LanceDB, control database, media) does not answer."""


class PoisonError(SightlineError):
    """This one message can never succeed; the next one may."""

    handling = Handling.DEAD_LETTER


class BadMessage(PoisonError):
    """Bytes that no contract of their topic reads."""


class BadImage(PoisonError):
    """A frame or picture that cannot be decoded."""


class FatalError(SightlineError):
    """Going on would lose or falsify something."""

    handling = Handling.STOP


class ConfigError(FatalError):
    """Settings that cannot work."""


class GapError(FatalError):
    """An offset was skipped in a log that must be contiguous."""


class SnapshotError(FatalError):
    """A snapshot of a version that cannot be read."""


class ModelError(FatalError):
    """A model that fails on every input, or an artefact that is broken."""


class SetupError(FatalError):
    """Something the machine lacks; the message says the command that mends it."""


class ClientError(SightlineError):
    """Whoever asked must ask differently."""

    handling = Handling.CLIENT_ERROR


class InvalidInput(ClientError):
    """A field is missing or wrong.

    Args:
        message: what is wrong and what would be right.
        field: dotted path of the field, empty when the whole input is meant.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnsupportedMedia(ClientError):
    """A video or image that no decoder reads."""


class Forbidden(ClientError):
    """An address, scope or file that is not allowed."""


class NotFound(ClientError):
    """No such stream, task, event or file."""


class Conflict(ClientError):
    """The resource is not in a state for this."""


class LimitExceeded(ClientError):
    """Too large, too many or too long."""


def handling_of(error: BaseException) -> Handling:
    """What to do with `error`; an error outside the tree stops the line."""
    return error.handling if isinstance(error, SightlineError) else Handling.STOP
