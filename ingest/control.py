"""What the host tells a reader, a word a line.

``alive`` and a monotonic time (the machine's, so both have the same): then the host was a member of its
group. A reader's lease lasts from there, however late it hears of it, and is over before the group
gives the stream to another host; then the reader ends without sending what it has (`ingest.lapse`).
``lost`` ends the lease at once. ``stop`` ends the run, ``suspend`` leaves it to be continued. The end
of the input means that the host is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Literal

Order = Literal["go", "stop", "suspend"]
LEASE_S = 6.0
ALIVE = "alive"
LOST = "lost"


class Control:
    """Orders as they stand, for all threads of a reader."""

    def __init__(self, now: Callable[[], float], lease_s: float = LEASE_S, *, member_at: float | None = None) -> None:
        self._now = now
        self._lease_s = lease_s
        self._renewed = now() if member_at is None else member_at
        self._order: Order = "go"
        self._told = threading.Event()
        self.beat = 0

    @property
    def order(self) -> Order:
        """What is to be done; a lapsed lease is an order to suspend."""
        if self._order == "go" and self.lapsed:
            self.tell("suspend")
        return self._order

    @property
    def lapsed(self) -> bool:
        """Whether another host may begin the stream, whatever this reader was told."""
        return self._now() - self._renewed > self._lease_s

    def tell(self, order: Order) -> None:
        """Take an order; a stop is not taken back."""
        if self._order != "stop":
            self._order = order
        self._told.set()

    def hear(self, lines: Iterable[str]) -> None:
        """Follow the host's words to their end."""
        for line in lines:
            match line.split():
                case [word, at] if word == ALIVE:
                    self._renewed = max(self._renewed, min(float(at), self._now()))
                case [word] if word == LOST:
                    self._renewed = float("-inf")
                    self.tell("suspend")
                    return
                case ["stop"]:
                    self.tell("stop")
                case ["suspend"]:
                    self.tell("suspend")
        self.tell("suspend")

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass, or less when an order comes; whether to go on."""
        self.beat += 1
        if self.order == "go":
            self._told.wait(seconds)
        return self.order == "go"
