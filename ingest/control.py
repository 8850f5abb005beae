"""What the host tells a reader, a word a line.

``alive`` renews the reader's lease: a host that lost its membership of the group falls silent, and
the reader ends itself before another host begins the same stream. ``stop`` ends the run, ``suspend``
leaves it to be continued. The end of the input means that the host is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Literal

Order = Literal["go", "stop", "suspend"]
LEASE_S = 6.0
ALIVE = "alive"


class Control:
    """Orders as they stand, for all threads of a reader."""

    def __init__(self, now: Callable[[], float], lease_s: float = LEASE_S) -> None:
        self._now = now
        self._lease_s = lease_s
        self._renewed = now()
        self._order: Order = "go"
        self._told = threading.Event()
        self.beat = 0

    @property
    def order(self) -> Order:
        """What is to be done; a lapsed lease is an order to suspend."""
        if self._order == "go" and self._now() - self._renewed > self._lease_s:
            self.tell("suspend")
        return self._order

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
                case "stop":
                    self.tell("stop")
                case "suspend":
                    self.tell("suspend")
        self.tell("suspend")

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass, or less when an order comes; whether to go on."""
        self.beat += 1
        if self.order == "go":
            self._told.wait(seconds)
        return self.order == "go"
