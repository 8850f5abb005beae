"""What travels through Kafka.

Values on `frames.*` are MessagePack, all others JSON. Every message is a tagged, frozen struct;
fields may be added with a default and are never removed or renamed (`core.contracts` checks it).

A run reads as `RunBegin`, its frames in order, `RunEnd`, on every topic between ingest and the
stores, under the stream's id as key: whoever follows one partition has the run's definition
before its first frame and knows when nothing more will come. Up to analyse an `AnalyticsChanged` may
stand between two frames.

Boxes are `(x_min, y_min, x_max, y_max)`, 0..1 of the upright frame's width and height. Values that
a schema allows and nothing can hold are refused when they are read (`core.bounds`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from core import bounds
from core.errors import BadMessage
from core.ids import EventId, Run, Seq, StreamId, TrackId, ViewId
from core.states import State

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Box: TypeAlias = tuple[float, float, float, float]
T = TypeVar("T")
Lane = Literal["live", "batch"]
Keyspace = Literal["appearance", "face"]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hours in which an analytic works.

    Attributes:
        days: on which the hours begin; all when empty.
        begin, end: ``HH:MM`` in `time_zone`; an end that is not after the begin is on the next day.
        time_zone: a name of the IANA database.
    """

    days: tuple[Day, ...] = ()
    begin: str = "00:00"
    end: str = "24:00"
    time_zone: str = "UTC"


class Analytic(msgspec.Struct, frozen=True, omit_defaults=True):
    """One analytic of a stream, by its position in `RunBegin.analytics`.

    Attributes:
        name: the analytic's id in the registry, such as ``object_detection``.
        parameters: its configuration, valid against its JSON Schema.
        targets: extra outputs asked for (``overview``, ``coordinates``).
        schedules: hours outside of which it is paused; empty: it always works.
    """

    name: str
    parameters: dict[str, Any] = {}
    targets: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ()


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where frames come from and how they are read.

    Attributes:
        url: ``file:``, ``http(s):``, ``rtsp:`` ... address, or ``media:<key>`` of an upload.
        fps: frames a second to sample; 0 reads every frame.
        start_s: media seconds to skip.
        rotation: clockwise degrees (0, 90, 180, 270) to turn on top of nothing; None follows
            the file's own orientation.
        realtime: play a recording at its own pace; a camera has no other.
        loop: begin a file again at its end.
        on_error: what a damaged packet does: ``continue`` passes over it, ``fail`` ends the run.
        transport: of RTSP's media.
        timeout_s: silence after which a camera's connection is given up, None: the setting's; and the time in which a
            file of the batch lane must have been fetched, None: as long as something comes.
        timestamps: where media time comes from; ``auto`` takes the source's own while they can be believed.
    """

    url: str
    fps: Annotated[float, Meta(ge=0.0, le=1000.0)] = 10.0
    start_s: Annotated[float, Meta(ge=0.0)] = 0.0
    rotation: Literal[0, 90, 180, 270] | None = None
    realtime: bool = False
    loop: bool = False
    on_error: Literal["continue", "fail"] = "continue"
    transport: Literal["tcp", "udp"] = "tcp"
    timeout_s: Annotated[float, Meta(gt=0.0, le=3600.0)] | None = None
    timestamps: Literal["auto", "pts", "dts", "server", "frame_rate"] = "auto"


class Gate(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a frame differs enough from those before it to be looked at.

    Attributes:
        threshold: difference of luma (0..255) from which a cell of the picture has changed.
        min_area: share of the picture that must have changed.
        recheck_s: a still scene is looked at again after so many seconds.
        masks: polygons of (x, y) in 0..1 of the upright picture, inside of which no change counts.
    """

    threshold: Annotated[float, Meta(gt=0.0, le=255.0)] = 25.0
    min_area: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.002
    recheck_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 10.0
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()


