"""The agent surface's routes."""

from __future__ import annotations

from typing import Any

from query_api.routes.route import ACCOUNT, HTML, JSON, PLACE, TEXT, Answer, Route, Surface, nothing
from query_api.types import agent, agent_service
from query_api.types import agent_streams as streams

A = Surface.AGENT
_OWNER = {ACCOUNT: "id of the account that owns the stream; required"}

ANALYSIS = (
    Route("POST", "/1/videosdk", A, "videosdk", "Analyse a video, now or in the background.", "write",
          {200: Answer("What was found; nothing of it is stored.", agent.VideoSdkAnswer),
           202: Answer("The analysis goes on in the background.", agent.DeferredAnswer, headers=PLACE)},
          body=agent.VideoSdkRequest, body_media=(JSON,), refuses=(403, 404, 409, 422, 429)),
    Route("GET", "/1/video/tasks/{task_id:uuid}", A, "video_task", "How far a task is.", "read",
          {200: Answer("The task.", agent.VideoTask)}),
)  # fmt: skip

STREAMS = (
    Route("POST", "/2/streams", A, "agent_streams", "Watch a camera, a URL or a file.", "write",
          {201: Answer("It is being watched.", streams.StreamCreated, headers=PLACE)},
          body=streams.CreateStream, body_media=(JSON,), refuses=(403, 404, 409, 422), headers=_OWNER),
    Route("GET", "/2/streams", A, "agent_streams", "Streams, the newest first unless asked otherwise.", "read",
          {200: Answer("The streams.", streams.AgentStreamList)}, params=streams.StreamListParams),
    Route("GET", "/2/streams/{stream_id:uuid}", A, "agent_stream", "A stream.", "read",
          {200: Answer("The stream.", streams.AgentStream)}, params=streams.StreamParams),
    Route("DELETE", "/2/streams/{stream_id:uuid}", A, "agent_stream", "Remove a stream and all that it left.",
          "write", {204: nothing("It is gone.")}, params=streams.AccountParams),
    Route("PATCH", "/2/streams/{stream_id:uuid}", A, "agent_stream", "Stop a stream, or resume it.", "write",
          {200: Answer("How many streams were changed.", streams.Patched)}, params=streams.PatchParams),
    Route("GET", "/2/streams/logs", A, "stream_logs", "What happened to streams, the newest first.", "read",
          {200: Answer("The entries.", streams.StreamLogList)}, params=streams.LogListParams),
    Route("DELETE", "/2/streams/logs", A, "stream_logs",
          "Remove old entries. The last one of each stream stays. Entries also go by themselves, after "
          "`control.stream_logs_days`.", "write",
          {200: Answer("How many went.", streams.LogsDeleted)}, params=streams.ClearLogsParams),
)  # fmt: skip

SERVICE = (
    Route("GET", "/1/agent", A, "agent", "Who analyses here, what it can do, and what it does.", "read",
          {200: Answer("The agent.", agent_service.AgentInfo)}),
    Route("GET", "/1/config", A, "config", "Every setting, secrets hidden.", "admin",
          {200: Answer("The settings.", dict[str, Any], (JSON, TEXT))}, refuses=(415,),
          headers={"Accept": "application/json or text/plain"}),
    Route("GET", "/1/plugins", A, "plugins", "What is added to the service.", "read",
          {200: Answer("The plugins.", agent_service.Plugins)}),
    Route("GET", "/docs/dev", A, "manual", "The development manual.", None,
          {302: nothing("Where it begins.", Location="address of its first page")}),
    Route("GET", "/docs/dev/{page:path}", A, "manual", "A page of the development manual.", None,
          {200: Answer("The page.", None, (HTML,))}, suffix="page"),
)  # fmt: skip

ROUTES = (*ANALYSIS, *STREAMS, *SERVICE)
