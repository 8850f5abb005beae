"""What is told, the same for every kind of receiver, and who is to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from core.clock import rfc3339
from core.ids import Run, StreamId
from core.log import mask
from core.messages import Event, StreamChange, TaskEnd
from core.profile import Callback, EventPolicy, StreamProfile, TaskCallback
from core.states import NUMBERS
from core.told import event_told
from streams_proc.notify.due import due
from streams_proc.notify.profiles import Known

Kind = Literal["event", "stream_status", "task"]
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


def receivers(message: Event | StreamChange | TaskEnd, known: Known) -> Sequence[Callback | TaskCallback]:
    """All callbacks that are kept for such a message, those too that are switched off; none where it is not due.

    A place in the list names a callback as long as the profile stays as it is.
    """
    match message:
        case Event():
            return _of_analytic(message, known)
        case StreamChange():
            return known.profile.notifications
        case TaskEnd():
            return () if known.profile.task is None else known.profile.task.callbacks


def notice_of(message: Event | StreamChange | TaskEnd, known: Known) -> Notice:
    """What is told of a message."""
    match message:
        case Event():
            return _event(message, known)
        case StreamChange():
            return _change(message, known)
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
    body = event_told(event, known.profile, known.account_id)
    lane = str(event.event_id)
    stream, run, account = event.stream_id, event.run, known.account_id
    return Notice(body["ce_id"], "event", lane, stream, run, account, event.ts_ms, body, event.analytic_index)


def _change(change: StreamChange, known: Known) -> Notice:
    stream = str(change.stream_id)
    identity = f"{stream}/status/{change.run}/{change.state}/{change.ts_ms}"
    body = {
        "ce_id": identity,
        "stream_id": stream,
        "account_id": known.account_id,
        "status": NUMBERS[change.state],
        "status_name": change.state,
        "error": None if change.error is None else mask(change.error),
        "time": rfc3339(change.ts_ms),
        "version": change.version,
    }
    account = known.account_id
    return Notice(identity, "stream_status", stream, change.stream_id, change.run, account, change.ts_ms, body)


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
