"""What is told, the same for every kind of receiver, and who is to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from core.clock import rfc3339
from core.ids import Run, StreamId, ce_id
from core.log import mask
from core.messages import Event, StreamStatus, TaskEnd
from core.profile import Callback, EventPolicy, Location, StreamProfile, TaskCallback
from streams_proc.notify.due import due
from streams_proc.notify.profiles import Known

Kind = Literal["event", "stream_status", "task"]
STREAM_STATUS: Mapping[str, int] = MappingProxyType(
    {
        "pending": 0,
        "in_progress": 1,
        "done": 2,
        "restart": 3,
        "failure": 4,
        "stop": 5,
        "handler_lost": 6,
        "unknown": 7,
        "paused": 8,
    }
)
"""Of streams, as the agent surface numbers them."""

TASK_STATUS: Mapping[str, int] = MappingProxyType({"cancelled": 2, "failed": 3, "done": 5})
"""Of tasks, as the agent surface numbers them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told.

    Attributes:
        ce_id: the same whenever it is told again.
        lane: notices of one lane are told to a receiver in their order.
        ts_ms: wall time of what it is about.
        analytic_index: of an event.
    """

    ce_id: str
    kind: Kind
    lane: str
    stream_id: StreamId
    run: Run
    account_id: str
    ts_ms: int
    body: dict[str, Any]
    analytic_index: int | None = None


def receivers(message: Event | StreamStatus | TaskEnd, known: Known) -> Sequence[Callback | TaskCallback]:
    """All callbacks that are kept for such a message, those too that are switched off; none where it is not due.

    A place in the list names a callback as long as the profile stays as it is.
    """
    match message:
        case Event():
            return _of_analytic(message, known)
        case StreamStatus():
            return () if message.heartbeat else known.profile.notifications
        case TaskEnd():
            return () if known.profile.task is None else known.profile.task.callbacks


def notice_of(message: Event | StreamStatus | TaskEnd, known: Known) -> Notice:
    """What is told of a message."""
    match message:
        case Event():
            return _event(message, known)
        case StreamStatus():
            return _status(message, known)
        case TaskEnd():
            return _task(message, known)


def _of_analytic(event: Event, known: Known) -> Sequence[Callback]:
    index = event.analytic_index
    profiles = known.profile.analytics
    # the last events of a definition may come when the stream has another already
    if index >= len(profiles) or index >= len(known.analytics) or known.analytics[index] != event.type:
        return ()
    profile = profiles[index]
    return profile.callbacks if due(event, profile.event_policy or EventPolicy()) else ()


def _event(event: Event, known: Known) -> Notice:
    identity = ce_id(event.event_id, event.phase, event.number)
    profile = known.profile
    told: dict[str, Any] = {
        **event.data,
        "stream_id": str(event.stream_id),
        "event_id": str(event.event_id),
        "track_id": event.track_id,
        "label": event.label,
        "score": round(event.score, 5),
        "box": None if event.box is None else [round(edge, 5) for edge in event.box],
        "image": event.image,
        "analytic_name": event.type,
        "analytic_index": event.analytic_index,
        "phase": event.phase,
        "video_segment": {
            "start_time_offset": round(event.begin_s, 6),
            "end_time_offset": None if event.end_s is None else round(event.end_s, 6),
        },
        "location": _location(profile.location),
        "source": profile.source,
        "source_group": profile.event_source_group,
    }
    overview = event.data.get("overview")
    if isinstance(overview, dict):
        told["overview"] = {**overview, "image": event.image}
    body = {
        "ce_id": identity,
        "account_id": known.account_id,
        "event_create_time": rfc3339(event.begin_ms),
        "event_end_time": None if event.end_ms is None else rfc3339(event.end_ms),
        "event_type": event.event_type,
        "event": told,
    }
    return Notice(
        identity,
        "event",
        str(event.event_id),
        event.stream_id,
        event.run,
        known.account_id,
        event.ts_ms,
        body,
        event.analytic_index,
    )


def _location(location: Location | None) -> dict[str, Any]:
    """In the words of the agent surface; what is not known is left out."""
    if location is None:
        return {}
    told = {name: value for name, value in msgspec.structs.asdict(location).items() if value is not None}
    position = {name: told.pop(name) for name in ("longitude", "latitude") if name in told}
    return {**told, "geo_position": position} if position else told


def _status(status: StreamStatus, known: Known) -> Notice:
    stream = str(status.stream_id)
    identity = f"{stream}/status/{status.run}/{status.state}/{status.ts_ms}"
    body = {
        "ce_id": identity,
        "stream_id": stream,
        "account_id": known.account_id,
        "status": STREAM_STATUS[status.state],
        "status_name": status.state,
        "error": None if status.error is None else mask(status.error),
        "time": rfc3339(status.ts_ms),
        "version": known.version,
    }
    account = known.account_id
    return Notice(identity, "stream_status", stream, status.stream_id, status.run, account, status.ts_ms, body)


def _task(end: TaskEnd, known: Known) -> Notice:
    task = str(end.stream_id)
    identity = f"{task}/task/{end.run}/{end.state}"
    base = _base(known.profile)
    body = {
        "ce_id": identity,
        "task_id": task,
        "account_id": known.account_id,
        "status": TASK_STATUS[end.state],
        "status_name": end.state,
        "error": None if end.error is None else mask(end.error),
        "time": rfc3339(end.ts_ms),
        "url": f"{base}/1/video/tasks/{task}",
        "result_url": f"{base}/query/v1/tasks/{task}/result",
    }
    return Notice(identity, "task", task, end.stream_id, end.run, known.account_id, end.ts_ms, body)


def _base(profile: StreamProfile) -> str:
    return "" if profile.task is None else profile.task.base
