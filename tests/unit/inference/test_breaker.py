from __future__ import annotations

import pytest

from core.settings import Breaker
from inference.breaker import CircuitBreaker, State


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    parameters = Breaker(failure_threshold=3, recovery_timeout=30, half_open_max_calls=2, success_threshold=2)
    return CircuitBreaker(parameters, clock)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.failure()


def test_opens_after_failures_in_a_row_only(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.success()
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    assert not breaker.admit()


def test_half_open_lets_a_few_calls_through_at_once(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 29.9
    assert not breaker.admit()
    clock.now += 0.1
    assert breaker.admit()
    assert breaker.admit()
    assert not breaker.admit()
    assert breaker.state is State.HALF_OPEN


def test_closes_after_enough_successes(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    for expected in (State.HALF_OPEN, State.CLOSED):
        assert breaker.admit()
        breaker.success()
        assert breaker.state is expected
    fail(breaker, 2)
    assert breaker.state is State.CLOSED


def test_one_failure_while_half_open_opens_it_for_the_whole_time_out(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    fail(breaker, 1)
    clock.now += 29
    assert not breaker.admit()
    clock.now += 1
    assert breaker.admit()


def test_a_call_that_says_nothing_gives_its_place_back(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    for _ in range(5):
        assert breaker.admit()
        breaker.void()
    assert breaker.state is State.HALF_OPEN


def test_tells_every_change_once(clock: Clock) -> None:
    seen: list[State] = []
    breaker = CircuitBreaker(Breaker(failure_threshold=1, success_threshold=1), clock, seen.append)
    breaker.void()
    fail(breaker, 1)
    breaker.failure()
    clock.now += 30
    assert breaker.admit()
    breaker.success()
    assert seen == [State.OPEN, State.HALF_OPEN, State.CLOSED]
