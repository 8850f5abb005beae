"""What a row of the table of routes is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from query_api.types.common import NoParams

JSON = "application/json"
YAML = "application/x-yaml"
HTML = "text/html"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TABLES = (JSON, CSV, ARROW, PARQUET)
BYTES = "application/octet-stream"
FORM = "multipart/form-data"
PROMETHEUS = "text/plain"
TEXT = "text/plain"
JPEG = "image/jpeg"
MJPEG = "multipart/x-mixed-replace"
ANY = "*/*"


class Surface(Enum):
    """Whose contract a route follows; it decides the shape of errors."""

    AGENT = "agent"
    ENGINE = "engine"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one status comes with.

    Attributes:
        body: type of the JSON body; None where `media` holds no JSON or there is no body.
        media: content types; empty for an answer without a body.
        headers: name to sentence.
    """

    says: str
    body: Any = None
    media: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)


def nothing(says: str, **headers: str) -> Answer:
    """An answer without a body."""
    return Answer(says, None, (), {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        path: Falcon's template.
        resource: name of the resource that `app.resources` makes; with `suffix`, which responder.
        scope: what a token must allow, a word of `core.scopes`; None for operations that need no token.
        params: query parameters; every other is refused.
        body: type of the JSON body; None when there is none or it is a stream of bytes.
        body_media: what the body may be; empty when there is none.
        refuses: statuses of errors beyond those that every route has.
        headers: request headers, name to sentence.
        endless: the answer has no end, or is a WebSocket; the fuzz test leaves it out, it has tests of its own.
        signed: a signed token in the query may stand for the header; the resource checks it.
        wrong: with which words the contract refuses a body; what is wrong with it follows them.
    """

    method: str
    path: str
    surface: Surface
    resource: str
    summary: str
    scope: str | None
    answers: Mapping[int, Answer]
    params: type = NoParams
    body: Any = None
    body_media: tuple[str, ...] = ()
    body_required: bool = True
    refuses: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    suffix: str | None = None
    endless: bool = False
    signed: bool = False
    wrong: str = ""

    @property
    def operation(self) -> str:
        """Name of the operation, unique in the table."""
        return "_".join(filter(None, (self.resource, self.suffix, self.method.lower())))

    @property
    def errors(self) -> tuple[int, ...]:
        """Statuses of all errors that may be answered."""
        found = {400, 421, 500, 503, *self.refuses}
        if self.scope is not None:
            found |= {401, 403}
        if "{" in self.path:
            found.add(404)
        if self.body_media:
            found |= {413, 415}
        return tuple(sorted(found))


PLACE = {"Location": "address of what was made"}
ACCOUNT = "Luna-Account-Id"
