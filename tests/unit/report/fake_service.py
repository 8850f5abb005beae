"""A query service in the process's own memory, for clients to be tried on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec

from infra.report.result import Result

VIDEO, TASK = "00000000-0000-4000-8000-0000000000aa", "00000000-0000-4000-8000-0000000000bb"


@dataclass
class FakeService:
    """Speaks the surface that the commands use; `break_after` cuts the next so many uploads there.

    Attributes:
        states: what the task answers, one after the other; the last stays.
    """

    result: Result
    states: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "done", "progress": 1.0}])
    break_after: list[int] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    size: int = 0
    name: str = ""
    complete: bool = False
    calls: list[str] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    refuse: httpx.Response | None = None
    lose_answer: bool = False

    def answer(  # noqa: PLR0911 a line a route
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """One request; raises ConnectError where the connection is to break."""
        self.calls.append(f"{method} {path}")
        if self.refuse is not None and path == "/1/videosdk":
            return self.refuse
        if path.startswith("/query/v1/videos"):
            return self._videos(method, path, query, headers, body)
        if path == "/health":
            return httpx.Response(200, json={})
        if path == "/1/videosdk":
            self.submitted.append(json.loads(body))
            return httpx.Response(202, json={"task_id": TASK, "url": ""})
        if path == f"/query/v1/tasks/{TASK}/result":
            return httpx.Response(200, content=msgspec.json.encode(self.result))
        if path == f"/query/v1/tasks/{TASK}/cancel":
            return httpx.Response(202, json={})
        if path == f"/query/v1/tasks/{TASK}":
            if method == "DELETE":
                return httpx.Response(204)
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return httpx.Response(200, json=state)
        return httpx.Response(404, json={"title": "Object not found", "detail": "no such thing"})

    def _videos(  # noqa: PLR0911 a line a method
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        item = {"video_id": VIDEO, "url": f"http://service/query/v1/videos/{VIDEO}"}
        if method == "POST":
            asked = parse_qs(query)
            self.name, self.size = asked["name"][0], int(asked["size"][0])
            return httpx.Response(201, json={**item, "complete": False})
        if method == "HEAD":
            return httpx.Response(200, headers={"Upload-Offset": str(len(self.received))})
        if method == "DELETE":
            return httpx.Response(204)
        if method == "GET":
            return httpx.Response(206 if self.complete else 409, content=b"")
        if self.complete:
            return httpx.Response(409, json={"detail": "the upload is whole already"})
        if int(headers["upload-offset"]) != len(self.received):
            return httpx.Response(409, json={"detail": "it stands elsewhere"})
        if self.break_after:
            self.received += body[: self.break_after.pop(0)]
            raise httpx.ConnectError("the connection broke")
        self.received += body
        self.complete = len(self.received) == self.size
        if self.lose_answer:
            raise httpx.ReadError("the answer was lost")
        return httpx.Response(200, json={**item, "complete": self.complete})

    def transport(self) -> httpx.MockTransport:
        """A way to it without a socket."""
        return httpx.MockTransport(
            lambda r: self.answer(r.method, r.url.path, r.url.query.decode(), dict(r.headers), r.read())
        )
