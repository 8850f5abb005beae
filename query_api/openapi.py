"""OpenAPI 3.1, made of the table of routes and the types that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from core.scopes import SCOPES
from query_api.errors import CODES_EXPLAINED, PROBLEM, TITLES
from query_api.guard import KEY_HEADER
from query_api.routes.route import ACCOUNT, CSV, HTML, JSON, PROMETHEUS, YAML, Answer, Route, Surface
from query_api.types.errors import AgentError, EngineError, Problem

Document = dict[str, Any]
REF = "#/components/schemas/{name}"
TEXTS = frozenset({CSV, HTML, YAML, PROMETHEUS})
_CONVERTED = re.compile(r"\{(?P<name>\w+):(?P<kind>\w+)\}")
UUID_PATTERN = "^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$"
PATH_SCHEMAS: dict[str, Document] = {"uuid": {"type": "string", "format": "uuid"}, "int": {"type": "integer"}}
REQUEST_ID = {
    "type": "string",
    "pattern": "^[0-9]{10},[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$",
}
_ERRORS: dict[Surface, tuple[type, str]] = {
    Surface.AGENT: (AgentError, JSON),
    Surface.ENGINE: (EngineError, JSON),
    Surface.QUERY: (Problem, PROBLEM),
}
SIGNED = "signedToken"
SIGNED_SCHEME: Document = {
    "type": "apiKey",
    "in": "query",
    "name": "token",
    "description": "Short-lived, for one stream, where a browser sends no header; given out by `watch-token`.",
}
SECURITY: Document = {
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `sightline token create`. What its scopes allow: "
        + "; ".join(f"`{scope}`, to {says}" for scope, says in SCOPES.items())
        + ".",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "The same, in a header of its own.",
    },
}
"""By which of these a request may say who sends it; operations name the scope that it needs."""
ABOUT = (
    "Video analytics: a video in; detections, tracks and events out. Errors have the shape of their surface. "
    "Every answer carries `Luna-Request-Id`, yours if you sent one.\n\nCodes of the agent surface's errors "
    "(others are the HTTP status): "
)


def document(routes: Iterable[Route], *, auth: bool) -> Document:
    """The description of `routes`.

    Args:
        auth: whether routes with a scope ask for a token.
    """
    routes = tuple(routes)
    schemas, components = _schemas(routes)
    paths: Document = {}
    for route in routes:
        operation = _operation(route, schemas, auth=auth)
        paths.setdefault(_CONVERTED.sub(r"{\g<name>}", route.path), {})[route.method.lower()] = operation
    codes = "; ".join(f"{code}: {says.rstrip('.')}" for code, says in CODES_EXPLAINED.items())
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sightline", "version": version("sightline"), "description": ABOUT + codes},
        "tags": [{"name": surface.value} for surface in Surface],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {**SECURITY, SIGNED: SIGNED_SCHEME},
        },
    }


def _schemas(routes: tuple[Route, ...]) -> tuple[dict[Any, Document], Document]:
    """Schema of every type that is sent or read, and the components they refer to."""
    kinds = list(dict.fromkeys(kind for route in routes for kind in _kinds(route)))
    found, components = msgspec.json.schema_components(kinds, ref_template=REF)
    return dict(zip(kinds, found, strict=True)), components


def _kinds(route: Route) -> Iterable[Any]:
    yield _ERRORS[route.surface][0]
    if route.body is not None:
        yield route.body
    yield from (answer.body for answer in route.answers.values() if answer.body is not None)


def _operation(route: Route, schemas: dict[Any, Document], *, auth: bool) -> Document:
    operation: Document = {
        "operationId": route.operation,
        "tags": [route.surface.value],
        "summary": route.summary,
        "parameters": [*_path_params(route), *_query_params(route), *_headers(route)],
        "responses": _responses(route, schemas),
    }
    if route.body_media:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {media: {"schema": _body(route, media, schemas)} for media in route.body_media},
        }
    if auth and route.scope is not None:
        operation["security"] = [{scheme: [route.scope]} for scheme in SECURITY]
        if route.signed:
            operation["security"].append({SIGNED: [route.scope]})
    return operation


def _body(route: Route, media: str, schemas: dict[Any, Document]) -> Document:
    if route.body is not None:
        return schemas[route.body]
    if media == "multipart/form-data":
        part = {"type": "string", "contentMediaType": "application/octet-stream"}
        return {"type": "object", "properties": {"file": part}, "required": ["file"]}
    return {"type": "string", "contentMediaType": "application/octet-stream"}


def _path_params(route: Route) -> list[Document]:
    found = []
    for match in _CONVERTED.finditer(route.path):
        schema = PATH_SCHEMAS.get(match["kind"], {"type": "string", "minLength": 1, "maxLength": 512})
        found.append({"name": match["name"], "in": "path", "required": True, "schema": schema})
    return found


def _query_params(route: Route) -> list[Document]:
    found = []
    whole = msgspec.json.schema(route.params)
    (shape,) = [one for name, one in whole["$defs"].items() if name == route.params.__name__]
    for name, schema in shape.get("properties", {}).items():
        inlined = _query_schema({key: value for key, value in schema.items() if key != "default"}, whole["$defs"])
        known: Document = {
            "name": name,
            "in": "query",
            "required": name in shape.get("required", ()),
            "schema": inlined,
        }
        if inlined.get("type") == "array":
            known |= {"style": "form", "explode": False}
        found.append(known)
    return found


def _query_schema(schema: Document, definitions: Document) -> Document:
    """A parameter's schema: null cannot be sent in a query."""
    if "$ref" in schema:  # pragma: no cover - parameters are made of plain types
        return dict(definitions[schema["$ref"].rsplit("/", 1)[1]])
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return schema
    if len(options) == 1:
        return {**{key: value for key, value in schema.items() if key != "anyOf"}, **options[0]}
    return {**schema, "anyOf": options}


