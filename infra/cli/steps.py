"""Showing that a start or a stop moves: a line that counts on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.status import Status
from rich.text import Text

EVERY_S = 10.0


class Steps:
    """What `infra.stack.lifecycle` tells, on a screen."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._status: Status | None = None
        self._said = 0.0

    def waiting(self, what: str, seconds: float) -> None:
        """Still waiting for `what`."""
        if self._screen.is_terminal:
            line = f"{what} ... {seconds:.0f} s"
            if self._status is None:
                self._status = self._screen.status(Text(line))
                self._status.start()
            self._status.update(Text(line))
        elif seconds < self._said or seconds - self._said >= EVERY_S:
            self._said = seconds
            if seconds >= EVERY_S:
                self._screen.print(Text(f"  {what} ... {seconds:.0f} s"), soft_wrap=True)

    def done(self, what: str, seconds: float) -> None:
        """`what` has taken so long."""
        self.close()
        self._said = 0.0
        self._screen.print(Text(f"  {what}: {seconds:.1f} s"), soft_wrap=True)

    def close(self) -> None:
        """Take the counting line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
