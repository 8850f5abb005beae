"""Requests and answers of the engine surface: streams, pipelines, nodes, analytics, smart search, configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from query_api.types.common import PRINTABLE, Moment, Url
from query_api.types.status import SemanticVersion

StreamName = Annotated[str, Meta(min_length=1, max_length=128, pattern=PRINTABLE)]
Latitude = Annotated[float, Meta(ge=-90.0, le=90.0)]
Longitude = Annotated[float, Meta(ge=-180.0, le=180.0)]
Days = Annotated[int, Meta(ge=0, le=36_500, description="0: for ever")]
Most = Annotated[int, Meta(ge=0, le=1_000_000_000, description="0: any number")]
Level = Literal["debug", "info", "warning", "error"]
State = Literal["PENDING", "RUNNING", "ENDED", "RESTARTING", "FAILED", "STOPPED", "LOST", "UNKNOWN", "PAUSED"]


# streams


class EngineStreamRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /streams/{node_num}``.

    Attributes:
        stream_address: ``rtsp:``, ``http(s):`` ... address, or the path of a file in the allowed folders.
        stream_name: the last part of its address when absent.
        stream_custom_data: JSON of your own.
        check_capability: room on the node is always looked for.
    """

    stream_address: Url
    stream_name: StreamName | None = None
    stream_latitude: Latitude | None = None
    stream_longitude: Longitude | None = None
    stream_custom_data: dict[str, Any] | None = None
    check_capability: bool = True


class EngineStreamChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PUT /streams/{node_num}/{stream_id}``; what is absent or null stays as it is."""

    stream_address: Url | None = None
    stream_name: StreamName | None = None
    stream_latitude: Latitude | None = None
    stream_longitude: Longitude | None = None
    stream_custom_data: dict[str, Any] | None = None


class EngineStream(Struct, frozen=True):
    """A stream; secrets in its address are masked, coordinates are 0 where none were given."""

    stream_id: str
    stream_name: str
    stream_address: str
    stream_node_num: int
    stream_latitude: float
    stream_longitude: float
    stream_custom_data: dict[str, Any]


class EngineStreams(Struct, frozen=True):
    """Streams, the newest first."""

    stream_number: int
    streams: list[EngineStream]


class PipelineSeat(Struct, frozen=True):
    """The seat that a pipeline takes."""

    analytic_id: str
    serial_number: str


class StreamStats(Struct, frozen=True):
    """How a stream runs.

    Attributes:
        fps, frame_width, frame_height: of its source; 0 before it was opened.
        host_node_num: the node that runs it, or ran it last; null where that is not known.
    """

    fps: float
    frame_width: int
    frame_height: int
    state: State
    last_error_msg: str
    host_node_num: int | None


class EngineStreamDetail(EngineStream, frozen=True, kw_only=True):
    """A stream with its pipelines."""

    pipelines: list[str]
    seats: list[PipelineSeat]
    stream_stats: StreamStats


class StreamCreated(Struct, frozen=True):
    """Answer to a new stream."""

    code: int
    ok: bool
    message: str
    node_num: int
    stream_id: str
    stream_address: str
    stream_name: str


class StreamChanged(Struct, frozen=True):
    """Answer to a change of a stream."""

    code: int
    message: str
    node_num: int
    stream_id: str
    stream_address: str
    stream_name: str


class StreamDeleted(Struct, frozen=True):
    """Answer to the end of a stream."""

    code: int
    message: str
    node_num: int
    stream_id: str


class PipelineAnswer(Struct, frozen=True):
    """Answer when a pipeline was attached or removed."""

    analytic_id: str
    code: int
    message: str
    node_num: int
    stream_id: str


# nodes


class EngineNode(Struct, frozen=True):
    """An ingest host; the time is that since its start, 0 while it is offline."""

    node_num: int
    status: Literal["online", "offline"]
    running_time_sec: int
    ip_address: str
    run_mode: Literal["CPU", "GPU"]


class NodeStatusAnswer(Struct, frozen=True):
    """Every node that was ever heard of."""

    node_number: int
    nodes: list[EngineNode]


class ServiceNumber(Struct, frozen=True):
    """How many processes of one kind use a card."""

    service_name: str
    service_number: int


class ServiceUsage(Struct, frozen=True):
    """What the processes of one kind take together: percents of one core, bytes in memory."""

    service_name: str
    service_number: int
    cpu_percent: float
    memory_used: int


class GpuStats(Struct, frozen=True):
    """A graphics card: percents, degrees Celsius, bytes; null for what it does not tell."""

    gpu_id: int
    gpu_name: str
    gpu_utilization: int | None
    gpu_temperature: int | None
    gpu_memory_total: int | None
    gpu_memory_used: int | None
    gpu_memory_free: int | None
    services: list[ServiceNumber]


class DeviceData(Struct, frozen=True):
    """A node's machine; `gpus` is null where there is no card, or no driver for it."""

    cpu_percent: float
    ram_percent: float
    swap_memory_percent: float
    gpus: list[GpuStats] | None
    services: list[ServiceUsage]


