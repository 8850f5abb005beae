"""A run's hold on its source: opened, made again when it is lost, and left outside of all hours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal, Protocol

from core.addresses import NoAddress
from core.errors import ClientError, NotFound, UnsupportedMedia
from core.local_files import is_local
from core.log import get
from core.messages import StreamSpec, VideoInfo
from ingest.hours import Hours
from ingest.patience import STEADY_S, most_attempts, pause_s
from ingest.reading import Source

log = get(__name__)
State = Literal["pending", "in_progress", "restart", "paused"]
"""Of a run that has not ended."""

FOR_NOW = (UnsupportedMedia, NotFound, NoAddress)
"""What may be otherwise at the next attempt; any other refusal stays one."""

SLICE_S = 1.0


class Telling(Protocol):
    """Says how the run stands."""

    def say(
        self,
        state: State,
        *,
        attempt: int = 0,
        error: str | None = None,
        paused: tuple[int, ...] = (),
        video: VideoInfo | None = None,
    ) -> None:
        """Say it, and keep saying it. Raises BrokerUnavailable."""


class Link:
    """Gives a run its source, one connection after the other; used by the thread that reads.

    Args:
        connect: opens the source, behind the connection it is given, which was lost. Raises ClientError.
        wait: lets seconds pass; False when an order has come.
        problem: is told of each connection that was lost.
        attempt: restarts in a row before it, of readers that have crashed.

    Attributes:
        failure: why it was given up; None otherwise.
    """

    def __init__(
        self,
        spec: StreamSpec,
        connect: Callable[[Source | None], Source],
        *,
        wait: Callable[[float], bool],
        telling: Telling,
        problem: Callable[[str], None],
        hours: Hours | None = None,
        attempt: int = 0,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.failure: str | None = None
        self._spec = spec
        self._local = is_local(spec.source.url)
        self._most = most_attempts(spec)
        self._delay_s = 0.0 if spec.autorestart is None else spec.autorestart.delay_s
        self._connect = connect
        self._wait = wait
        self._telling = telling
        self._problem = problem
        self._hours = hours or Hours(())
        self._attempt = attempt
        self._now = now
        self._chance = chance
        self._since: float | None = None
        self._video: VideoInfo | None = None
        self._paused: tuple[int, ...] = ()

    def first(self) -> Source | None:
        """The source; None when an order came before it was there. Raises ClientError when it is given up."""
        if self.shut and not self._opened_again():
            return None
        return self._connected(None, None)

    @property
    def shut(self) -> bool:
        """Whether no analytic works at this hour."""
        return self._hours.shut

    def came(self) -> None:
        """A frame has come; some analytics may have begun, or ended, their hours."""
        if self._hours.paused != self._paused and not self.shut:
            self._say_in_progress()

    def rest(self) -> bool:
        """Outside of all hours: a file waits where it is, a camera is left."""
        if not self._local:
            return False
        if self._opened_again():
            self._say_in_progress()
        return True

    def again(self, source: Source) -> Source | None:
        """Another connection in the place of one that has ended; None where that is the end, or an order came."""
        if self._local or not self._wait(0.0):
            return None
        if self.shut:
            _leave(source)
            return self._reconnected(source, None) if self._opened_again() else None
        if source.lost is None:
            return self._reconnected(None, None) if self._spec.source.loop else None
        if not self._most:
            return None
        self._problem(source.lost)
        return self._reconnected(source, source.lost)

    def _reconnected(self, before: Source | None, lost: str | None) -> Source | None:
        try:
            return self._connected(before, lost)
        except ClientError as error:
            self.failure = str(error)
            return None

    def _connected(self, before: Source | None, lost: str | None) -> Source | None:
        """A connection that has given a frame; each that was lost, or could not be made, costs an attempt.

        Raises ClientError.
        """
        steady = self._since is None or self._now() - self._since >= STEADY_S
        while True:
            if lost is not None and not self._restarted(lost, steady=steady):
                return None
            try:
                source = self._connect(before)
            except FOR_NOW as error:
                if self._attempt >= self._most or not self._wait(0.0):
                    raise
                lost = str(error)
                continue
            self._attempt = 0
            self._since = self._now()
            self._video = source.probe.info(source.decoder)
            self._say_in_progress()
            return source

    def _restarted(self, lost: str, *, steady: bool) -> bool:
        """Count and tell of one more attempt, and let the time before it pass; False when an order came."""
        self._attempt += 1
        log.warning("a camera was lost", stream=str(self._spec.stream_id), attempt=self._attempt, reason=lost)
        self._telling.say("restart", attempt=self._attempt, error=lost)
        self._telling.say("pending", attempt=self._attempt)
        until = self._now() + pause_s(self._delay_s, self._attempt, self._chance(), steady=steady)
        while (left := until - self._now()) > 0:
            if not self._wait(min(left, SLICE_S)):
                return False
        return True

    def _opened_again(self) -> bool:
        """Say that all is paused, and wait until it is not; False when an order came."""
        self._telling.say("paused", paused=self._hours.paused, video=self._video)
        while self.shut:
            if not self._wait(SLICE_S):
                return False
        return True

    def _say_in_progress(self) -> None:
        self._paused = self._hours.paused
        self._telling.say("in_progress", paused=self._paused, video=self._video)


def _leave(source: Source) -> None:
    """Close a connection that was not read to its end."""
    close = getattr(source, "close", None)
    if close is not None:
        close()
