"""Reading requests: query parameters and JSON bodies, typed, with the wrong field named."""

from __future__ import annotations

import functools
import re
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

import falcon.asgi
import msgspec
from msgspec import inspect

from core.errors import InvalidInput
from query_api.refusals import TooLarge, WrongContentType
from query_api.routes.route import JSON, Route

T = TypeVar("T")
_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`")


def wrong_input(error: Exception, kind: Any) -> InvalidInput:
    """msgspec's complaint about a `kind` as one that names the field, and the values it can have."""
    text = str(error)
    found = _AT.search(text)
    path = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", found["path"]) if found else ""
    message = text[: found.start()] if found else text
    for pattern, words in ((_UNKNOWN, "there is no such field"), (_MISSING, "it is required")):
        named = pattern.match(message)
        if named:
            path = f"{path}.{named['name']}" if path else named["name"]
            message = words
    path = path.strip(".")
    if message.startswith("Invalid enum value") and (values := _permitted(kind, path)):
        message = f"{message[0].lower()}{message[1:]}; it can be {', '.join(values)}"
    return InvalidInput(message, path)


def _permitted(kind: Any, path: str) -> list[str]:
    """The words that a field can be, as far as its type says."""
    nodes = [*_options(inspect.type_info(kind))]
    for name in path.split(".") if path else ():
        nodes = [option for node in nodes for inner in _inside(node, name) for option in _options(inner)]
    return [str(value) for node in nodes if isinstance(node, inspect.LiteralType) for value in node.values]


def _options(node: inspect.Type) -> tuple[inspect.Type, ...]:
    return node.types if isinstance(node, inspect.UnionType) else (node,)


def _inside(node: inspect.Type, name: str) -> list[inspect.Type]:
    match node:
        case inspect.StructType():
            return [field.type for field in node.fields if field.encode_name == name]
        case inspect.CollectionType() | inspect.VarTupleType():
            return [node.item_type]
        case inspect.DictType():
            return [node.value_type]
        case _:
            return []


def read_params(query_string: str, kind: type[T]) -> T:
    """The query parameters as `kind`; comma-separated or repeated where it has tuples. Raises InvalidInput."""
    many = _many(kind)  # type: ignore[arg-type]  # a type can be hashed
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput("the query is no valid UTF-8, or has too many fields") from error
    for name, text in pairs:
        if name in many:
            values.setdefault(name, []).extend(text.split(",") if text else [])
        elif name in values:
            raise InvalidInput("it was given more than once", name)
        else:
            values[name] = text
    try:
        return msgspec.convert(values, type=kind, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise wrong_input(error, kind) from error


@functools.cache
def _many(kind: Any) -> frozenset[str]:
    """Parameters that may be given more than once; found out once for a type, which takes longer than reading them."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind) if _takes_many(field.type))


def _takes_many(kind: Any) -> bool:
    options = getattr(kind, "__args__", ()) if get_origin(kind) is not tuple else (kind,)
    return any(get_origin(option) is tuple for option in (kind, *options))


def check_content_type(req: falcon.asgi.Request, route: Route) -> None:
    """Refuse a body of a type that the route does not read. Raises WrongContentType."""
    given = (req.content_type or "").split(";")[0].strip().lower()
    if not given and not route.body_required:
        return
    if not any(given == known or (known.endswith("/*") and given.startswith(known[:-1])) for known in route.body_media):
        raise WrongContentType(f"the body is {given or 'of no type'}; it can be {', '.join(route.body_media)}")


async def read_body(req: falcon.asgi.Request, limit: int) -> bytes:
    """All bytes of the body. Raises TooLarge."""
    if (req.content_length or 0) > limit:
        raise TooLarge(f"the body has {req.content_length} bytes; {limit} are the most")
    parts: list[bytes] = []
    received = 0
    async for chunk in req.stream:
        received += len(chunk)
        if received > limit:
            raise TooLarge(f"the body has more than {limit} bytes")
        parts.append(chunk)
    return b"".join(parts)


async def read_json(req: falcon.asgi.Request, kind: Any, limit: int) -> Any:
    """The JSON body as `kind`. Raises InvalidInput, TooLarge."""
    body = await read_body(req, limit)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise wrong_input(error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is no {JSON}: {error}") from error
