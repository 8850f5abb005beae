"""Callbacks as a request says them: read and checked where they enter.

Each is an object with a `type`; what else it has is said by the structs below, in the words of the agent surface.
Addresses are checked here so that whoever asks hears of a wrong one, and again whenever a callback is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from core.addresses import Policy, Resolver, check_callback_url, resolve, system_resolver
from core.errors import Forbidden, InvalidInput
from core.profile import (
    MOST_CALLBACKS,
    BasicAuthorization,
    Callback,
    Comparison,
    Condition,
    EventPolicy,
    HttpCallback,
    KafkaCallback,
    TaskCallback,
    TelegramCallback,
    Trigger,
    WebSocketCallback,
)
from core.settings import Settings

ON_STREAMS = ("http", "luna-kafka", "luna-ws-notification")
ON_TASKS = ("http", "telegram")
MOST_SERVERS = 10
MOST_HEADERS = 50
FORBIDDEN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "sightline-signature",
    }
)
"""They say how the request travels, or are our own; so is everything that begins with ``ce-``."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?)?")
_SERVER = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}")
_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`")

Flag = Literal[0, 1]
Word = Annotated[str, Meta(max_length=256)]
Seconds = Annotated[float, Meta(gt=0.0, le=600.0)]
T = TypeVar("T")


class UnknownCallback(InvalidInput):
    """A type of callback that nothing here can make."""


class _Condition(Struct, frozen=True, forbid_unknown_fields=True):
    field: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Any
    is_: Comparison = msgspec.field(default="eq", name="is")


Conditions = Annotated[tuple[_Condition, ...], Meta(max_length=20)]


class _Authorization(Struct, frozen=True, forbid_unknown_fields=True):
    login: Annotated[str, Meta(max_length=256, pattern=r"^[^:\x00-\x1f\x7f]*$")]
    password: Annotated[str, Meta(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]
    type: Literal["basic"] = "basic"


class _Params(Struct, frozen=True, forbid_unknown_fields=True):
    timeout: Seconds = 60.0
    content_type: Literal["application/json", "application/msgpack"] = "application/json"
    headers: Annotated[dict[str, str], Meta(max_length=MOST_HEADERS)] = {}


class _Http(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="http"):
    url: Annotated[str, Meta(min_length=1, max_length=2083)]
    enable: Flag = 1
    conditions: Conditions = ()
    authorization: _Authorization | None = None
    params: _Params = _Params()
    secret: Word = ""


class _Kafka(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="luna-kafka"):
    servers: str | tuple[str, ...]
    topic: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    enable: Flag = 1
    conditions: Conditions = ()
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    username: Word = ""
    password: Annotated[str, Meta(max_length=1024)] = ""


class _WebSocket(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="luna-ws-notification"):
    enable: Flag = 1
    conditions: Conditions = ()


class _TelegramParams(Struct, frozen=True):
    timeout: Seconds = 60.0


class _Telegram(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="telegram"):
    token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9:_-]{1,128}$")]
    chat_id: Annotated[str, Meta(min_length=1, max_length=128)] | int
    enable: Flag = 1
    conditions: Conditions = ()
    params: _TelegramParams = _TelegramParams()


class _Policy(Struct, frozen=True, forbid_unknown_fields=True):
    trigger: Trigger = "end"
    interval: Annotated[float, Meta(gt=0.0, le=86_400.0)] = 1.0
    min_duration: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 0.0


_KINDS: Mapping[str, Any] = {
    "http": _Http,
    "luna-kafka": _Kafka,
    "luna-ws-notification": _WebSocket,
    "telegram": _Telegram,
}


def parse_callbacks(
    raw: Sequence[Mapping[str, Any]], field: str, settings: Settings, resolver: Resolver = system_resolver
) -> tuple[Callback, ...]:
    """The callbacks of an analytic, or of a stream's notifications. Blocking: names are resolved.

    One that is switched off is read and kept, but its address is not looked at.

    Args:
        field: dotted path of the list, for the errors.

    Raises:
        UnknownCallback: a type that is not among `ON_STREAMS`.
        InvalidInput: anything else that is wrong; the field is the dotted path of what is.
        Forbidden: an address that may not be opened.
    """
    return cast(tuple[Callback, ...], _parsed(raw, field, settings, resolver, ON_STREAMS))


def parse_task_callbacks(
    raw: Sequence[Mapping[str, Any]], field: str, settings: Settings, resolver: Resolver = system_resolver
) -> tuple[TaskCallback, ...]:
    """The callbacks of a deferred task, whose types are `ON_TASKS`; as `parse_callbacks`."""
    return cast(tuple[TaskCallback, ...], _parsed(raw, field, settings, resolver, ON_TASKS))


def parse_event_policy(raw: Mapping[str, Any] | None, field: str) -> EventPolicy | None:
    """``{trigger, interval, min_duration}``, times in seconds; None for None. Raises InvalidInput."""
    if raw is None:
        return None
    read = _converted(raw, _Policy, field)
    return EventPolicy(read.trigger, read.interval, read.min_duration)


def broker_addresses(servers: str, settings: Settings, resolver: Resolver = system_resolver) -> tuple[str, ...]:
    """``address:port`` of every address that a host:port list names, all of them allowed. Blocking.

    Raises:
        InvalidInput: no such list, or a host without an address.
        Forbidden: an address that may not be opened.
    """
    allowed = Policy.of("callback", settings)
    policy = Policy(frozenset({"kafka"}), allowed.loopback, allowed.private)
    listed = servers.split(",")
    if len(listed) > MOST_SERVERS:
        raise InvalidInput(f"{MOST_SERVERS} servers are the most", "servers")
    found: dict[str, None] = {}
    for server in listed:
        if not _SERVER.fullmatch(server):
            raise InvalidInput(f"{server[:80]!r} is no host:port", "servers")
        port = server.rpartition(":")[2]
        for address in resolve(f"kafka://{server}", policy, resolver):
            found[f"[{address}]:{port}" if ":" in address else f"{address}:{port}"] = None
    return tuple(found)


def _parsed(
    raw: Sequence[Mapping[str, Any]], field: str, settings: Settings, resolver: Resolver, types: Sequence[str]
) -> tuple[Callback | TaskCallback, ...]:
    if len(raw) > MOST_CALLBACKS:
        raise InvalidInput(f"{MOST_CALLBACKS} callbacks are the most", field)
    return tuple(_one(each, f"{field}.{i}", settings, resolver, types) for i, each in enumerate(raw))


def _one(
    raw: Mapping[str, Any], field: str, settings: Settings, resolver: Resolver, types: Sequence[str]
) -> Callback | TaskCallback:
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in types:
        raise UnknownCallback(f"no callback of type {kind!r:.80}; there are {', '.join(types)}", f"{field}.type")
    if isinstance(raw.get("enable"), bool):
        raw = {**raw, "enable": int(raw["enable"])}
    read = _converted(raw, _KINDS[kind], field)
    conditions = tuple(_condition(each, f"{field}.conditions.{i}") for i, each in enumerate(read.conditions))
    look_up = resolver if read.enable else None
    match read:
        case _Http():
            return _http(read, conditions, field, settings, look_up)
        case _Kafka():
            return _kafka(read, conditions, field, settings, look_up)
        case _Telegram():
            return TelegramCallback(read.token, str(read.chat_id), bool(read.enable), conditions, read.params.timeout)
        case _:
            return WebSocketCallback(bool(read.enable), conditions)


def _http(
    read: _Http, conditions: tuple[Condition, ...], field: str, settings: Settings, resolver: Resolver | None
) -> HttpCallback:
    _check_url(read.url, field, settings, resolver)
    _check_headers(read.params.headers, f"{field}.params.headers", authorized=read.authorization is not None)
    login = read.authorization
    return HttpCallback(
        url=read.url,
        enable=bool(read.enable),
        conditions=conditions,
        authorization=None if login is None else BasicAuthorization(login.login, login.password),
        timeout_s=read.params.timeout,
        content_type=read.params.content_type,
        headers=read.params.headers,
        secret=read.secret,
    )


def _check_url(url: str, field: str, settings: Settings, resolver: Resolver | None) -> None:
    try:
        userinfo = "@" in urlsplit(url).netloc
        if resolver is not None:
            check_callback_url(url, settings, resolver)
    except Forbidden as error:
        raise Forbidden(f"{field}.url: {error}") from error
    except (InvalidInput, ValueError) as error:
        raise InvalidInput(str(error), f"{field}.url") from error
    if userinfo:
        raise InvalidInput("a login and a password belong into authorization, not into the URL", f"{field}.url")


def _check_headers(headers: Mapping[str, str], field: str, *, authorized: bool) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidInput(f"{name[:80]!r} is no header's name", field)
        low = name.lower()
        if low in FORBIDDEN_HEADERS or low.startswith("ce-"):
            raise InvalidInput("this header is set by the service itself", f"{field}.{name}")
        if low == "authorization" and authorized:
            raise InvalidInput("give either this header or authorization", f"{field}.{name}")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput("its value is no line of printable ASCII, or has blanks around it", f"{field}.{name}")


def _kafka(
    read: _Kafka, conditions: tuple[Condition, ...], field: str, settings: Settings, resolver: Resolver | None
) -> KafkaCallback:
    servers = ",".join(
        each.strip() for each in (read.servers.split(",") if isinstance(read.servers, str) else read.servers)
    )
    secured = read.protocol.startswith("SASL")
    if secured and not read.username:
        raise InvalidInput(f"{read.protocol} needs a username and a password", f"{field}.username")
    if read.username and not secured:
        raise InvalidInput(f"{read.protocol} takes no username; SASL_SSL does", f"{field}.protocol")
    if resolver is not None:
        try:
            broker_addresses(servers, settings, resolver)
        except Forbidden as error:
            raise Forbidden(f"{field}.servers: {error}") from error
        except InvalidInput as error:
            raise InvalidInput(str(error), f"{field}.servers") from error
    return KafkaCallback(
        servers, read.topic, bool(read.enable), conditions, read.protocol, read.username, read.password
    )


def _condition(read: _Condition, field: str) -> Condition:
    value = read.value
    if read.is_ == "in" and not isinstance(value, list):
        raise InvalidInput("`in` is asked of a list", f"{field}.value")
    if read.is_ in {"lt", "lte", "gt", "gte"} and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise InvalidInput(f"`{read.is_}` is asked of a number or a text", f"{field}.value")
    return Condition(read.field, value, read.is_)


def _converted(raw: Mapping[str, Any], kind: type[T], field: str) -> T:
    """`raw` as a `kind`. Raises InvalidInput naming the field below `field`."""
    try:
        return msgspec.convert(raw, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        text = str(error)
        found = _AT.search(text)
        path = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", found["path"]) if found else ""
        said = text[: found.start()] if found else text
        if named := _NAMED.match(said):
            path = f"{path}.{named['name']}"
            said = "it is required" if named["what"].startswith("missing") else "there is no such field"
        raise InvalidInput(said, f"{field}.{path.strip('.')}".rstrip(".")) from error
