"""The states of a run and of the stream that it belongs to, in one machine.

| from | to |
|---|---|
| creating, resuming, redefining a stream | ``pending``, of a new run |
| ``pending``, ``in_progress``, ``paused``, ``unknown`` | all but ``pending`` |
| ``restart``, ``handler_lost`` | all |
| ``done``, ``failure``, ``stop`` | nothing more in this run |

So a run ends once, and nothing that is read goes back to waiting but through ``restart`` or ``handler_lost``.
Being in the same state again is no transition.

Each surface has names of its own: the agent's are these, with a number each; the engine's are in `ENGINE`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

State: TypeAlias = Literal[
    "pending", "in_progress", "done", "restart", "failure", "stop", "handler_lost", "unknown", "paused"
]
"""As the agent surface names them; ``unknown`` is a stream of which some analytics are in another state than others."""

EngineState: TypeAlias = Literal[
    "PENDING", "RUNNING", "ENDED", "RESTARTING", "FAILED", "STOPPED", "LOST", "UNKNOWN", "PAUSED"
]
Desired: TypeAlias = Literal["run", "stop"]
Place: TypeAlias = int | None
"""Position of an analytic in its stream; None: the whole of a stream that has none."""


def _of(*states: State) -> frozenset[State]:
    return frozenset(states)


STATES: Final[tuple[State, ...]] = get_args(State)
NUMBERS: Final[Mapping[State, int]] = MappingProxyType({state: number for number, state in enumerate(STATES)})
"""The agent surface's number of each state, 0 to 8."""

ENGINE: Final[Mapping[State, EngineState]] = MappingProxyType(
    {
        "pending": "PENDING",
        "in_progress": "RUNNING",
        "done": "ENDED",
        "restart": "RESTARTING",
        "failure": "FAILED",
        "stop": "STOPPED",
        "handler_lost": "LOST",
        "unknown": "UNKNOWN",
        "paused": "PAUSED",
    }
)
"""The engine surface's name of each state."""

ENDED: Final = _of("done", "failure", "stop")
"""Nothing more is read in this run."""

_FROM_ANYWHERE: Final = _of("in_progress", "paused", "unknown", "restart", "handler_lost", *ENDED)
LEGAL: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        "pending": _FROM_ANYWHERE,
        "in_progress": _FROM_ANYWHERE,
        "paused": _FROM_ANYWHERE,
        "unknown": _FROM_ANYWHERE,
        "restart": _of("pending", *_FROM_ANYWHERE),
        "handler_lost": _of("pending", *_FROM_ANYWHERE),
        "done": _of(),
        "failure": _of(),
        "stop": _of(),
    }
)
"""What may follow each state within one run."""


def legal(before: State, after: State) -> bool:
    """Whether a run that is `before` may be said to be `after`; being so already is nothing new, and allowed."""
    return before == after or after in LEGAL[before]


def can_stop(state: State) -> bool:
    """Whether there is anything to stop."""
    return state not in ENDED


def can_resume(state: State) -> bool:
    """Whether it stands still, so that a new run can begin."""
    return state in ENDED


def settled(state: State, analytics: int, paused: Collection[int]) -> State:
    """A run's state: one that is read while every one of its `analytics` is paused is itself ``paused``."""
    every = analytics > 0 and all(place in paused for place in range(analytics))
    return "paused" if state == "in_progress" and every else state


def shown(state: State, paused: Collection[int], desired: Desired) -> State:
    """A stream's state, of its run's settled one: ``stop`` once it is asked for, ``unknown`` if analytics differ."""
    if desired == "stop":
        return "stop"
    return "unknown" if state == "in_progress" and paused else state


def items(state: State, analytics: int, paused: Collection[int], desired: Desired) -> Mapping[Place, State]:
    """The state of each of a stream's `analytics`, by its position; of the whole stream under None if it has none."""
    whole: State = "stop" if desired == "stop" else state
    if not analytics:
        return {None: whole}
    return {place: "paused" if whole == "in_progress" and place in paused else whole for place in range(analytics)}
