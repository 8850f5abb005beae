"""Requests and answers of the agent surface: streams and their logs.

What the contract leaves open is ours: `data.fps`, `data.transport`, `data.endless`, `data.motion_gate`, the fields of
a schedule, of a callback's conditions and of the notification policy.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from core.messages import Day, Gate
from core.profile import MOST_CALLBACKS, Comparison
from query_api.types.agent import CallbackAuthorization, CallbackParams, Flag, Pts, TimestampSource
from query_api.types.common import Moment, Rate, Url

NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
Word: TypeAlias = Annotated[str, Meta(max_length=128, pattern=NO_CONTROL)]
Text: TypeAlias = Annotated[str, Meta(max_length=512, pattern=r"^[^\x00]*$")]
Line: TypeAlias = Annotated[str, Meta(max_length=256, pattern=NO_CONTROL)]
Group: TypeAlias = Annotated[str, Meta(max_length=256, pattern=r"^[a-zA-Z0-9_\-]+$")]
Reference: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2083, pattern=NO_CONTROL)]
Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
TimeOfDay: TypeAlias = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
EndOfHours: TypeAlias = Annotated[str, Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Servers: TypeAlias = Annotated[
    str, Meta(max_length=1024, pattern=r"^[A-Za-z0-9._\-\[\]:]+:[0-9]{1,5}(,[A-Za-z0-9._\-\[\]:]+:[0-9]{1,5})*$")
]
StatusNumber: TypeAlias = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8]
PageNumber: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
PageSize: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]
AnalyticIndex: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
StreamTarget: TypeAlias = Literal[
    "stream_id",
    "account_id",
    "name",
    "description",
    "data",
    "location",
    "source",
    "event_source_group",
    "version",
    "create_time",
    "last_error",
    "groups",
    "status",
    "splittable",
    "analytics",
    "notification_policy",
]
LogTarget: TypeAlias = Literal[
    "stream_id", "status", "error", "log_time", "last_processed_frame_time", "analytic_index"
]


_GATE = Gate()


class MotionGate(Struct, frozen=True, forbid_unknown_fields=True):
    """When a frame differs enough from those before it to be analysed; a still scene then costs nothing.

    Attributes:
        threshold: difference of brightness, 0..255, from which a place of the picture has changed.
        min_area: share of the picture that must have changed.
        recheck_interval: seconds after which a still scene is looked at again.
        masks: polygons in 0..1 of the picture, in which no change counts.
    """

    enable: Flag = 1
    threshold: Annotated[float, Meta(gt=0.0, le=255.0)] = _GATE.threshold
    min_area: Share = _GATE.min_area
    recheck_interval: Annotated[float, Meta(ge=0.0, le=86_400.0)] = _GATE.recheck_s
    masks: Annotated[
        list[Annotated[list[tuple[Share, Share]], Meta(min_length=3, max_length=1000)]], Meta(max_length=100)
    ] = []


class StreamData(Struct, frozen=True, forbid_unknown_fields=True):
    """What is read, and how.

    Attributes:
        reference: address of a camera or video, or the one that an upload was given.
        type: a ``stream`` is read as it comes; a ``videofile`` is fetched whole, read as fast as it can be analysed,
            and has an end.
        orientation_strategy: ``static`` turns by `rotation`, ``video_info`` as the video says.
        rotation: clockwise degrees; of ``static`` only.
        downloadable: the video file may be fetched whole.
        pts: media seconds to skip.
        timeout: milliseconds of silence after which the connection is given up; of a ``videofile``, those in which all
            of it must have been fetched.
        fps: frames a second to analyse; 0 takes every frame.
        transport: of RTSP's media.
        endless: begin a local file again at its end, and play it at its own pace.
    """

    reference: Reference
    type: Literal["stream", "videofile"] = "stream"
    orientation_strategy: Literal["static", "video_info"] = "static"
    rotation: Literal[0, 90, 180, 270] | None = None
    downloadable: bool = False
    timestamp_source: TimestampSource = "auto"
    pts: Pts = Pts()
    timeout: Annotated[int, Meta(ge=1, le=3_600_000)] | None = None
    fps: Rate | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    endless: bool = False
    motion_gate: MotionGate = MotionGate()


class GeoPosition(Struct, frozen=True, forbid_unknown_fields=True):
    """Degrees."""

    longitude: Annotated[float, Meta(ge=-180.0, le=180.0)]
    latitude: Annotated[float, Meta(ge=-90.0, le=90.0)]


class StreamLocation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the camera stands."""

    city: Line | None = None
    area: Line | None = None
    district: Line | None = None
    street: Line | None = None
    house_number: Line | None = None
    geo_position: GeoPosition | None = None