def _headers(route: Route) -> list[Document]:
    about = "Names the request in logs; generated when it is absent."
    given = [{"name": "Luna-Request-Id", "in": "header", "required": False, "schema": REQUEST_ID, "description": about}]
    for name, says in route.headers.items():
        if name == "Accept":  # OpenAPI has it by the content types of the answers
            continue
        schema: Document = {"type": "string"}
        if name in {"Upload-Offset", "Upload-Length"}:
            schema = {"type": "integer", "minimum": 0, "maximum": 2**53}
        elif name == ACCOUNT:
            schema = {"type": "string", "pattern": UUID_PATTERN}
        required = says.endswith("required")
        given.append({"name": name, "in": "header", "required": required, "schema": schema, "description": says})
    return given


def _responses(route: Route, schemas: dict[Any, Document]) -> Document:
    responses = {str(status): _answer(answer, schemas) for status, answer in sorted(route.answers.items())}
    kind, media = _ERRORS[route.surface]
    for status in route.errors:
        if str(status) in responses:
            responses[str(status)]["content"].setdefault(media, {"schema": schemas[kind]})
            continue
        responses[str(status)] = {
            "description": TITLES[status],
            "headers": _shown({"WWW-Authenticate": "Bearer"} if status == 401 else {}),
            "content": {media: {"schema": schemas[kind]}},
        }
    return responses


def _answer(answer: Answer, schemas: dict[Any, Document]) -> Document:
    shown: Document = {"description": answer.says, "headers": _shown(answer.headers)}
    if answer.media:
        shown["content"] = {media: {"schema": _content(answer, media, schemas)} for media in answer.media}
    return shown


def _content(answer: Answer, media: str, schemas: dict[Any, Document]) -> Document:
    if media == JSON:
        return schemas[answer.body] if answer.body is not None else {"type": "object"}
    return {"type": "string"} if media in TEXTS else {"type": "string", "contentMediaType": media}


def _shown(headers: Any) -> Document:
    known = {name: {"schema": {"type": "string"}, "description": says} for name, says in headers.items()}
    return {"Luna-Request-Id": {"schema": REQUEST_ID, "required": True, "description": "id of the request"}, **known}
