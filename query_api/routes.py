"""Every route, in one table: resources are registered from it, requests read by it, OpenAPI made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from query_api.types import agent, engine, query, status
from query_api.types.common import NoParams

JSON = "application/json"
YAML = "application/x-yaml"
HTML = "text/html"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TABLES = (JSON, CSV, ARROW, PARQUET)
BYTES = "application/octet-stream"
FORM = "multipart/form-data"
PROMETHEUS = "text/plain"
ANY = "*/*"


class Surface(Enum):
    """Whose contract a route follows; it decides the shape of errors."""

    AGENT = "agent"
    ENGINE = "engine"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one status comes with.

    Attributes:
        body: type of the JSON body; None where `media` holds no JSON or there is no body.
        media: content types; empty for an answer without a body.
        headers: name to sentence.
    """

    says: str
    body: Any = None
    media: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)


def _nothing(says: str, **headers: str) -> Answer:
    return Answer(says, None, (), {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        path: Falcon's template.
        resource: name of the resource that `app.resources` makes; with `suffix`, which responder.
        scope: what a token must allow; None for operations that need no token.
        params: query parameters; every other is refused.
        body: type of the JSON body; None when there is none or it is a stream of bytes.
        body_media: what the body may be; empty when there is none.
        refuses: statuses of errors beyond those that every route has.
        headers: request headers, name to sentence.
    """

    method: str
    path: str
    surface: Surface
    resource: str
    summary: str
    scope: str | None
    answers: Mapping[int, Answer]
    params: type = NoParams
    body: Any = None
    body_media: tuple[str, ...] = ()
    body_required: bool = True
    refuses: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    suffix: str | None = None

    @property
    def operation(self) -> str:
        """Name of the operation, unique in the table."""
        return "_".join(filter(None, (self.resource, self.suffix, self.method.lower())))

    @property
    def errors(self) -> tuple[int, ...]:
        """Statuses of all errors that may be answered."""
        found = {400, 500, 503, *self.refuses}
        if self.scope is not None:
            found.add(401)
        if "{" in self.path:
            found.add(404)
        if self.body_media:
            found |= {413, 415}
        return tuple(sorted(found))


A, E, Q = Surface.AGENT, Surface.ENGINE, Surface.QUERY
_UPLOAD = {"Upload-Offset": "bytes that were received", "Upload-Length": "bytes of the whole file, when known"}
_PLACE = {"Location": "address of what was made"}
_PAGES = "Rows as JSON page by page; as CSV, Arrow or Parquet all of them, unless `limit` is given."
_RANGE = {"Range": "bytes=FIRST-LAST, one range", "If-None-Match": "an ETag that was given before"}


def _rows(name: str, params: type, page: Any) -> Route:
    return Route(
        "GET", f"/query/v1/{name}", Q, "rows", f"{name.capitalize()}, filtered. {_PAGES}", "read",
        {200: Answer(f"The {name}.", page, TABLES)}, params=params, refuses=(406, 413), suffix=name,
    )  # fmt: skip


STATUS = (
    Route("GET", "/", E, "root", "Who answers here.", "read", {200: Answer("The service.", status.Root)}),
    Route("GET", "/version", A, "version", "Version of the service.", None,
          {200: Answer("The version.", status.VersionAnswer)}),
    Route("GET", "/healthcheck", A, "healthcheck", "Check the databases, and on wish the services behind.", None,
          {200: Answer("All is well.", status.Healthcheck)}, params=status.HealthcheckParams),
    Route("GET", "/health", Q, "health", "Whether the process lives.", None, {200: Answer("It does.", status.Alive)}),
    Route("GET", "/ready", Q, "ready", "Whether requests can be served, part by part.", None,
          {200: Answer("They can.", status.Readiness), 503: Answer("They cannot.", status.Readiness)}),
    Route("GET", "/metrics", Q, "metrics", "Metrics of all processes of this machine.", "read",
          {200: Answer("Prometheus' text.", None, (PROMETHEUS,))}),
    Route("GET", "/docs/spec", A, "spec", "This description: YAML, JSON, or a page to read.", None,
          {200: Answer("The description.", None, (JSON, YAML, HTML))}, refuses=(415,),
          headers={"Accept": "application/x-yaml, text/html or application/json"}),
)  # fmt: skip

AGENT = (
    Route("POST", "/1/videosdk", A, "videosdk", "Analyse a video, now or in the background.", "write",
          {200: Answer("What was found; nothing of it is stored.", agent.VideoSdkAnswer),
           202: Answer("The analysis goes on in the background.", agent.DeferredAnswer, headers=_PLACE)},
          body=agent.VideoSdkRequest, body_media=(JSON,), refuses=(403, 404, 409, 422, 429)),
    Route("GET", "/1/video/tasks/{task_id:uuid}", A, "video_task", "How far a task is.", "read",
          {200: Answer("The task.", agent.VideoTask)}),
)  # fmt: skip

ENGINE = (
    Route("POST", "/smart-search", E, "smart_search", "Pictures that are like this one.", "read",
          {200: Answer("The most alike first.", engine.SmartSearchAnswer)},
          body=engine.SmartSearchRequest, body_media=(JSON,), refuses=(404, 422)),
)  # fmt: skip

VIDEOS = (
    Route("POST", "/query/v1/videos", Q, "videos", "Upload a video, whole or its beginning.", "write",
          {201: Answer("It was received.", query.VideoItem, headers={**_PLACE, **_UPLOAD})},
          params=query.UploadParams, body_media=(BYTES, FORM, "video/*"), body_required=False, refuses=(507,),
          headers={"Upload-Length": "bytes of the whole file, when they come in pieces"}),
    Route("GET", "/query/v1/videos/{video_id:uuid}", Q, "video", "The video's bytes.", "read",
          {200: Answer("All of it.", None, (ANY,), {"ETag": "changes with the bytes", "Accept-Ranges": "bytes"}),
           206: Answer("The range.", None, (ANY,), {"Content-Range": "which bytes these are"}),
           304: _nothing("It has not changed.")}, refuses=(409, 416), headers=_RANGE),
    Route("HEAD", "/query/v1/videos/{video_id:uuid}", Q, "video", "How much was received.", "read",
          {200: _nothing("So much.", **{"Upload-Offset": "bytes", "Upload-Length": "bytes of the whole"})}),
    Route("PATCH", "/query/v1/videos/{video_id:uuid}", Q, "video", "The next bytes of an upload.", "write",
          {200: Answer("They were received.", query.VideoItem, headers=_UPLOAD)}, params=query.AppendParams,
          body_media=(BYTES, "application/offset+octet-stream", "application/partial-upload"), refuses=(409, 507),
          headers={"Upload-Offset": "where these bytes begin; required",
                   "Upload-Complete": "?0 when more comes, ?1 when this is the end"}),
    Route("DELETE", "/query/v1/videos/{video_id:uuid}", Q, "video", "Remove an upload.", "write",
          {204: _nothing("It is gone.")}, refuses=(409,)),
)  # fmt: skip

TASKS = (
    Route("GET", "/query/v1/tasks", Q, "tasks", "Tasks, the newest first.", "read",
          {200: Answer("The tasks.", query.TasksPage)}, params=query.TasksParams),
    Route("GET", "/query/v1/tasks/{task_id:uuid}", Q, "task", "A task, how far and how fast it is.", "read",
          {200: Answer("The task.", query.TaskDetail)}),
    Route("DELETE", "/query/v1/tasks/{task_id:uuid}", Q, "task", "Remove a task and all that it left.", "write",
          {204: _nothing("It is gone.")}),
    Route("POST", "/query/v1/tasks/{task_id:uuid}/cancel", Q, "task", "Stop a task.", "write",
          {202: Answer("It is being stopped.", query.TaskDetail)}, refuses=(409,), suffix="cancel"),
    Route("GET", "/query/v1/tasks/{task_id:uuid}/result", Q, "task", "What a task found.", "read",
          {200: Answer("Everything.", query.TaskResult)}, refuses=(409, 413), suffix="result"),
)  # fmt: skip

FINDINGS = (
    Route("GET", "/query/v1/media/{key:path}", Q, "media", "A picture.", "read",
          {200: Answer("All of it.", None, (ANY,), {"ETag": "changes with the bytes", "Accept-Ranges": "bytes"}),
           206: Answer("The range.", None, (ANY,), {"Content-Range": "which bytes these are"}),
           304: _nothing("It has not changed.")}, refuses=(416,), headers=_RANGE),
    _rows("events", query.EventsParams, query.EventsPage),
    _rows("tracks", query.TracksParams, query.TracksPage),
    _rows("detections", query.DetectionsParams, query.DetectionsPage),
    Route("GET", "/query/v1/statistics", Q, "rows", "Counts, divided by time, label, stream or type.", "read",
          {200: Answer("The counts.", query.StatisticsAnswer, TABLES)}, params=query.StatisticsParams,
          refuses=(406, 413), suffix="statistics"),
    Route("GET", "/query/v1/ledger", Q, "ledgers",
          "Where every frame of every run went, or is. The sums always hold; `imbalance` says whether the counts "
          "behind them agree.", "read",
          {200: Answer("The ledgers.", query.LedgerPage, TABLES)}, params=query.LedgerParams, refuses=(404, 406, 413)),
    Route("GET", "/query/v1/ledger/{stream_id:uuid}", Q, "ledger",
          "The ledger of a stream's current run, or of another one, with the place of each frame in flight.", "read",
          {200: Answer("The ledger, and the frames.", query.LedgerFrames)}, params=query.LedgerFramesParams),
)  # fmt: skip

STREAMS = (
    Route("GET", "/query/v1/streams", Q, "streams", "Streams that are no tasks.", "read",
          {200: Answer("The streams.", query.StreamsPage, TABLES)}, params=query.StreamsParams, refuses=(406,)),
    Route("POST", "/query/v1/streams", Q, "streams", "Watch a camera, a URL or a file.", "write",
          {201: Answer("It is being watched.", query.StreamItem, headers=_PLACE)},
          body=query.StreamRequest, body_media=(JSON,), refuses=(403, 404, 409, 422)),
    Route("GET", "/query/v1/streams/{stream_id:uuid}", Q, "stream", "A stream.", "read",
          {200: Answer("The stream.", query.StreamItem)}),
    Route("DELETE", "/query/v1/streams/{stream_id:uuid}", Q, "stream", "Remove a stream and all that it left.",
          "write", {204: _nothing("It is gone.")}),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (*STATUS, *AGENT, *ENGINE, *VIDEOS, *TASKS, *FINDINGS, *STREAMS)


def surface_of(path: str) -> Surface:
    """The surface whose error shape answers for `path`, also where there is no route."""
    if path.startswith(("/1/", "/2/", "/docs/")) or path in {"/version", "/healthcheck"}:
        return Surface.AGENT
    if path in {"/", "/smart-search"} or path.startswith("/smart-search/"):
        return Surface.ENGINE
    return Surface.QUERY
