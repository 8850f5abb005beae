"""The agent surface's routes."""

from __future__ import annotations

from query_api.routes.route import JSON, PLACE, Answer, Route, Surface
from query_api.types import agent

A = Surface.AGENT

ROUTES = (
    Route("POST", "/1/videosdk", A, "videosdk", "Analyse a video, now or in the background.", "write",
          {200: Answer("What was found; nothing of it is stored.", agent.VideoSdkAnswer),
           202: Answer("The analysis goes on in the background.", agent.DeferredAnswer, headers=PLACE)},
          body=agent.VideoSdkRequest, body_media=(JSON,), refuses=(403, 404, 409, 422, 429)),
    Route("GET", "/1/video/tasks/{task_id:uuid}", A, "video_task", "How far a task is.", "read",
          {200: Answer("The task.", agent.VideoTask)}),
)  # fmt: skip
