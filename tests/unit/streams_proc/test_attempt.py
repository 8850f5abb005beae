from __future__ import annotations

import asyncio

import pytest

from core.errors import CircuitOpen, FatalError, StoreUnavailable, policy_of
from streams_proc.attempt import Backoff, attempt


def test_what_fails_for_now_is_made_again_with_growing_waits() -> None:
    waits: list[float] = []
    failures = [StoreUnavailable("no")] * 45

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def call() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    assert asyncio.run(attempt(call, "s", backoff=Backoff(sleep, lambda: 1.0))) == "answer"
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert len(waits) == 45
    assert waits[-1] == policy_of(StoreUnavailable).longest_s == 2.0


def test_jitter_never_more_than_halves() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    asyncio.run(Backoff(sleep, lambda: 0.0).wait(1, policy_of(StoreUnavailable)))
    asyncio.run(Backoff(sleep, lambda: 0.0).wait(1, policy_of(CircuitOpen)))
    assert waits == [0.05, 0.5]


def test_it_ends_when_nobody_wants_the_answer_any_more() -> None:
    tried = []

    async def call() -> None:
        tried.append(1)
        raise StoreUnavailable("no")

    async def no_wait(_: float) -> None:
        return None

    assert asyncio.run(attempt(call, "s", lambda: len(tried) < 3, Backoff(no_wait))) is None
    assert len(tried) == 3


def test_any_other_error_passes() -> None:
    async def call() -> None:
        raise FatalError("stop")

    with pytest.raises(FatalError):
        asyncio.run(attempt(call, "s"))
