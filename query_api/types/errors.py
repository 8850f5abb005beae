"""The shape that errors have, per surface."""

from __future__ import annotations

from msgspec import Struct


class AgentError(Struct, frozen=True):
    """An error of the agent surface.

    Attributes:
        error_code: stable number of this kind of error.
        desc: short class of the error.
        detail: what is wrong in this request.
        link: where the code is described.
    """

    error_code: int
    desc: str
    detail: str
    link: str


class EngineError(Struct, frozen=True):
    """An error of the engine surface; `code` is the HTTP status."""

    code: int
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """An error of the query surface (RFC 9457).

    Attributes:
        field: dotted path of the field that is wrong, absent when the whole request is meant.
        request_id: to be named in a question about it.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str = ""
    request_id: str = ""
