"""One error mapper for each surface: an exception in, a status and that surface's body out."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from core.errors import ClientError, ConfigError, InvalidInput, NotFound, SetupError, TransientError
from core.log import mask
from query_api.refusals import RangeUnsatisfiable, Unprocessable, UnreadableVideo, WrongAccept, status_of
from query_api.routes.route import Surface
from query_api.types.errors import AgentError, EngineError, Problem

PROBLEM = "application/problem+json"
TITLES = {
    400: "Bad input data",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Object not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    421: "Misdirected request",
    422: "Unprocessable content",
    426: "Upgrade required",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
    507: "Insufficient storage",
}
AGENT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (WrongAccept, 12024),
    (UnreadableVideo, 43004),
    (Unprocessable, 44014),
    (NotFound, 44001),
)
CODES_EXPLAINED = {
    1: "Something failed inside of the service; the request id finds it in the logs.",
    12024: "No content type that the client accepts can be given.",
    38001: "A part that the service needs does not answer.",
    43004: "The video could not be opened or decoded.",
    44001: "There is no stream or task with this id.",
    44002: "A number that is no stream status; the detail lists those that are.",
    44014: "Nothing here can do what was asked, such as an analytic that is not installed.",
    **{status: f"{title}, as in HTTP; the detail says what and where." for status, title in TITLES.items()},
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An error as it is sent."""

    status: int
    body: bytes
    media: str
    headers: tuple[tuple[str, str], ...] = ()


class HealthFailed(TransientError):
    """A part that a health check looked at does not answer."""


def render(error: BaseException, surface: Surface, *, request_id: str, base: str) -> Rendered:
    """`error` in the shape of `surface`; what is not the client's doing is not described in detail."""
    status = status_of(error)
    detail = _detail(error, named=surface is not Surface.QUERY)
    headers = _headers(error, status)
    match surface:
        case Surface.AGENT:
            code = _agent_code(error, status)
            link = f"{base}/docs/spec#error-{code}"
            body = msgspec.json.encode(AgentError(code, TITLES[status], detail, link))
            return Rendered(status, body, "application/json", headers)
        case Surface.ENGINE:
            body = msgspec.json.encode(EngineError(status, detail))
            return Rendered(status, body, "application/json", headers)
        case Surface.QUERY:
            field = error.field if isinstance(error, InvalidInput) else ""
            problem = Problem("about:blank", TITLES[status], status, detail, field, request_id)
            return Rendered(status, msgspec.json.encode(problem), PROBLEM, headers)


def _detail(error: BaseException, *, named: bool) -> str:
    """What is wrong; with the field's name where the surface has no place of its own for it."""
    if named and isinstance(error, InvalidInput) and error.field:
        return mask(f"{error.field}: {error}")
    if isinstance(error, (ClientError, TransientError, SetupError)) or status_of(error) < 500:
        return mask(str(error)) or TITLES[status_of(error)]
    if isinstance(error, ConfigError):
        return "the service is not configured for this"
    return "Unknown error"


def _headers(error: BaseException, status: int) -> tuple[tuple[str, str], ...]:
    if isinstance(error, RangeUnsatisfiable):
        return (("Content-Range", f"bytes */{error.size}"),)
    if status == 426:
        return (("Upgrade", "websocket"),)
    if status == 401:
        return (("WWW-Authenticate", "Bearer"),)
    if status in {429, 503}:
        return (("Retry-After", "5"),)
    return ()


def _agent_code(error: BaseException, status: int) -> int:
    """The contract's code where it names one, else the HTTP status; 1 for what failed inside."""
    if isinstance(error, HealthFailed):
        return 38001
    if status == 500:
        return 1
    if isinstance(error, InvalidInput) and error.field.split(".")[0] == "statuses":
        return 44002
    return next((code for kind, code in AGENT_CODES if isinstance(error, kind)), status)
