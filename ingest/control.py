"""What the host tells a reader, a word a line.

``stop`` ends the run, ``suspend`` leaves it to be continued; the end of the input means that the host
is gone. ``analytics``, with a JSON array behind it, says what the run is to do from now on. ``alive``
renews the reader's lease. When it lapses, because the host is frozen, or ends with ``leave``, because
the host has lost its place in the group, another may read the stream: the reader ends where it is,
without sending another byte.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from core.messages import Analytic

Order = Literal["go", "stop", "suspend"]
LEASE_S = 6.0
ALIVE = "alive"
LEAVE = "leave"
ANALYTICS = "analytics "
_analytics = msgspec.json.Decoder(tuple[Analytic, ...])


class Control:
    """Orders as they stand, for all threads of a reader."""

    def __init__(self, now: Callable[[], float], lease_s: float = LEASE_S) -> None:
        self._now = now
        self._lease_s = lease_s
        self._renewed = now()
        self._order: Order = "go"
        self._told = threading.Event()
        self._left = threading.Event()
        self._changes: deque[tuple[Analytic, ...]] = deque(maxlen=1)
        self.beat = 0
        self.analytics: tuple[Analytic, ...] | None = None
        """The newest that were told of; None while they are those that the run began with."""

    @property
    def order(self) -> Order:
        """What is to be done."""
        return self._order

    @property
    def leased(self) -> bool:
        """Whether the stream is still this reader's."""
        return self._rest() > 0 and not self._left.is_set()

    def changed(self) -> tuple[Analytic, ...] | None:
        """The analytics that the run is to have from now on; None when nothing has changed since this was asked."""
        return self._changes.pop() if self._changes else None

    def until_left(self) -> None:
        """Wait for the end of the lease."""
        while self.leased:
            self._left.wait(self._rest())

    def _rest(self) -> float:
        return self._renewed + self._lease_s - self._now()

    def tell(self, order: Order) -> None:
        """Take an order; a stop is not taken back."""
        if self._order != "stop":
            self._order = order
        self._told.set()

    def hear(self, lines: Iterable[str]) -> None:
        """Follow the host's words to their end."""
        for line in lines:
            match line.strip():
                case "alive":
                    self._renewed = self._now()
                case "leave":
                    self._left.set()
                case "stop":
                    self.tell("stop")
                case "suspend":
                    self.tell("suspend")
                case word if word.startswith(ANALYTICS):
                    self.analytics = _analytics.decode(word[len(ANALYTICS) :])
                    self._changes.append(self.analytics)
        self.tell("suspend")

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass, or less when an order comes; whether to go on."""
        self.beat += 1
        if self.order == "go":
            self._told.wait(seconds)
        return self.order == "go"
