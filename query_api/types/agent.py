"""Requests and answers of the agent surface: video analysis and its tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from query_api.types.common import Moment, Rate, Url

Flag = Literal[0, 1]
Angle = Literal[-270, -180, -90, 0, 90, 180, 270]
TimestampSource = Literal["auto", "pts", "dts", "server", "frame_rate"]


class CallbackAuthorization(Struct, frozen=True, forbid_unknown_fields=True):
    """Basic authorization of a callback."""

    login: str
    password: str
    type: Literal["basic"] = "basic"


class CallbackParams(Struct, frozen=True, forbid_unknown_fields=True):
    """How a callback is made."""

    timeout: Annotated[int, Meta(ge=1, le=600)] = 60
    content_type: Literal["application/json", "application/msgpack"] = "application/json"
    headers: dict[str, str] = {}


class HttpCallback(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="http"):
    """A POST to a URL when a task ends; `secret` is the key of its signature, empty: none is sent."""

    url: Url
    enable: Flag = 1
    authorization: CallbackAuthorization | None = None
    params: CallbackParams = CallbackParams()
    secret: Annotated[str, Meta(max_length=256)] = ""


class TelegramCallback(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="telegram"):
    """A message to a chat when a task ends."""

    token: str
    chat_id: str | int
    enable: Flag = 1
    params: CallbackParams = CallbackParams()


class NotificationCallbacks(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told when a task ends."""

    enable: Flag = 0
    task_callbacks: Annotated[list[HttpCallback | TelegramCallback], Meta(max_length=10)] = []


class StoragePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a task's result is kept and for how long; `ttl` -1 is until it is deleted."""

    storage_type: Literal["luna_image_store"] = "luna_image_store"
    ttl: Annotated[int, Meta(ge=-1)] = -1


class DeferredTask(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the analysis runs in the background."""

    enable: Flag = 0
    storage_policy: StoragePolicy = StoragePolicy()
    notification_callbacks: NotificationCallbacks = NotificationCallbacks()


class Orientation(Struct, frozen=True, forbid_unknown_fields=True):
    """How frames are turned: by `angle` clockwise, or by the file's own metadata."""

    orientation_strategy: Literal["static", "video_info"] = "static"
    angle: Angle = 0


class Pts(Struct, frozen=True, forbid_unknown_fields=True):
    """Media seconds to skip."""

    start_time: Annotated[float, Meta(ge=0.0, le=1e7)] | None = None


class ErrorHandling(Struct, frozen=True, forbid_unknown_fields=True):
    """What a damaged place does: end the analysis, or be passed over and reported."""

    action: Literal["fail", "continue"] = "continue"


class Video(Struct, frozen=True, forbid_unknown_fields=True):
    """The video to analyse.

    Attributes:
        url: http(s) address, or the address that an upload was given.
        orientation: the file's own when absent.
        fps: frames a second to analyse; 0 takes every frame.
        recorded_at: wall time of its first frame; the time of the request when absent.
    """

    url: Url
    orientation: Orientation | None = None
    pts: Pts = Pts()
    timestamp_source: TimestampSource = "auto"
    error_handling: ErrorHandling = ErrorHandling()
    fps: Rate | None = None
    recorded_at: Moment | None = None


class AnalyticParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What one analytic is to do."""

    targets: Annotated[list[str], Meta(max_length=100)] = []
    callbacks: Annotated[list[dict[str, Any]], Meta(max_length=10)] = []
    parameters: dict[str, Any] = {}


class RequestedAnalytic(Struct, frozen=True, forbid_unknown_fields=True):
    """One analytic that is to be run."""

    analytic_name: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: AnalyticParameters = AnalyticParameters()


class VideoSdkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /1/videosdk``; `model` names a detector of the zoo, the setting's when absent."""

    video: Video
    analytics: Annotated[list[RequestedAnalytic], Meta(min_length=1, max_length=16)]
    deferred_task: DeferredTask = DeferredTask()
    model: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$")] | None = None


class VideoData(Struct, frozen=True):
    """What was read.

    Attributes:
        frame_count: frames decoded.
        frame_rate: frames a second of the source.
        duration: seconds.
        error_count: damaged places.
        processed_parts: stretches of frames between them that were read.
    """

    frame_count: int
    frame_rate: float
    duration: float | None
    width: int
    height: int
    rotation: int
    error_count: int
    processed_parts: int


class VideoSegment(Struct, frozen=True):
    """Media seconds from begin to end of an event; no end when the video stopped before."""

    start_time_offset: float
    end_time_offset: float | None


class AgentEvent(Struct, frozen=True):
    """One event of an analytic; `event` holds what only this analytic tells."""

    event_id: str
    event_type: str
    event_create_time: str
    event_end_time: str | None
    video_segment: VideoSegment
    track_id: int | None
    label: str
    score: float
    box: tuple[float, float, float, float] | None
    image: str | None
    event: dict[str, Any]


class AnalyticResult(Struct, frozen=True):
    """One analytic's events."""

    analytic_name: str
    events: list[AgentEvent]


class VideoSdkAnswer(Struct, frozen=True):
    """Answer of an immediate analysis."""

    video_data: VideoData
    analytics: list[AnalyticResult]


class DeferredAnswer(Struct, frozen=True):
    """Answer when the analysis goes on in the background; `url` tells how far it is."""

    task_id: str
    url: str


class VideoTask(Struct, frozen=True):
    """How far a task is: 0 pending, 1 in progress, 2 cancelled, 3 failed, 4 collecting results, 5 done.

    Attributes:
        progress: 0..1.
        result_url: answers once the status is 5.
    """

    task_id: str
    status: Literal[0, 1, 2, 3, 4, 5]
    progress: float
    result_url: str
