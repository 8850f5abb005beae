"""Why a WebSocket is closed, in a code and a reason that its other side can read.

4000 and an HTTP status for what the asker can mend; 1013 (try again later) for what may pass; 1011 for the rest.
"""

from __future__ import annotations

from typing import Final

from core.errors import ClientError, InvalidInput, SetupError, TransientError
from core.log import mask
from query_api.refusals import status_of

TOO_SLOW: Final = 4008
EXPIRED: Final = 4416
LATER: Final = 1013
FAILED: Final = 1011
MOST_REASON: Final = 123
"""Bytes that the protocol has room for."""


class Closing(Exception):
    """The socket is to be closed.

    Args:
        code: of the close frame.
        reason: a sentence for people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = short(reason)


def closing_of(error: BaseException) -> Closing:
    """How a socket is closed because of `error`."""
    if isinstance(error, Closing):
        return error
    said = mask(str(error))
    if isinstance(error, InvalidInput) and error.field:
        said = f"{error.field}: {said}"
    if isinstance(error, ClientError) or status_of(error) < 500:
        return Closing(4000 + status_of(error), said)
    if isinstance(error, TransientError | SetupError):
        return Closing(LATER, said)
    return Closing(FAILED, "something failed inside of the service")


def short(text: str) -> str:
    """`text`, cut where the protocol has no more room."""
    data = text.encode()
    return text if len(data) <= MOST_REASON else data[: MOST_REASON - 3].decode(errors="ignore") + "..."
