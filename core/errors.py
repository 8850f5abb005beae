"""Every error Sightline raises on purpose, as one tree, and what is done with each, as one table.

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
│   ├── SetupError              something the machine lacks; says the command that mends it
│   └── TooManyDeadLetters      so many records fail that something else must be wrong
├── DroppedFrame            drop: one read frame is given up, and counted by its reason
│   ├── Backlogged              a live frame for which neither memory nor topic has room
│   ├── Oversized               a frame that is too large for a record
│   └── RunStopped              a frame that waited for room when its run was stopped
└── ClientError             client error: whoever asked must ask differently
    ├── InvalidInput            names the field that is wrong
    ├── UnsupportedMedia        a video or image that no decoder reads
    ├── Forbidden               an address, scope or file that is not allowed
    ├── NotFound                no such stream, task, event or file
    ├── Conflict                the resource is not in a state for this
    └── LimitExceeded           too large, too many, too long

`POLICIES`, at the end, is the only place that says what follows from an error: see `policy_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Handling(Enum):
    """What a stage or a surface does with an error."""

    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    STOP = "stop"
    DROP = "drop"
    CLIENT_ERROR = "client_error"


class SightlineError(Exception):
    """Base of all errors raised on purpose."""


class TransientError(SightlineError):
    """The same call may succeed later."""


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


class BadMessage(PoisonError):
    """Bytes that no contract of their topic reads."""


class BadImage(PoisonError):
    """A frame or picture that cannot be decoded."""


class FatalError(SightlineError):
    """Going on would lose or falsify something."""


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


class TooManyDeadLetters(FatalError):
    """So many records can never succeed that something other than the records must be wrong."""


class DroppedFrame(SightlineError):
    """One read frame is given up; the type says why, and is counted."""


class Backlogged(DroppedFrame):
    """A live frame for which neither memory nor topic has room."""


class Oversized(DroppedFrame):
    """A frame that is too large for a record."""


class RunStopped(DroppedFrame):
    """A frame that waited for room when its run was stopped."""


class ClientError(SightlineError):
    """Whoever asked must ask differently."""


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


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done with an error.

    Attributes:
        first_s, longest_s: seconds before the second attempt, doubled at each further one up to the
            longest, each shortened by up to a half at random; of RETRY only.
        reason: under which a frame is counted; of DROP only.
        remedy: how to go on, with ``{stage}`` for the stage's name; of STOP only.
    """

    handling: Handling
    first_s: float = 0.0
    longest_s: float = 0.0
    reason: str = ""
    remedy: str = ""


_REPLAY = (
    "sightline stage replay {stage}  # begins again with the first record that is still kept; where no supervisor runs "
    "it: stop it, then python -m streams_proc {stage} --replay"
)
_RETRY = Policy(Handling.RETRY, first_s=0.1, longest_s=2.0)
_DEAD_LETTER = Policy(Handling.DEAD_LETTER)
_STOP = Policy(Handling.STOP)
_CLIENT = Policy(Handling.CLIENT_ERROR)

POLICIES: Mapping[type[SightlineError], Policy] = MappingProxyType(
    {
        TransientError: _RETRY,
        BrokerUnavailable: _RETRY,
        ModelUnavailable: _RETRY,
        CircuitOpen: Policy(Handling.RETRY, first_s=1.0, longest_s=2.0),  # it cannot close sooner for being asked
        StoreUnavailable: _RETRY,
        PoisonError: _DEAD_LETTER,
        BadMessage: _DEAD_LETTER,
        BadImage: _DEAD_LETTER,
        FatalError: _STOP,
        ConfigError: Policy(Handling.STOP, remedy="correct the setting and start again"),
        GapError: Policy(Handling.STOP, remedy=_REPLAY),
        SnapshotError: Policy(Handling.STOP, remedy=_REPLAY),
        ModelError: Policy(Handling.STOP, remedy="give the model a version that works; the frames wait for it"),
        SetupError: _STOP,
        TooManyDeadLetters: Policy(
            Handling.STOP, remedy="sightline dlq list --stage {stage}; mend it, then: sightline dlq resume {stage}"
        ),
        DroppedFrame: Policy(Handling.DROP, reason="dropped"),
        Backlogged: Policy(Handling.DROP, reason="backlog"),
        Oversized: Policy(Handling.DROP, reason="too_large"),
        RunStopped: Policy(Handling.DROP, reason="stopped"),
        ClientError: _CLIENT,
        InvalidInput: _CLIENT,
        UnsupportedMedia: _CLIENT,
        Forbidden: _CLIENT,
        NotFound: _CLIENT,
        Conflict: _CLIENT,
        LimitExceeded: _CLIENT,
    }
)
"""Every error of the tree; a room's own leaf has the policy of what it is derived from."""


def policy_of(error: BaseException | type[BaseException]) -> Policy:
    """What to do with `error`, or with errors of that type; one outside the tree stops the line."""
    kind = error if isinstance(error, type) else type(error)
    return next((POLICIES[base] for base in kind.__mro__ if base in POLICIES), _STOP)


def handling_of(error: BaseException) -> Handling:
    """The kind of what is done with `error`."""
    return policy_of(error).handling
