"""A stage that puts too much aside stands still until it is told to go on, whatever restarts it meanwhile.

Without this the supervisor would start it again, its count would begin anew, and record after
record would leave the line a hundred at a time.
"""

from __future__ import annotations

import asyncio
import contextlib

from core import log
from core.clock import Clock, now_ms, wall_clock
from core.errors import TooManyDeadLetters, TransientError
from core.metrics import gauge
from streams_proc.attempt import Backoff, attempt
from streams_proc.marks import Mark, Marks, halt_key
from streams_proc.serve import first_cause, remedy_of

LOOK_S = 5.0
SAY_EVERY = 12
_log = log.get(__name__)


class Halt:
    """One stage's mark.

    Args:
        look_s: seconds between two looks whether the mark is gone.
    """

    def __init__(
        self, marks: Marks, stage: str, backoff: Backoff, *, clock: Clock = wall_clock, look_s: float = LOOK_S
    ) -> None:
        self._marks = marks
        self._stage = stage
        self._backoff = backoff
        self._clock = clock
        self._look_s = look_s

    async def passed(self, stopping: asyncio.Event) -> None:
        """Return once the stage may work, or is `stopping`."""
        looks = 0
        while not stopping.is_set() and (mark := await self._standing()) is not None:
            gauge("sightline_stage_halted").labels(self._stage).set(1)
            if looks % SAY_EVERY == 0:
                remedy = remedy_of(self._stage, TooManyDeadLetters())
                _log.error("stands still", stage=self._stage, reason=mark.reason, since_ms=mark.ts_ms, remedy=remedy)
            looks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._look_s)
        gauge("sightline_stage_halted").labels(self._stage).set(0)
        if looks and not stopping.is_set():
            _log.info("goes on", stage=self._stage)

    async def after(self, error: BaseException) -> None:
        """Leave the mark when that is what `error` asks for."""
        cause = first_cause(error)
        if not isinstance(cause, TooManyDeadLetters):
            return
        mark = Mark("halted", now_ms(self._clock), str(cause))
        try:
            await asyncio.to_thread(self._marks.write, {halt_key(self._stage): mark})
        except TransientError as failed:  # it will stop again at the same place, and leave the mark then
            _log.warning("cannot say that it stands still", stage=self._stage, reason=str(failed))

    async def _standing(self) -> Mark | None:
        found = await attempt(lambda: asyncio.to_thread(self._marks.all), self._stage, backoff=self._backoff)
        return None if found is None else found.get(halt_key(self._stage))