class StreamAutorestart(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done when the stream has failed; `delay` in seconds."""

    restart: Flag = 1
    attempt_count: Annotated[int, Meta(ge=0, le=1_000_000)] = 10
    delay: Annotated[int, Meta(ge=0, le=86_400)] = 60


class CallbackCondition(Struct, frozen=True, forbid_unknown_fields=True, rename={"is_": "is"}):
    """What a field of the event must be for the callback to be made.

    Attributes:
        field: its dotted path.
        is_: how the field and `value` are compared; ``in`` takes a list.
    """

    field: Annotated[str, Meta(min_length=1, max_length=256)]
    value: Any
    is_: Comparison = "eq"


Conditions: TypeAlias = Annotated[list[CallbackCondition], Meta(max_length=20)]


class StreamHttpCallback(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="http"):
    """A POST to a URL; with a `secret` it is signed."""

    url: Url
    enable: Flag = 1
    conditions: Conditions = []
    authorization: CallbackAuthorization | None = None
    params: CallbackParams = CallbackParams()
    secret: Annotated[str, Meta(max_length=256)] = ""


class StreamKafkaCallback(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="luna-kafka"):
    """A record on a topic; `servers` is a list of host:port, separated by commas."""

    servers: Servers
    topic: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,249}$")]
    enable: Flag = 1
    conditions: Conditions = []
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    username: Annotated[str, Meta(max_length=256)] = ""
    password: Annotated[str, Meta(max_length=256)] = ""


class StreamWsCallback(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="luna-ws-notification"):
    """A message to whoever listens at the account's WebSocket."""

    enable: Flag = 1
    conditions: Conditions = []


StreamCallback: TypeAlias = StreamHttpCallback | StreamKafkaCallback | StreamWsCallback
Callbacks: TypeAlias = Annotated[list[StreamCallback], Meta(max_length=MOST_CALLBACKS)]


class WorkingHours(Struct, frozen=True, forbid_unknown_fields=True):
    """Hours in which an analytic works; outside of all of them it is paused.

    Attributes:
        days: on which the hours begin; all of them when empty.
        begin, end: ``HH:MM``; an end that is not after the begin is on the next day.
        time_zone: of the IANA database.
    """

    days: Annotated[list[Day], Meta(max_length=7)] = []
    begin: TimeOfDay = "00:00"
    end: EndOfHours = "24:00"
    time_zone: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+\-/]*$")] = "UTC"


class StreamAnalyticParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What one analytic is to do, and who is told."""

    targets: Annotated[list[str], Meta(max_length=100)] = []
    callbacks: Callbacks = []
    parameters: dict[str, Any] = {}


class StreamAnalyticRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """One analytic of a stream; its position is its `analytic_index`."""

    analytic_name: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: StreamAnalyticParameters = StreamAnalyticParameters()
    schedules: Annotated[list[WorkingHours], Meta(max_length=50)] = []
    label: Word = ""


class NotificationPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told of each change of the stream's status."""

    callbacks: Callbacks = []


