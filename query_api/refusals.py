"""Refusals that only HTTP knows, as leaves of the error tree, and the status of every error.

Each names its status; the error mapper of a surface gives it that surface's shape.
"""

from __future__ import annotations

from core.errors import (
    BadImage,
    ClientError,
    Conflict,
    Forbidden,
    InvalidInput,
    LimitExceeded,
    NotFound,
    SetupError,
    TransientError,
    UnsupportedMedia,
)


class TooLarge(LimitExceeded):
    """A body that is larger than its limit."""


class TooMany(LimitExceeded):
    """More at once than the settings allow; later it may be less."""


class NoSpace(LimitExceeded):
    """The disk has no room for it."""


class WrongContentType(ClientError):
    """A body of a type that the operation does not read."""


class NotAcceptable(ClientError):
    """No type that the client accepts can be given."""


class WrongAccept(ClientError):
    """No type that the client accepts can be given, on a surface whose contract calls that 415."""


class Unprocessable(InvalidInput):
    """Well formed, and yet nothing here can do it."""


class Unauthenticated(ClientError):
    """No token, or none that is valid.

    Args:
        reason: in one word, for the metrics.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAllowed(Forbidden):
    """Whoever asks may not. `reason` as for `Unauthenticated`."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Misdirected(ClientError):
    """Asked by a name that is not this service's."""

    reason = "host"


class RangeUnsatisfiable(ClientError):
    """The range lies outside of the file.

    Args:
        size: bytes that there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the range lies outside of the {size} bytes there are")
        self.size = size


class UnreadableVideo(UnsupportedMedia):
    """A video that could not be opened or decoded."""


class Busy(TransientError):
    """All workers of the service are occupied, or an answer took too long."""


class MethodNotAllowed(ClientError):
    """The resource is there, but not for this method."""


class Gone(ClientError):
    """It was there, and will not come back by itself."""


class UpgradeRequired(ClientError):
    """Only a WebSocket is spoken here."""


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (TooLarge, 413),
    (TooMany, 429),
    (NoSpace, 507),
    (WrongContentType, 415),
    (WrongAccept, 415),
    (NotAcceptable, 406),
    (Unprocessable, 422),
    (Unauthenticated, 401),
    (Misdirected, 421),
    (RangeUnsatisfiable, 416),
    (MethodNotAllowed, 405),
    (Gone, 410),
    (UpgradeRequired, 426),
    (InvalidInput, 400),
    (UnsupportedMedia, 400),
    (BadImage, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (LimitExceeded, 413),
    (ClientError, 400),
    (TransientError, 503),
    (SetupError, 503),
)


def status_of(error: BaseException) -> int:
    """HTTP status of `error`; 500 for what is nobody's fault but ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
