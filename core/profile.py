"""What is kept with a stream and does not change how it is read: said of it, and told to whom.

It is the `extra` of a stream's row in the control database: a change of it begins no new run, and the secrets of
its callbacks travel on no topic.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

MOST_CALLBACKS = 10
Comparison = Literal["eq", "ne", "lt", "lte", "gt", "gte", "in"]
Trigger = Literal["start", "period", "end"]


class Location(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a camera stands; coordinates in degrees."""

    city: str | None = None
    area: str | None = None
    district: str | None = None
    street: str | None = None
    house_number: str | None = None
    latitude: Annotated[float, Meta(ge=-90.0, le=90.0)] | None = None
    longitude: Annotated[float, Meta(ge=-180.0, le=180.0)] | None = None


class BasicAuthorization(msgspec.Struct, frozen=True):
    """Sent with an http callback."""

    login: str
    password: str


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of the event, by its dotted path, and what it must be for the callback to be made."""

    field: str
    value: Any
    is_: Comparison = msgspec.field(default="eq", name="is")


class HttpCallback(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="http"):
    """A POST.

    Attributes:
        secret: key of the signature that is sent along; empty: none is.
    """

    url: str
    enable: bool = True
    conditions: tuple[Condition, ...] = ()
    authorization: BasicAuthorization | None = None
    timeout_s: Annotated[float, Meta(gt=0.0, le=600.0)] = 60.0
    content_type: Literal["application/json", "application/msgpack"] = "application/json"
    headers: dict[str, str] = {}
    secret: str = ""


class KafkaCallback(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="luna-kafka"):
    """A record on somebody's topic; `servers` is a host:port list."""

    servers: str
    topic: str
    enable: bool = True
    conditions: tuple[Condition, ...] = ()
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    username: str = ""
    password: str = ""


class WebSocketCallback(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="luna-ws-notification"):
    """A message to whoever listens at the account's WebSocket."""

    enable: bool = True
    conditions: tuple[Condition, ...] = ()


class TelegramCallback(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="telegram"):
    """A message to a chat when a task is over; `token` is the bot's."""

    token: str
    chat_id: str
    enable: bool = True
    conditions: tuple[Condition, ...] = ()
    timeout_s: Annotated[float, Meta(gt=0.0, le=600.0)] = 60.0


Callback: TypeAlias = HttpCallback | KafkaCallback | WebSocketCallback
TaskCallback: TypeAlias = HttpCallback | TelegramCallback


class EventPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which phases of an event callbacks are made for.

    Attributes:
        interval_s: least seconds between callbacks of one event, with ``period``.
        min_duration_s: an event shorter than this is told to nobody.
    """

    trigger: Trigger = "end"
    interval_s: Annotated[float, Meta(gt=0.0, le=86_400.0)] = 1.0
    min_duration_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 0.0


class AnalyticProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept with the analytic at the same position of the stream's definition."""

    label: str = ""
    callbacks: Annotated[tuple[Callback, ...], Meta(max_length=MOST_CALLBACKS)] = ()
    event_policy: EventPolicy | None = None


class TaskProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept with a deferred task.

    Attributes:
        callbacks: told when it is over.
        base: scheme and authority under which the service was asked; of the URLs that are told.
    """

    callbacks: Annotated[tuple[TaskCallback, ...], Meta(max_length=MOST_CALLBACKS)] = ()
    base: str = ""


class StreamProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of it.

    Attributes:
        source: what the camera is called where it came from; copied to events, as is `event_source_group`.
        reference: the address as it was given, where another one is read (an upload); None: the one that is read.
        kind: what the user called it: a ``stream`` goes on for ever, a ``videofile`` has an end; None: it was not said.
        downloadable: said of a video file: it may be fetched whole.
        custom_data: JSON of the user's own.
        notifications: told of each change of the stream's state.
        task: None where the stream is no deferred task, or has nobody to tell.
    """

    description: str = ""
    location: Location | None = None
    source: str | None = None
    event_source_group: str | None = None
    custom_data: dict[str, Any] = {}
    analytics: tuple[AnalyticProfile, ...] = ()
    notifications: Annotated[tuple[Callback, ...], Meta(max_length=MOST_CALLBACKS)] = ()
    reference: str | None = None
    kind: Literal["stream", "videofile"] | None = None
    downloadable: bool = False
    task: TaskProfile | None = None


def profile_of(extra: dict[str, Any]) -> StreamProfile:
    """The profile that a stream's `extra` holds."""
    return msgspec.convert(extra, StreamProfile)


def extra_of(profile: StreamProfile) -> dict[str, Any]:
    """What is kept of a profile."""
    found: dict[str, Any] = msgspec.to_builtins(profile)
    return found
