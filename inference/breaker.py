"""Circuit breaker: leave a server alone that keeps failing, and try it again later."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from core.settings import Breaker


class State(IntEnum):
    """As the metric `sightline_model_breaker_state` counts them."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """The state of one address.

    `failure_threshold` failures in a row open it; after `recovery_timeout` seconds up to
    `half_open_max_calls` calls are let through at once; `success_threshold` successes in a row
    close it, one failure opens it again. Every call that `admit` let through must be answered
    by exactly one of `success`, `failure` and `void`.

    Args:
        clock: monotonic seconds.
        changed: told of every new state.
    """

    def __init__(
        self, parameters: Breaker, clock: Callable[[], float], changed: Callable[[State], None] = lambda _: None
    ) -> None:
        self._parameters = parameters
        self._clock = clock
        self._changed = changed
        self._state = State.CLOSED
        self._failures = 0
        self._successes = 0
        self._trying = 0
        self._opened_at = 0.0

    @property
    def state(self) -> State:
        """Where it stands now; an open one is half open once its time-out has passed."""
        if self._state is State.OPEN and self._clock() - self._opened_at >= self._parameters.recovery_timeout:
            self._successes = self._trying = 0
            self._enter(State.HALF_OPEN)
        return self._state

    def admit(self) -> bool:
        """Whether a call may be made now."""
        match self.state:
            case State.CLOSED:
                return True
            case State.HALF_OPEN if self._trying < self._parameters.half_open_max_calls:
                self._trying += 1
                return True
            case _:
                return False

    def retry(self) -> None:
        """The server has come back: try it now instead of waiting for the time-out."""
        if self._state is State.OPEN:
            self._opened_at = self._clock() - self._parameters.recovery_timeout

    def success(self) -> None:
        """The call was answered."""
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._trying = max(0, self._trying - 1)
            self._successes += 1
            if self._successes >= self._parameters.success_threshold:
                self._enter(State.CLOSED)

    def failure(self) -> None:
        """The server did not answer, or not in time."""
        self._failures += 1
        if self._state is State.HALF_OPEN or self._failures >= self._parameters.failure_threshold:
            self._opened_at = self._clock()
            self._failures = 0
            self._enter(State.OPEN)

    def void(self) -> None:
        """The call says nothing about the server's health: it was refused, or given up."""
        if self._state is State.HALF_OPEN:
            self._trying = max(0, self._trying - 1)

    def _enter(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._changed(state)
