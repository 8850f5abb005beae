"""The routes of Sightline's own surface."""

from __future__ import annotations

from typing import Any

from query_api.routes.route import (
    ANY,
    BYTES,
    FORM,
    JSON,
    PLACE,
    TABLES,
    Answer,
    Route,
    Surface,
    nothing,
)
from query_api.types import query

Q = Surface.QUERY
_UPLOAD = {"Upload-Offset": "bytes that were received", "Upload-Length": "bytes of the whole file, when known"}
_PAGES = "Rows as JSON page by page; as CSV, Arrow or Parquet all of them, unless `limit` is given."
_RANGE = {"Range": "bytes=FIRST-LAST, one range", "If-None-Match": "an ETag that was given before"}


def _rows(name: str, params: type, page: Any) -> Route:
    return Route(
        "GET", f"/query/v1/{name}", Q, "rows", f"{name.capitalize()}, filtered. {_PAGES}", "read",
        {200: Answer(f"The {name}.", page, TABLES)}, params=params, refuses=(406, 413), suffix=name,
    )  # fmt: skip


VIDEOS = (
    Route("POST", "/query/v1/videos", Q, "videos", "Upload a video, whole or its beginning.", "write",
          {201: Answer("It was received.", query.VideoItem, headers={**PLACE, **_UPLOAD})},
          params=query.UploadParams, body_media=(BYTES, FORM, "video/*"), body_required=False, refuses=(507,),
          headers={"Upload-Length": "bytes of the whole file, when they come in pieces"}),
    Route("GET", "/query/v1/videos/{video_id:uuid}", Q, "video", "The video's bytes.", "read",
          {200: Answer("All of it.", None, (ANY,), {"ETag": "changes with the bytes", "Accept-Ranges": "bytes"}),
           206: Answer("The range.", None, (ANY,), {"Content-Range": "which bytes these are"}),
           304: nothing("It has not changed.")}, refuses=(409, 416), headers=_RANGE),
    Route("HEAD", "/query/v1/videos/{video_id:uuid}", Q, "video", "How much was received.", "read",
          {200: nothing("So much.", **{"Upload-Offset": "bytes", "Upload-Length": "bytes of the whole"})}),
    Route("PATCH", "/query/v1/videos/{video_id:uuid}", Q, "video", "The next bytes of an upload.", "write",
          {200: Answer("They were received.", query.VideoItem, headers=_UPLOAD)}, params=query.AppendParams,
          body_media=(BYTES, "application/offset+octet-stream", "application/partial-upload"), refuses=(409, 507),
          headers={"Upload-Offset": "where these bytes begin; required",
                   "Upload-Complete": "?0 when more comes, ?1 when this is the end"}),
    Route("DELETE", "/query/v1/videos/{video_id:uuid}", Q, "video", "Remove an upload.", "write",
          {204: nothing("It is gone.")}, refuses=(409,)),
)  # fmt: skip

TASKS = (
    Route("GET", "/query/v1/tasks", Q, "tasks", "Tasks, the newest first.", "read",
          {200: Answer("The tasks.", query.TasksPage)}, params=query.TasksParams),
    Route("GET", "/query/v1/tasks/{task_id:uuid}", Q, "task", "A task, how far and how fast it is.", "read",
          {200: Answer("The task.", query.TaskDetail)}),
    Route("DELETE", "/query/v1/tasks/{task_id:uuid}", Q, "task", "Remove a task and all that it left.", "write",
          {204: nothing("It is gone.")}),
    Route("POST", "/query/v1/tasks/{task_id:uuid}/cancel", Q, "task", "Stop a task.", "write",
          {202: Answer("It is being stopped.", query.TaskDetail)}, refuses=(409,), suffix="cancel"),
    Route("GET", "/query/v1/tasks/{task_id:uuid}/result", Q, "task", "What a task found.", "read",
          {200: Answer("Everything.", query.TaskResult)}, refuses=(409, 413), suffix="result"),
)  # fmt: skip

FINDINGS = (
    Route("GET", "/query/v1/media/{key:path}", Q, "media", "A picture.", "read",
          {200: Answer("All of it.", None, (ANY,), {"ETag": "changes with the bytes", "Accept-Ranges": "bytes"}),
           206: Answer("The range.", None, (ANY,), {"Content-Range": "which bytes these are"}),
           304: nothing("It has not changed.")}, refuses=(416,), headers=_RANGE),
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
          {201: Answer("It is being watched.", query.StreamItem, headers=PLACE)},
          body=query.StreamRequest, body_media=(JSON,), refuses=(403, 404, 409, 422)),
    Route("GET", "/query/v1/streams/{stream_id:uuid}", Q, "stream", "A stream.", "read",
          {200: Answer("The stream.", query.StreamItem)}),
    Route("DELETE", "/query/v1/streams/{stream_id:uuid}", Q, "stream", "Remove a stream and all that it left.",
          "write", {204: nothing("It is gone.")}),
)  # fmt: skip

ROUTES = (*VIDEOS, *TASKS, *FINDINGS, *STREAMS)
