"""Whether this host is still a member of its group, as the group's coordinator last said.

Asked by committing an offset: only a member of the living generation may, and it is done on the
connection that the heartbeats take. A thread of its own asks, so that a host that waits for other
answers knows of it all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from core.log import get

log = get(__name__)
ASK_S = 1.0
FRESH_S = 2.5
"""A reader that begins now has so much less of its first lease."""

LAST_ANSWER_S = 2.0


class Membership:
    """Asks each second, and remembers when it asked the last question that was answered with yes.

    Args:
        ask: whether this host was found a member; raises KafkaException where it is none, or nobody answers.
    """

    def __init__(self, ask: Callable[[], bool], now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._asked = float("-inf")
        self._silent = False
        self._done = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)

    @property
    def known_at(self) -> float:
        """Monotonic time at which it still held; the session has been renewed at most a heartbeat before."""
        return self._asked

    @property
    def fresh(self) -> bool:
        """Whether it held just now, so that a reader may begin."""
        return self._now() - self._asked < FRESH_S

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def ask_now(self) -> None:
        """Ask without waiting for the second to pass."""
        self._wake.set()

    def lost(self) -> None:
        """It is known not to hold any more."""
        self._asked = float("-inf")

    def stop(self) -> bool:
        """End the questions; whether the last one is answered, and the client may be closed."""
        self._done = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(LAST_ANSWER_S)
        return not self._thread.is_alive()

    def ask(self) -> None:
        """Ask once."""
        asked = self._now()
        try:
            if not self._ask():
                return
        except KafkaException as error:
            if error.args[0].code() != KafkaError.REBALANCE_IN_PROGRESS:  # said to members only
                if not self._silent:
                    log.warning("the group does not say that this host belongs to it", error=str(error))
                self._silent = True
                return
        self._silent = False
        self._asked = asked

    def _run(self) -> None:
        while not self._done:
            self.ask()
            self._wake.wait(ASK_S)
            self._wake.clear()