class CreateStream(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /2/streams``."""

    data: StreamData
    analytics: Annotated[list[StreamAnalyticRequest], Meta(min_length=1, max_length=16)]
    name: Word = "stream"
    description: Text = ""
    location: StreamLocation = StreamLocation()
    event_source_group: Group | None = None
    source: Word | None = None
    autorestart: StreamAutorestart = StreamAutorestart()
    notification_policy: NotificationPolicy = NotificationPolicy()


class StreamCreated(Struct, frozen=True):
    """Answer of ``POST /2/streams``."""

    stream_id: UUID
    url: str


class ShownData(Struct, frozen=True):
    """What is read, and how; secrets in `reference` are masked. `rotation` is there when the strategy is ``static``."""

    type: Literal["stream", "videofile"]
    reference: str
    orientation_strategy: Literal["static", "video_info"]
    downloadable: bool
    timestamp_source: TimestampSource
    pts: Pts
    timeout: int | None
    fps: float
    transport: Literal["tcp", "udp"]
    endless: bool
    motion_gate: MotionGate
    rotation: Literal[0, 90, 180, 270] | UnsetType = UNSET


class ShownAutorestart(Struct, frozen=True):
    """How it stands with restarts.

    Attributes:
        current_attempt: restarts in a row since frames last came.
        status: ``failed`` when all attempts were made, ``denied`` when restarting cannot help.
    """

    restart: Flag
    attempt_count: int
    delay: int
    current_attempt: int
    last_attempt_time: str | None
    status: Literal["disabled", "enabled", "in_progress", "failed", "denied"]


class ShownAnalytic(Struct, frozen=True):
    """One analytic of a stream and how it stands; secrets of its callbacks are masked."""

    analytic_name: str
    parameters: StreamAnalyticParameters
    schedules: list[WorkingHours]
    label: str
    status: StatusNumber
    autorestart: ShownAutorestart


class AgentStream(Struct, frozen=True):
    """A stream, or those of its fields that were asked for.

    Attributes:
        status: 0 pending, 1 in progress, 2 done, 3 restarting, 4 failed, 5 stopped, 6 its host was lost, 7 its
            analytics differ, 8 paused.
    """

    stream_id: UUID | UnsetType = UNSET
    account_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    data: ShownData | UnsetType = UNSET
    location: StreamLocation | UnsetType = UNSET
    event_source_group: str | UnsetType | None = UNSET
    source: str | UnsetType | None = UNSET
    version: int | UnsetType = UNSET
    create_time: str | UnsetType = UNSET
    last_error: str | UnsetType | None = UNSET
    groups: list[str] | UnsetType = UNSET
    status: StatusNumber | UnsetType = UNSET
    splittable: Flag | UnsetType = UNSET
    analytics: list[ShownAnalytic] | UnsetType = UNSET
    notification_policy: NotificationPolicy | UnsetType = UNSET


class AgentStreamList(Struct, frozen=True):
    """Some streams."""

    streams: list[AgentStream]


class AccountParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose the stream must be."""

    account_id: UUID | None = None


class StreamParams(AccountParams, frozen=True, forbid_unknown_fields=True):
    """Which fields of the stream are answered; all of them unless given."""

    targets: tuple[StreamTarget, ...] = ()


class StreamListParams(StreamParams, frozen=True, forbid_unknown_fields=True):
    """Which streams, in which order, and which of their fields.

    Attributes:
        stream_id__gte: included; stream_id__lt: not. With either the streams are sorted by id.
        order: ``desc`` begins with the newest, or last.
        order_column: by the time of creation unless given.
    """

    stream_ids: tuple[UUID, ...] | None = None
    stream_id__gte: UUID | None = None
    stream_id__lt: UUID | None = None
    names: tuple[Word, ...] = ()
    reference: Reference | None = None
    statuses: tuple[StatusNumber, ...] = ()
    create_time__gte: Moment | None = None
    create_time__lt: Moment | None = None
    sources: tuple[Word, ...] = ()
    event_source_groups: tuple[Line, ...] = ()
    order: Literal["asc", "desc"] = "desc"
    order_column: Literal["create_time", "name"] | None = None
    page: PageNumber = 1
    page_size: PageSize = 10


class PatchParams(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done: ``stop`` it, or ``resume`` it as a new run."""

    action: Literal["stop", "resume"]


class Patched(Struct, frozen=True):
    """How many streams were changed: 0 when the stream's state does not suit."""

    patched_count: Literal[0, 1]


class LogListParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries, and which of their fields."""

    account_id: UUID | None = None
    stream_ids: tuple[UUID, ...] | None = None
    statuses: tuple[StatusNumber, ...] = ()
    targets: tuple[LogTarget, ...] = ()
    log_time__lt: Moment | None = None
    log_time__gte: Moment | None = None
    page: PageNumber = 1
    page_size: PageSize = 10
    analytic_indexes: tuple[AnalyticIndex, ...] = ()


class StreamLog(Struct, frozen=True):
    """One change of an analytic's status, or an error; or those of its fields that were asked for.

    Attributes:
        analytic_index: null of a stream that has no analytics.
    """

    stream_id: UUID | UnsetType = UNSET
    status: StatusNumber | UnsetType = UNSET
    error: str | UnsetType | None = UNSET
    log_time: str | UnsetType = UNSET
    last_processed_frame_time: str | UnsetType | None = UNSET
    analytic_index: int | UnsetType | None = UNSET


class StreamLogList(Struct, frozen=True):
    """Some entries, the newest first."""

    logs: list[StreamLog]


class ClearLogsParams(Struct, frozen=True, forbid_unknown_fields=True):
    """How old an entry must be to go; every entry goes, but for the last of each stream, unless given."""

    log_time__lt: Moment | None = None


class LogsDeleted(Struct, frozen=True):
    """How many entries went."""

    deleted_count: int
