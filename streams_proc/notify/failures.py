"""Why a callback was not made."""

from __future__ import annotations

from core.errors import PoisonError, TransientError


class Unreachable(TransientError):
    """It may be made later.

    Args:
        reason: a word for the metrics.
        after_s: the receiver asks not to be asked before so many seconds have passed.
    """

    def __init__(self, reason: str, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.after_s = after_s


class Refused(PoisonError):
    """Asking again would change nothing.

    Args:
        reason: a word for the metrics.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Undelivered(PoisonError):
    """Callbacks of a record that were given up."""