class Autorestart(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done when a stream has failed.

    Attributes:
        attempts: restarts before it is given up; the count begins again once frames come.
        delay_s: between them.
    """

    restart: bool = True
    attempts: Annotated[int, Meta(ge=0, le=1_000_000)] = 10
    delay_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = 60.0


FAITHFUL = Autorestart(attempts=1_000_000, delay_s=10.0)
"""For a camera that is not given up however long it is away."""


class StreamSpec(msgspec.Struct, frozen=True, tag_field="message", tag="stream_spec", omit_defaults=True):
    """Value of the compacted topic `streams`: what an ingest host is to run.

    Attributes:
        desired: ``run`` or ``stop``. A deleted stream is a tombstone (null value).
        started_ms: wall time of media second 0.
        model: detector's name in the zoo.
        ephemeral: results are answered once and stored nowhere (immediate analysis).
        gate: the motion gate; None looks at every frame.
        autorestart: None: a stream that has failed stays so.
    """

    stream_id: StreamId
    run: Run
    name: str
    lane: Lane
    source: Source
    analytics: tuple[Analytic, ...]
    model: str
    started_ms: int
    desired: Literal["run", "stop"] = "run"
    task: bool = False
    ephemeral: bool = False
    account_id: str = ""
    request_id: str = ""
    gate: Gate | None = None
    autorestart: Autorestart | None = None


class VideoInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the container says, corrected by what was read.

    Attributes:
        frames: frames decoded by the end of the run; the container's claim before it.
        width, height: of the upright video with square pixels, before scaling.
        duration_s: last presentation time plus one frame, by the end of the run.
        rotation: clockwise degrees that were applied.
    """

    width: int
    height: int
    fps: float
    frames: int | None = None
    duration_s: float | None = None
    rotation: int = 0
    codec: str = ""
    decoder: str = ""


class StreamProblem(msgspec.Struct, frozen=True):
    """Something wrong in a source, that did not or did end it.

    Attributes:
        at_frame: decoded frames before it.
        at_s: media second before it.
    """

    at_frame: int
    at_s: float
    reason: str


class IngestCounts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ingest's side of the ledger, cumulative over the run.

    ``decoded == sampled_out + read`` and ``read == gated + dropped + published``.
    """

    decoded: int = 0
    sampled_out: int = 0
    read: int = 0
    gated: int = 0
    published: int = 0
    dropped: dict[str, int] = {}


class RunBegin(msgspec.Struct, frozen=True, tag_field="message", tag="run_begin", omit_defaults=True):
    """First record of a run on every topic it passes."""

    stream_id: StreamId
    run: Run
    spec: StreamSpec
    video: VideoInfo


class AnalyticsChanged(msgspec.Struct, frozen=True, tag_field="message", tag="analytics_changed", omit_defaults=True):
    """From here on a run has other analytics; said again by whoever goes on with the run.

    Attributes:
        seq: of the frame that comes next, so that a replay is known for one.
        analytics: all of them, in the place of those of `RunBegin`.
    """

    stream_id: StreamId
    run: Run
    seq: Seq
    analytics: tuple[Analytic, ...]
    ephemeral: bool = False


class RunEnd(msgspec.Struct, frozen=True, tag_field="message", tag="run_end", omit_defaults=True):
    """Last record of a run on every topic it passes.

    Attributes:
        state: ``done`` (source ended), ``failure`` (error says why), ``stop`` (by request).
        problems: damaged places of the source, in order.
    """

    stream_id: StreamId
    run: Run
    state: Literal["done", "failure", "stop"]
    counts: IngestCounts
    ts_ms: int
    video: VideoInfo | None = None
    problems: tuple[StreamProblem, ...] = ()
    error: str | None = None
    ephemeral: bool = False


class Frame(msgspec.Struct, frozen=True, tag_field="message", tag="frame", omit_defaults=True):
    """One read frame.

    Attributes:
        seq: position among the run's read frames, from 0, without gaps.
        index: position among the source's decoded frames, from 0.
        media_s: presentation time in seconds from the source's begin.
        ts_ms: wall time of the frame (`StreamSpec.started_ms` + media time; capture if live).
        width, height: pixels of `jpeg`, upright, square pixels.
        faces: also look for faces.
        published_ms: wall time when it was handed to the producer.
        held: frames directly before it that the motion gate held back; `held_s` of media they last.
    """

    stream_id: StreamId
    run: Run
    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    width: int
    height: int
    jpeg: bytes
    model: str
    faces: bool = False
    ephemeral: bool = False
    published_ms: int = 0
    held: int = 0
    held_s: float = 0.0


class Place(msgspec.Struct, frozen=True):
    """Where a frame's bytes lie in Kafka."""

    topic: str
    partition: int
    offset: int


class Detection(msgspec.Struct, frozen=True):
    """One object in one frame; its id is (stream, run, seq, position in the list)."""

    label: str
    score: Fraction
    box: Box


class Face(msgspec.Struct, frozen=True):
    """One face in one frame.

    Attributes:
        landmarks: right eye, left eye, nose, mouth, right ear, left ear; (x, y) in 0..1.
    """

    score: Fraction
    box: Box
    landmarks: tuple[tuple[float, float], ...]


CANCELLED = "cancelled"
"""`FrameDetections.error` of a frame that nobody wants any more: its task is cancelled, or deleted."""


class FrameDetections(msgspec.Struct, frozen=True, tag_field="message", tag="frame_detections", omit_defaults=True):
    """What the detector saw in one frame; empty lists are a result too.

    Attributes:
        objects: sorted by falling score.
        faces: None when faces were not looked for.
        place: where the frame's JPEG can be read again.
        error: why the frame could not be analysed (then it is dead-lettered and empty here, so
            that the order of the run has no gap).
        held, held_s: as the frame's.
    """

    stream_id: StreamId
    run: Run
    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    width: int
    height: int
    model: str
    model_version: int
    place: Place
    objects: tuple[Detection, ...]
    faces: tuple[Face, ...] | None = None
    error: str | None = None
    ephemeral: bool = False
    published_ms: int = 0
    held: int = 0
    held_s: float = 0.0


class TrackedBox(msgspec.Struct, frozen=True, omit_defaults=True):
    """One confirmed track's place in one frame.

    Attributes:
        kind: ``object`` or ``face``.
        detection: position in `FrameDetections.objects` (or `.faces`) that it matched.
    """

    track_id: TrackId
    label: str
    score: Fraction
    box: Box
    kind: Literal["object", "face"] = "object"
    detection: int | None = None


class EarlierBox(msgspec.Struct, frozen=True):
    """A track's place in a frame before the one in which it was first believed."""

    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    track: TrackedBox


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """A picture and embedding of a track, taken at this message's frame.

    Attributes:
        embedding: L2-normalised vector of the keyspace's dimension; empty when none was made.
        jpeg: the crop, base64 in JSON; of an overview the whole picture, which may be a PNG.
        media_key: where the picture will be found in the media store.
        quality: 0..1, by which the best view of a track is chosen (score times relative size).
    """

    view_id: ViewId
    track_id: TrackId
    keyspace: Keyspace
    label: str
    score: Fraction
    box: Box
    media_key: str
    jpeg: bytes
    model: str
    embedding: tuple[float, ...] = ()
    quality: float = 0.0


class FrameTracks(msgspec.Struct, frozen=True, tag_field="message", tag="frame_tracks", omit_defaults=True):
    """What was being followed in one frame, with the views taken in it.

    Attributes:
        earlier: where the tracks that are believed from this frame on were before it.
    """

    stream_id: StreamId
    run: Run
    seq: Seq
    index: int
    media_s: float
    ts_ms: int
    width: int
    height: int
    tracks: tuple[TrackedBox, ...]
    views: tuple[View, ...] = ()
    error: str | None = None
    ephemeral: bool = False
    earlier: tuple[EarlierBox, ...] = ()


class Event(msgspec.Struct, frozen=True, tag_field="message", tag="event", omit_defaults=True):
    """One phase of an event; the latest phase number is the event as it stands.

    Attributes:
        type: the analytic's id.
        event_type: what the analytic calls it (``object``, ``crowd``, ``face``).
        number: counts this event's phases from 0; with `phase` it makes the CloudEvents id.
        begin_s, end_s: media seconds; `end_s` is None while it lasts.
        track_id: the track it is about, None where it is about a scene.
        score: highest score so far.
        image: media key of its best picture.
        data: fields of the analytic's own (``people_count``, ``overview``, ...).
        prior_ms: `ts_ms` of the phase before; None for the first.
    """

    event_id: EventId
    stream_id: StreamId
    run: Run
    analytic_index: int
    type: str
    event_type: str
    phase: Literal["begin", "update", "end"]
    number: int
    seq: Seq
    ts_ms: int
    begin_ms: int
    begin_s: float
    begin_seq: Seq
    end_ms: int | None = None
    end_s: float | None = None
    end_seq: Seq | None = None
    label: str = ""
    track_id: TrackId | None = None
    score: float = 0.0
    image: str | None = None
    box: Box | None = None
    data: dict[str, Any] = {}
    ephemeral: bool = False
    prior_ms: int | None = None


class Gpu(msgspec.Struct, frozen=True, omit_defaults=True):
    """One graphics card as its driver describes it; bytes, degrees Celsius and percents."""

    number: int
    name: str
    utilization: int | None = None
    temperature: int | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    memory_free: int | None = None
    services: dict[str, int] = {}


class Usage(msgspec.Struct, frozen=True):
    """What the processes of one kind take of their machine together.

    Attributes:
        number: how many they are.
        cpu_percent: of one core.
        memory: bytes in memory.
    """

    number: int
    cpu_percent: float
    memory: int


class StreamStatus(msgspec.Struct, frozen=True, tag_field="message", tag="stream_status", omit_defaults=True):
    """State change or heartbeat of a run.

    Attributes:
        state: as the agent surface names them.
        counts: ingest's side of the ledger at `ts_ms`.
        heartbeat: True when only counts changed.
        total_frames: frames the source is expected to have, for progress; None when unknown.
        attempt: restarts in a row since frames last came.
        paused: positions of the analytics that are outside of their schedules.
    """

    stream_id: StreamId
    run: Run
    state: State
    ts_ms: int
    host: str
    counts: IngestCounts = IngestCounts()
    heartbeat: bool = False
    error: str | None = None
    problems: tuple[StreamProblem, ...] = ()
    video: VideoInfo | None = None
    last_media_s: float | None = None
    total_frames: int | None = None
    ephemeral: bool = False
    attempt: int = 0
    paused: tuple[int, ...] = ()


class NodeStatus(msgspec.Struct, frozen=True, tag_field="message", tag="node_status", omit_defaults=True):
    """Value of the compacted topic `nodes`, key = host: an ingest host lives.

    Attributes:
        host: its name, unique among those that live, and the same after a restart.
        started_ms: when its process began.
        address: under which other machines reach it.
        run_mode: ``CPU`` or ``GPU``.
        cpu_percent, ram_percent, swap_percent: of its machine.
        gpus: of its machine; empty without one.
        services: processes of the stack on it by kind; `usage`: what they take of it.
        streams: how many it runs.
        ended: it has left by itself.
    """

    host: str
    ts_ms: int
    started_ms: int
    address: str
    run_mode: Literal["CPU", "GPU"]
    cpu_percent: float
    ram_percent: float
    swap_percent: float
    gpus: tuple[Gpu, ...] = ()
    services: dict[str, int] = {}
    streams: int = 0
    ended: bool = False
    usage: dict[str, Usage] = {}


class Orders(msgspec.Struct, frozen=True, tag_field="message", tag="orders", omit_defaults=True):
    """Value of the topic `nodes` under the key `orders`: what every worker is to do.

    Attributes:
        restart_ms: when a restart was last asked for; whoever hears of a later one ends, to be begun again.
        log_level: what is logged; empty: what each one's settings say.
    """

    restart_ms: int = 0
    log_level: Literal["", "debug", "info", "warning", "error"] = ""


class StreamChange(msgspec.Struct, frozen=True, tag_field="message", tag="stream_change", omit_defaults=True):
    """A stream, as its users see it, is in another state than before, or has told an error.

    Attributes:
        run: the one that was current.
        ts_ms: wall time of the change.
        version: of the stream, after it.
    """

    stream_id: StreamId
    run: Run
    state: State
    ts_ms: int
    version: int
    error: str | None = None


class TaskEnd(msgspec.Struct, frozen=True, tag_field="message", tag="task_end", omit_defaults=True):
    """A deferred task is over: done (everything of it is stored), failed (error says why) or cancelled."""

    stream_id: StreamId
    run: Run
    state: Literal["done", "failed", "cancelled"]
    ts_ms: int
    error: str | None = None


class Notification(msgspec.Struct, frozen=True, tag_field="message", tag="notification", omit_defaults=True):
    """What a callback of type ``luna-ws-notification`` tells; for whoever listens at a WebSocket.

    Attributes:
        notification_id: the same when it comes again.
        kind: what it is about.
        ts_ms: wall time of what it is about.
        analytic_index: of the event's analytic; None for a state.
        body: what an http callback would be sent.
    """

    stream_id: StreamId
    run: Run
    notification_id: str
    kind: Literal["event", "stream_status"]
    ts_ms: int
    account_id: str = ""
    analytic_index: int | None = None
    body: dict[str, Any] = {}


FramesMessage: TypeAlias = RunBegin | AnalyticsChanged | Frame | RunEnd
DetectionsMessage: TypeAlias = RunBegin | AnalyticsChanged | FrameDetections | RunEnd
TracksMessage: TypeAlias = RunBegin | FrameTracks | RunEnd
EventsMessage: TypeAlias = Event | RunEnd
NodesMessage: TypeAlias = NodeStatus | Orders

frames_encoder = msgspec.msgpack.Encoder()
json_encoder = msgspec.json.Encoder()
_frames_decoder: msgspec.msgpack.Decoder[FramesMessage] = msgspec.msgpack.Decoder(FramesMessage)
_spec_decoder: msgspec.json.Decoder[StreamSpec] = msgspec.json.Decoder(StreamSpec)
_RUN_END, _EPHEMERAL = b'{"message":"run_end"', b'"ephemeral":true'
_detections_decoder: msgspec.json.Decoder[DetectionsMessage] = msgspec.json.Decoder(DetectionsMessage)
_tracks_decoder: msgspec.json.Decoder[TracksMessage] = msgspec.json.Decoder(TracksMessage)
_events_decoder: msgspec.json.Decoder[EventsMessage] = msgspec.json.Decoder(EventsMessage)
_status_decoder: msgspec.json.Decoder[StreamStatus] = msgspec.json.Decoder(StreamStatus)
_nodes_decoder: msgspec.json.Decoder[NodesMessage] = msgspec.json.Decoder(NodesMessage)
_change_decoder: msgspec.json.Decoder[StreamChange] = msgspec.json.Decoder(StreamChange)
_task_end_decoder: msgspec.json.Decoder[TaskEnd] = msgspec.json.Decoder(TaskEnd)
_notification_decoder: msgspec.json.Decoder[Notification] = msgspec.json.Decoder(Notification)

MAX_JSON_BYTES = 32 * 1024 * 1024


def encode_frame(message: FramesMessage) -> bytes:
    """MessagePack bytes of a record of `frames.*`."""
    return frames_encoder.encode(message)


def encode_json(message: msgspec.Struct) -> bytes:
    """JSON bytes of a record of any other topic."""
    return json_encoder.encode(message)


def closes_run(value: bytes | None) -> bool:
    """Whether JSON bytes of `encode_json` are the `RunEnd` of a run that is kept; looks, and decodes nothing."""
    return value is not None and value.startswith(_RUN_END) and _EPHEMERAL not in value


def decode_frames(value: bytes | None) -> FramesMessage:
    """Read a record of `frames.live` or `frames.batch`. Raises BadMessage."""
    return _decode(_frames_decoder, value)


def decode_spec(value: bytes | None) -> StreamSpec:
    """Read a record of `streams` that is no tombstone. Raises BadMessage."""
    return _decode(_spec_decoder, value)


def decode_detections(value: bytes | None) -> DetectionsMessage:
    """Read a record of `detections`. Raises BadMessage."""
    return _decode(_detections_decoder, value)


def decode_tracks(value: bytes | None) -> TracksMessage:
    """Read a record of `tracks`. Raises BadMessage."""
    return _decode(_tracks_decoder, value)


def decode_event(value: bytes | None) -> EventsMessage:
    """Read a record of `events`. Raises BadMessage."""
    return _decode(_events_decoder, value)


def decode_status(value: bytes | None) -> StreamStatus:
    """Read a record of `stream-status`. Raises BadMessage."""
    return _decode(_status_decoder, value)


def decode_node(value: bytes | None) -> NodesMessage:
    """Read a record of `nodes`. Raises BadMessage."""
    return _decode(_nodes_decoder, value)


def decode_change(value: bytes | None) -> StreamChange:
    """Read a record of `stream-changes`. Raises BadMessage."""
    return _decode(_change_decoder, value)


def decode_task_end(value: bytes | None) -> TaskEnd:
    """Read a record of `task-ends`. Raises BadMessage."""
    return _decode(_task_end_decoder, value)


def decode_notification(value: bytes | None) -> Notification:
    """Read a record of `notifications`. Raises BadMessage."""
    return _decode(_notification_decoder, value)


def _decode(decoder: msgspec.json.Decoder[T] | msgspec.msgpack.Decoder[T], value: bytes | None) -> T:
    if value is None:
        raise BadMessage("the record has no value")
    if len(value) > MAX_JSON_BYTES:
        raise BadMessage(f"the record has {len(value)} bytes; {MAX_JSON_BYTES} are the most")
    try:
        message = decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(str(error)) from error
    bounds.check(message)
    return message
