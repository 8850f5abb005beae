"""What a request carries for its responder, put there by the middleware from the route's row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import falcon.asgi

from query_api.routes.route import Route

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """A request as its route reads it.

    Attributes:
        params: of the route's `params` type.
        body: of the route's `body` type; None where it has none.
    """

    route: Route
    params: Any
    body: Any


def params_of(req: falcon.asgi.Request, kind: type[T]) -> T:
    """The query parameters, which the route's row says are a `kind`."""
    params = req.context.given.params
    assert isinstance(params, kind)
    return params


def body_of(req: falcon.asgi.Request, kind: type[T]) -> T:
    """The JSON body, which the route's row says is a `kind`."""
    body = req.context.given.body
    assert isinstance(body, kind)
    return body


def request_id_of(req: falcon.asgi.Request) -> str:
    """The request's id, given or generated."""
    found: str = getattr(req.context, "request_id", "")
    return found