class Device(Struct, frozen=True):
    """A node that is online."""

    node_num: int
    data: DeviceData


class ResourceStats(Struct, frozen=True):
    """Every node that is online."""

    devices: list[Device]


class AddressedDevice(Struct, frozen=True):
    """A node that is online, and where."""

    node_num: int
    ip_address: str
    data: DeviceData


class AddressedResourceStats(Struct, frozen=True):
    """Every node that is online, and where."""

    devices: list[AddressedDevice]


class Done(Struct, frozen=True):
    """It was done, or begun."""

    code: int
    message: str


# analytics


class Seat(Struct, frozen=True):
    """A licence to run an analytic on one stream, or on any number of them."""

    serial_number: str
    active_status: bool


class AnalyticItem(Struct, frozen=True):
    """One analytic of the registry; `type` is what it calls its events."""

    id: str
    name: str
    major_version: int
    minor_version: int
    publisher: str
    description: str
    type: str
    seats: list[Seat]


class AnalyticList(Struct, frozen=True):
    """The registry."""

    code: int
    message: str
    analytic_num: int
    deployment_key: str
    version: SemanticVersion
    analytics: list[AnalyticItem]


# smart search


class SmartSearchRequest(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Body of ``POST /smart-search``.

    Attributes:
        type: ``image``.
        query: a JPEG, base64.
        threshold: least similarity, 0..1.
        stream_ids: full ids, or their last 16 hex digits.
        analytic_ids: what to search: ``object_detection`` (appearance) or ``face_detection`` (faces).
        from_, to: wall time of the pictures, from inclusive, to exclusive.
    """

    type: Annotated[str, Meta(max_length=100)]
    query: str
    limit: Annotated[int, Meta(ge=1, le=1000)] = 10
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    stream_ids: Annotated[list[Annotated[str, Meta(max_length=36)]], Meta(max_length=1000)] | None = None
    analytic_ids: Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=100)] | None = None
    from_: Moment | None = None
    to: Moment | None = None


class SmartSearchHit(Struct, frozen=True):
    """One picture that is like the one asked for; `image_jpeg` is base64, empty when it is gone."""

    stream_id: str
    analytic_id: str
    node_num: int
    timestamp_ms: int
    similarity: float
    image_jpeg: str
    primary_text: str
    secondary_text: str


class SmartSearchAnswer(Struct, frozen=True):
    """Answer of ``POST /smart-search``; the most alike first."""

    code: int
    message: str
    results: list[SmartSearchHit]


# configuration


class PlatformConfig(Struct, frozen=True):
    """The platform.

    Attributes:
        max_streams_per_node: of streams, not of tasks.
        event_retention_days: age at which events of streams are deleted.
        enable_cors: whether pages of other origins may ask.
        log_level: of the service and of all workers.
    """

    max_streams_per_node: int
    event_retention_days: int
    enable_cors: bool
    log_level: Level


class PlatformChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /config/platform``; what is absent or null stays as it is."""

    max_streams_per_node: Most | None = None
    event_retention_days: Days | None = None
    enable_cors: bool | None = None
    log_level: Level | None = None


class PlatformAnswer(Struct, frozen=True):
    """The platform's configuration as it holds now."""

    code: int
    message: str
    config: PlatformConfig


class DatabaseStats(Struct, frozen=True):
    """Of the disks on which the analytics database lies, and what it holds."""

    code: int
    message: str
    total_size_bytes: int
    used_size_bytes: int
    free_size_bytes: int
    event_count: int


class DatabaseConfig(Struct, frozen=True):
    """What is kept of streams.

    Attributes:
        retention_days: age at which detections, tracks, pictures, vectors and events are deleted.
        max_events_per_stream: of more than so many the oldest are deleted.
    """

    retention_days: int
    max_events_per_stream: int


class DatabaseChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PUT /config/database``; what is absent or null stays as it is."""

    retention_days: Days | None = None
    max_events_per_stream: Most | None = None


class DatabaseAnswer(Struct, frozen=True):
    """What is kept as of now."""

    code: int
    message: str
    config: DatabaseConfig


class CheckinRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /config/checkin``: a key pair that was issued."""

    access_key: Annotated[str, Meta(min_length=1, max_length=128)]
    secret_key: Annotated[str, Meta(min_length=1, max_length=512)]


class CheckinStatus(Struct, frozen=True):
    """The check-in. Nothing is locked without one.

    Attributes:
        deployment_key: names this installation; empty until its first check-in.
        last_checkin_at, expires_at: RFC 3339; null while there is none.
    """

    status: Literal["active", "expired", "inactive"]
    deployment_key: str
    last_checkin_at: str | None
    expires_at: str | None


class CheckinAnswer(Struct, frozen=True):
    """How the check-in stands."""

    code: int
    message: str
    checkin: CheckinStatus
