"""The same call again until it succeeds, for what may pass."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from core import log
from core.errors import Handling, Policy, SightlineError, policy_of
from core.metrics import counter

T = TypeVar("T")
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts as the table of `core.errors` says: doubling, up to a limit, with jitter.

    Attributes:
        sleep: coroutine that waits so many seconds.
        jitter: a number of 0..1.
    """

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random

    async def wait(self, failures: int, policy: Policy) -> None:
        """Wait after the `failures`-th failure in a row."""
        longest = min(policy.longest_s, policy.first_s * 2 ** min(failures - 1, 16))
        await self.sleep(longest * (0.5 + self.jitter() / 2))


async def attempt(
    call: Callable[[], Awaitable[T]],
    stage: str,
    wanted: Callable[[], bool] = lambda: True,
    backoff: Backoff = Backoff(),
) -> T | None:
    """The answer of `call`, made again after errors that are to be retried; None once it is not `wanted`."""
    failures = 0
    while wanted():
        try:
            answer = await call()
        except SightlineError as error:
            policy = policy_of(error)
            if policy.handling is not Handling.RETRY:
                raise
            failures += 1
            counter("sightline_stage_retries_total").labels(stage, type(error).__name__).inc()
            if failures == 1 or failures % 20 == 0:
                _log.warning("waiting", stage=stage, failures=failures, reason=str(error), kind=type(error).__name__)
            await backoff.wait(failures, policy)
            continue
        if failures:
            _log.info("going on", stage=stage, failures=failures)
        return answer
    return None
