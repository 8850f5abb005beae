"""Requests and answers of Sightline's own surface, under ``/query/v1``."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from core.bounds import MOST_CORNERS, MOST_MASKS
from core.messages import Box, Gate
from query_api.types.agent import AnalyticResult, VideoData
from query_api.types.common import PRINTABLE, Cursor, Limit, Moment, Name, Rate, Url

Order = Literal["asc", "desc"]
Words = tuple[Annotated[str, Meta(max_length=256)], ...]
RunNumber = Annotated[int, Meta(ge=1, le=2**31 - 1)]
FrameNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TrackNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Score = Annotated[float, Meta(ge=0.0, le=1.0)]
BucketName = Literal["second", "minute", "hour", "day"]
GroupName = Literal["label", "stream", "type"]
MetricName = Literal["detections", "objects", "visits", "events", "max_at_once"]
TaskStateName = Literal["pending", "in_progress", "collecting", "done", "failed", "cancelled"]


class PageParams(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a list."""

    limit: Limit | None = None
    cursor: Cursor | None = None


class RowParams(PageParams, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What all lists of findings can be filtered by.

    Attributes:
        from_, to: wall time, milliseconds since the epoch or RFC 3339.
        area: x_min,y_min,x_max,y_max in 0..1.
    """

    stream_ids: tuple[UUID, ...] | None = None
    run: RunNumber | None = None
    from_: Moment | None = None
    to: Moment | None = None
    labels: Words = ()
    min_score: Score | None = None
    area: tuple[Score, Score, Score, Score] | None = None


class DetectionsParams(RowParams, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Filters of detections."""

    order: Order = "asc"
    kind: Literal["object", "face"] | None = None


class TracksParams(DetectionsParams, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Filters of tracks."""

    track_id: TrackNumber | None = None


class EventFilterParams(RowParams, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What events can be filtered by."""

    track_id: TrackNumber | None = None
    event_ids: tuple[UUID, ...] = ()
    types: Words = ()
    event_types: Words = ()
    phases: tuple[Literal["begin", "update", "end"], ...] = ()


class EventsParams(EventFilterParams, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Filters of events."""

    order: Order = "asc"


class StatisticsParams(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What is counted, how it is divided, and among which rows.

    Attributes:
        metric: ``detections`` (boxes), ``visits`` (tracks), ``objects`` (objects in frames),
            ``events``, or ``max_at_once``.
        bucket: divide by time.
    """

    metric: MetricName = "visits"
    bucket: BucketName | None = None
    group_by: tuple[GroupName, ...] = ()
    stream_ids: tuple[UUID, ...] | None = None
    run: RunNumber | None = None
    from_: Moment | None = None
    to: Moment | None = None
    labels: Words = ()
    min_score: Score | None = None
    area: tuple[Score, Score, Score, Score] | None = None
    types: Words = ()


class LedgerParams(PageParams, frozen=True, forbid_unknown_fields=True):
    """Whose ledger.

    Attributes:
        places: also look where frames in flight wait, which takes a look at Kafka.
    """

    stream_ids: tuple[UUID, ...] | None = None
    run: RunNumber | None = None
    places: bool = True


class LedgerFramesParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run of the stream (the current one unless given), and which frames of it.

    Attributes:
        after: only frames with a higher number: `next_after` of the answer before.
    """

    run: RunNumber | None = None
    limit: Limit | None = None
    after: FrameNumber | None = None


class StreamsParams(PageParams, frozen=True, forbid_unknown_fields=True):
    """Filters of streams."""

    stream_ids: tuple[UUID, ...] | None = None
    names: Words = ()
    desired: Literal["run", "stop"] | None = None


class EventItem(Struct, frozen=True):
    """One event as it stands; `end` is null while it lasts."""

    event_id: UUID
    stream_id: UUID
    run: int
    type: str
    event_type: str
    phase: Literal["begin", "update", "end"]
    label: str
    score: float
    track_id: int | None
    begin: str
    begin_ms: int
    begin_s: float
    end: str | None
    end_ms: int | None
    end_s: float | None
    image: str | None
    box: Box | None
    data: dict[str, Any]


class EventsPage(Struct, frozen=True):
    """Some events."""

    items: list[EventItem]
    next_cursor: str | None


class DetectionItem(Struct, frozen=True):
    """One object or face in one frame; `frame` counts the source's decoded frames."""

    stream_id: UUID
    run: int
    seq: int
    kind: str
    idx: int
    frame: int
    media_s: float
    ts_ms: int
    label: str
    score: float
    box: Box
    landmarks: list[tuple[float, float]]


class DetectionsPage(Struct, frozen=True):
    """Some detections."""

    items: list[DetectionItem]
    next_cursor: str | None


class TrackItem(Struct, frozen=True):
    """One thing followed over its whole life."""

    stream_id: UUID
    run: int
    track_id: int
    kind: str
    label: str
    score: float
    frames: int
    first_ms: int
    last_ms: int
    first_s: float
    last_s: float
    first_frame: int
    last_frame: int
    image: str | None


class TracksPage(Struct, frozen=True):
    """Some tracks."""

    items: list[TrackItem]
    next_cursor: str | None


class StatisticsItem(Struct, frozen=True):
    """One group's value; what was not grouped by is null."""

    value: int
    bucket: str | None
    bucket_ms: int | None
    label: str | None
    stream_id: UUID | None
    type: str | None


class StatisticsAnswer(Struct, frozen=True):
    """Every group's value."""

    metric: str
    items: list[StatisticsItem]


class Ledger(Struct, frozen=True):
    """Where every decoded frame of a run went.

    ``decoded = sampled_out + read``; ``read = processed + gated + dropped + dead_lettered + in_flight``.
    """

    decoded: int
    sampled_out: int
    read: int
    processed: int
    gated: int
    dropped: dict[str, int]
    dead_lettered: int
    in_flight: int


class Places(Struct, frozen=True):
    """Where the frames in flight are; all but `awaiting_analyse` sum to `in_flight`.

    Attributes:
        ingest: read, and not acknowledged by Kafka yet.
        detect: on `frames.live` or `frames.batch`, waiting for the detector.
        sink: on `detections`, waiting to be stored.
        missing: on none of them: expired unread, or lost.
        unlocated: acknowledged, and not looked for: Kafka does not answer, or too much waits there.
        awaiting_analyse: frames on `detections` that analyse has not followed yet, stored ones among them;
            null when it is not known.
    """

    ingest: int = 0
    detect: int = 0
    sink: int = 0
    missing: int = 0
    unlocated: int = 0
    awaiting_analyse: int | None = 0


class LedgerItem(Ledger, frozen=True, kw_only=True):
    """One run's ledger.

    Attributes:
        finished: the run has ended and everything of it is stored, so nothing may be in flight.
        imbalance: frames by which counts that were made independently of each other differ, or that
            cannot be found; 0 is right.
        differences: what does not hold, in words.
        places: of the frames in flight; null when it was not asked for.
    """

    stream_id: UUID
    run: int
    name: str
    state: str
    finished: bool
    imbalance: int
    differences: list[str]
    places: Places | None


class LedgerPage(Struct, frozen=True):
    """Ledgers of some streams' runs."""

    items: list[LedgerItem]
    next_cursor: str | None


class FramePlace(Struct, frozen=True):
    """One frame in flight, by its number in the run.

    Attributes:
        place: as in `Places`; frames at ingest have no number yet and are not listed.
        topic, partition, offset: of its record, where it is on Kafka.
    """

    seq: int
    place: Literal["detect", "sink", "missing", "unlocated"]
    topic: str | None
    partition: int | None
    offset: int | None


class LedgerFrames(LedgerItem, frozen=True, kw_only=True):
    """One run's ledger, with its frames in flight, the first ones first."""

    frames: list[FramePlace]
    next_after: int | None


class SourceProblem(Struct, frozen=True):
    """A damaged place of a source."""

    at_frame: int
    at_s: float
    reason: str


class VideoFacts(Struct, frozen=True):
    """A source as it was read: upright, square pixels; `rotation` in clockwise degrees."""

    name: str
    frames: int | None
    width: int
    height: int
    fps: float
    duration_s: float | None
    rotation: int


class StreamAnalytic(Struct, frozen=True, forbid_unknown_fields=True):
    """An analytic that a stream is to run."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: dict[str, Any] = {}
    targets: Annotated[list[str], Meta(max_length=100)] = []


Mask = Annotated[tuple[tuple[Score, Score], ...], Meta(min_length=3, max_length=MOST_CORNERS)]
_GATE = Gate()


class MotionGate(Struct, frozen=True, forbid_unknown_fields=True):
    """When a frame differs enough from those before it to be looked at.

    Attributes:
        threshold: difference of luma (0..255) from which a cell of the picture has changed.
        min_area: share of the picture that must have changed.
        recheck_s: a still scene is looked at again after so many seconds.
        masks: polygons of (x, y) in 0..1 of the upright picture, inside of which no change counts.
    """

    threshold: Annotated[float, Meta(gt=0.0, le=255.0)] = _GATE.threshold
    min_area: Score = _GATE.min_area
    recheck_s: Annotated[float, Meta(ge=0.0, le=86_400.0)] = _GATE.recheck_s
    masks: Annotated[tuple[Mask, ...], Meta(max_length=MOST_MASKS)] = ()


class StreamRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /query/v1/streams``.

    Attributes:
        url: rtsp, rtmp, http(s) ... address, a file of the allowed folders, or an upload's address.
        realtime: a file, on this machine or a web server, is played at its own pace (the default for files).
        loop: a file begins again at its end.
        gate: the motion gate; true: as it is by default, false or null: every frame is looked at.
        reconnect: a camera whose connection is lost, or that is not there, is asked again and again; false: that is
            the run's end, or failure. A file is never asked again.
    """

    url: Url
    name: Name = "stream"
    analytics: Annotated[tuple[StreamAnalytic, ...], Meta(min_length=1, max_length=16)] = (
        StreamAnalytic("object_detection"),
    )
    fps: Rate | None = None
    realtime: bool = True
    loop: bool = False
    model: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$")] | None = None
    gate: MotionGate | bool | None = True
    reconnect: bool = True


class StreamItem(Struct, frozen=True):
    """A stream and its current run; secrets in `url` are masked, and `gate` is null where every frame is looked at."""

    stream_id: UUID
    name: str
    url: str
    lane: str
    desired: str
    state: str
    run: int
    analytics: list[StreamAnalytic]
    model: str
    fps: float
    realtime: bool
    loop: bool
    gate: MotionGate | None
    created_at: str
    updated_at: str
    last_media_s: float | None
    video: VideoFacts | None
    error: str | None
    errors: list[SourceProblem]


class StreamsPage(Struct, frozen=True):
    """Some streams."""

    items: list[StreamItem]
    next_cursor: str | None


class UploadParams(Struct, frozen=True, forbid_unknown_fields=True):
    """The file's name, and that its bytes will come in pieces.

    Attributes:
        partial: the body, which may be empty, is only the beginning; the rest comes by PATCH.
        size: bytes of the whole file, when they are known before they come.
    """

    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)] | None = None
    partial: bool = False
    size: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class AppendParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether more pieces come."""

    partial: bool = False


class VideoItem(Struct, frozen=True):
    """An uploaded video.

    Attributes:
        url: what ``POST /1/videosdk`` takes, and what GET answers with the bytes.
        size: bytes received so far.
        sha256: of the whole file, null while it is not whole.
    """

    video_id: UUID
    url: str
    name: str
    size: int
    complete: bool
    sha256: str | None


class TaskItem(Struct, frozen=True):
    """A task in the list."""

    task_id: UUID
    name: str
    state: TaskStateName
    status: int
    progress: float
    created_at: str
    started_at: str | None
    ended_at: str | None
    url: str
    result_url: str
    error: str | None


class TaskDetail(TaskItem, frozen=True, kw_only=True):
    """A task with what it has done so far.

    Attributes:
        frames_per_s: frames analysed in a second so far.
        eta_s: seconds until it is done, null when that cannot be said.
        waiting_for: stores that have not yet kept everything.
    """

    model: str
    analytics: list[StreamAnalytic]
    video: VideoFacts | None
    ledger: Ledger
    frames_per_s: float
    eta_s: float | None
    errors: list[SourceProblem]
    waiting_for: list[str]


class TasksParams(PageParams, frozen=True, forbid_unknown_fields=True):
    """Filters of tasks."""

    names: Words = ()


class TasksPage(Struct, frozen=True):
    """Some tasks, the newest first."""

    items: list[TaskItem]
    next_cursor: str | None


class ObjectCounts(Struct, frozen=True):
    """One label: visits, analysed frames in which it was seen, and most of it in one frame."""

    visits: int
    frames: int
    most_at_once: int


class ResultBox(Struct, frozen=True):
    """A track's place in one analysed frame; `frame` counts decoded frames from 0."""

    frame: int
    s: float
    box: Box
    score: float


class ResultTrack(Struct, frozen=True):
    """One thing followed through the video."""

    track_id: int
    kind: str
    label: str
    score: float
    first_frame: int
    last_frame: int
    first_s: float
    last_s: float
    boxes: list[ResultBox]
    image: str | None


class ResultEvent(Struct, frozen=True):
    """One event; `image` is a key of ``/query/v1/media``."""

    event_id: str
    type: str
    event_type: str
    label: str
    begin_s: float
    end_s: float | None
    track_id: int | None
    score: float
    image: str | None
    data: dict[str, Any]


class Speed(Struct, frozen=True):
    """From the first frame read to the last stored."""

    frames: int
    seconds: float
    frames_per_s: float


class TaskResult(Struct, frozen=True):
    """Everything that was found; `video_data` and `analytics` are what an immediate analysis answers."""

    task_id: str
    video: VideoFacts
    ledger: Ledger
    errors: list[SourceProblem]
    objects: dict[str, ObjectCounts]
    tracks: list[ResultTrack]
    events: list[ResultEvent]
    speed: Speed
    video_data: VideoData
    analytics: list[AnalyticResult]
