"""Requests, answers and messages of watching: pictures, pages, sockets, tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

Fps = Annotated[int, Meta(ge=0, le=1000, description="pictures a second at most; 0: all")]
Height = Annotated[int, Meta(ge=0, le=4320, description="pixels down at most, never made larger; 0: as they are")]
Quality = Annotated[int, Meta(ge=1, le=100, description="of the JPEG")]
Token = Annotated[str, Meta(max_length=256, description="a signed token for this stream")]
Fresh = Annotated[str, Meta(max_length=64, description="anything: makes the address a new one for a browser")]
Logic = Literal["counting", "density", "dwelling"]
Phase = Literal["begin", "update", "end"]
Offset = Annotated[
    str, Meta(max_length=2000, description="`offset` of a message: go on after it; or `earliest`: all that is kept")
]


class MjpegParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"fresh": "_"}):
    """How a stream's pictures are wished for."""

    fps: Fps = 0
    height: Height = 320
    jpeg_quality: Quality = 60
    token: Token | None = None
    t: Fresh | None = None
    fresh: Fresh | None = None


class VisualParams(Struct, frozen=True, forbid_unknown_fields=True):
    """How the page shows a stream; a page is larger than a tile."""

    fps: Fps = 0
    height: Height = 720
    jpeg_quality: Quality = 60
    token: Token | None = None


class JpegParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"fresh": "_"}):
    """A single picture has no choices."""

    token: Token | None = None
    t: Fresh | None = None
    fresh: Fresh | None = None


class AgentSocketParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Which analytic of which stream a socket of the agent surface is for.

    Attributes:
        analytic_index: position among the stream's analytics, from 0.
        account_id: the stream must be this account's.
    """

    stream_id: UUID
    analytic_index: Annotated[int, Meta(ge=0, le=65_535)]
    account_id: UUID | None = None
    from_: Offset | None = None
    token: Token | None = None


class EngineSocketParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Which events a socket of the engine surface tells.

    Attributes:
        logic: only those of analytics that count, measure density, or measure dwelling.
        phases: only these; all unless given. ``phases=end`` tells each event once.
    """

    logic: Logic | None = None
    phases: tuple[Phase, ...] = ()
    from_: Offset | None = None
    token: Token | None = None


class NotificationParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Whose notifications a socket tells.

    Attributes:
        account_id: those of this account's streams; of all accounts unless given.
        stream_id: those of this stream alone.
    """

    account_id: UUID | None = None
    stream_id: UUID | None = None
    from_: Offset | None = None
    token: Token | None = None


class WatchToken(Struct, frozen=True):
    """A signed token for watching one stream, and where it can be used.

    Attributes:
        expires_at: RFC 3339.
    """

    token: str
    expires_at: str
    mjpeg_url: str
    page_url: str


class EngineEvent(Struct, frozen=True):
    """A message of ``/event_channel``.

    Attributes:
        node_num: where the stream was registered.
        stream_id: last 16 hex digits.
        stream_address: without credentials.
        timestamp: seconds since the epoch.
        pipeline_data: the event itself: its id, phase, label, box (0..1) and whatever its analytic says.
        offset: from here a socket can go on after this message.
        image_jpeg: base64; absent while there is none.
    """

    analytic_id: str
    node_num: int
    stream_id: str
    stream_address: str
    stream_name: str
    timestamp: int
    primary_text: str
    secondary_text: str
    pipeline_data: dict[str, Any]
    offset: str
    image_jpeg: str | UnsetType = UNSET


class AgentMessage(Struct, frozen=True):
    """A message of ``/2/ws``.

    Attributes:
        error: why the stream does not run; empty when it does.
        analytics_results: an event in the words of callbacks; empty in a message that only tells of the stream.
        offset: from here a socket can go on after this message; empty before the first event.
    """

    stream_status: str
    error: str
    analytics_results: dict[str, Any]
    offset: str


class NotificationMessage(Struct, frozen=True):
    """A message of ``/query/v1/notifications``.

    Attributes:
        kind: what it is about.
        analytic_index: of the event's analytic; null for a state.
        body: what an http callback would be sent, its `ce_id` among it: the same when it is told again.
        offset: from here a socket can go on after this message.
    """

    kind: Literal["event", "stream_status"]
    stream_id: str
    analytic_index: int | None
    body: dict[str, Any]
    offset: str
