"""What the tests of watching share: a stream, its messages, and the other side of a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from falcon import testing

from core.ids import EventId, Run, Seq, StreamId, TrackId, event_id
from core.messages import (
    Analytic,
    Event,
    FrameTracks,
    IngestCounts,
    Notification,
    RunEnd,
    Source,
    StreamSpec,
    StreamStatus,
    TrackedBox,
    encode_json,
)
from core.settings import Kafka
from core.topics import Topics
from tests.unit.query_api.fakes import Parts
from warehouse.control.rows import StreamRow

STREAM = StreamId(UUID("557d54ec-29ad-4f3c-93b4-c9092ef12515"))
SHORT = "93b4c9092ef12515"
TOPICS = Topics.of(Kafka())
ADDRESS = "rtsp://admin:s3cret@camera.example/1"


def create(parts: Parts, stream: StreamId = STREAM, account_id: str = "", **more: Any) -> StreamRow:
    """A live stream with two analytics."""
    analytics = (Analytic("object_detection"), Analytic("people_count", {"roi": {"width": 20, "height": 15}}))
    spec = StreamSpec(stream, Run(1), "gate", "live", Source(ADDRESS), analytics, "m", 0, account_id=account_id)
    return parts.control.create_stream(spec, **more)


def report(parts: Parts, state: Any, stream: StreamId = STREAM, *, ts_ms: int = 1, **more: Any) -> StreamStatus:
    """A state of the stream's first run, in the database and on Kafka."""
    status = StreamStatus(stream, Run(1), state, ts_ms, "host", **more)
    parts.control.record_status(status)
    parts.tails.say(TOPICS.stream_status, stream, encode_json(status))
    return status


def follow(parts: Parts, seq: int, stream: StreamId = STREAM, label: str = "car") -> FrameTracks:
    """Publish what was tracked in a frame: one thing in its middle."""
    box = TrackedBox(TrackId(1), label, 0.9, (0.25, 0.25, 0.75, 0.75))
    tracks = FrameTracks(stream, Run(1), Seq(seq), seq, seq / 10, 0, 40, 30, (box,))
    parts.tails.say(TOPICS.tracks, stream, encode_json(tracks))
    return tracks


def happen(parts: Parts, place: int, stream: StreamId = STREAM, **more: Any) -> Event:
    """Publish an event."""
    given = {
        "event_id": EventId(event_id(stream, Run(1), 0, place)), "stream_id": stream, "run": Run(1),
        "analytic_index": 0, "type": "object_detection", "event_type": "object", "phase": "end", "number": 1,
        "seq": Seq(9), "ts_ms": 1_700_000_001_750, "begin_ms": 1_700_000_000_000, "begin_s": 0.0, "begin_seq": Seq(0),
        "end_ms": 1_700_000_001_500, "end_s": 1.5, "end_seq": Seq(8), "label": "car", "track_id": TrackId(place),
        "score": 0.9, "box": (0.1, 0.2, 0.4, 0.6), **more,
    }  # fmt: skip
    event = Event(**given)
    parts.tails.say(TOPICS.events, stream, encode_json(event))
    return event


def notify(parts: Parts, number: int, stream: StreamId = STREAM, **more: Any) -> Notification:
    """Publish what a callback tells."""
    body = {"event_id": str(number)}
    told = Notification(stream, Run(1), f"n{number}", "event", number, analytic_index=0, body=body, **more)
    parts.tails.say(TOPICS.notifications, stream, encode_json(told))
    return told


def finish_run(parts: Parts, state: Any = "done", stream: StreamId = STREAM, run: int = 1) -> None:
    """All events of the run have been published."""
    parts.tails.say(TOPICS.events, stream, encode_json(RunEnd(stream, Run(run), state, IngestCounts(), 0)))


async def until(condition: Callable[[], object], most_s: float = 20.0) -> None:
    """Until it is so; only a test that fails waits for long."""
    async with asyncio.timeout(most_s):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.001)


class Caller:
    """The other side of a WebSocket, with no server between; `room` is cleared while it takes nothing."""

    def __init__(self, app: Any, path: str, query: str = "", headers: dict[str, str] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.accepted = False
        self.room = asyncio.Event()
        self.room.set()
        self._app = app
        self._scope = testing.create_scope_ws(path, query, headers, spec_version="2.4")
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})

    async def __aenter__(self) -> Caller:
        self._task = asyncio.create_task(self._app(self._scope, self._inbox.get, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, 20)

    def say(self, text: str) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    async def close(self) -> tuple[int, str]:
        """How it was closed, once it was."""
        await until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    async def heard(self, many: int) -> list[dict[str, Any]]:
        """The messages, once there are so many."""
        await until(lambda: len(self.messages) >= many or self.closed)
        assert len(self.messages) >= many, (self.messages, self.closed)
        return self.messages

    async def _send(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "websocket.accept":
                self.accepted = True
            case "websocket.send":
                await self.room.wait()
                self.messages.append(json.loads(event["text"]))
            case "websocket.close":
                self.closed = (event["code"], event.get("reason", ""))
                self._inbox.put_nowait({"type": "websocket.disconnect", "code": event["code"]})
