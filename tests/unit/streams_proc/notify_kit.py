"""Events, states and receivers for the tests of notify."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.ids import EventId, Run, Seq, StreamId, TrackId, event_id
from core.messages import Analytic, Event, Source, StreamChange, StreamSpec, encode_json
from core.profile import AnalyticProfile, Callback, EventPolicy, HttpCallback, StreamProfile, extra_of
from core.settings import Kafka
from core.topics import Topics
from streams_proc.notify.notices import Notice
from streams_proc.notify.profiles import Known
from streams_proc.stage import Record

TOPICS = Topics.of(Kafka(prefix=""))
A, B = StreamId(UUID(int=1)), StreamId(UUID(int=2))
BEGIN_MS = 1_767_225_600_000
ACCOUNT = "8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a"


def hook(host: str = "one", **more: Any) -> HttpCallback:
    return HttpCallback(f"https://{host}.example/", **more)


def events(*at_s: float, number: int = 1, stream: StreamId = A, ended: bool = True, **more: Any) -> list[Event]:
    """The phases of one event that began at second 0: begin, updates and end, each told at its second."""
    told: list[Event] = []
    for place, second in enumerate(at_s):
        last = ended and place == len(at_s) - 1
        ts_ms = BEGIN_MS + round(second * 1000)
        told.append(
            Event(
                event_id=EventId(event_id(stream, Run(1), 0, number)),
                stream_id=stream,
                run=Run(1),
                analytic_index=0,
                type="people_count",
                event_type="crowd",
                phase="end" if last else "update" if place else "begin",
                number=place,
                seq=Seq(place),
                ts_ms=ts_ms,
                begin_ms=BEGIN_MS,
                begin_s=1.0,
                begin_seq=Seq(0),
                end_ms=ts_ms if last else None,
                end_s=1.0 + second if last else None,
                end_seq=Seq(place) if last else None,
                label="person",
                track_id=TrackId(3),
                score=0.91234567,
                prior_ms=told[-1].ts_ms if told else None,
                **more,
            )
        )
    return told


def change(state: Any = "failure", ts_ms: int = BEGIN_MS, **more: Any) -> StreamChange:
    return StreamChange(A, Run(1), state, ts_ms, 3, **more)


def profile(*callbacks: Callback, policy: EventPolicy | None = None, **more: Any) -> StreamProfile:
    return StreamProfile(analytics=(AnalyticProfile(callbacks=callbacks, event_policy=policy),), **more)


def known(kept: StreamProfile | None = None) -> Known:
    return Known(ACCOUNT, ("people_count",), kept or StreamProfile())


def notice(ce_id: str = "x/end/1", lane: str = "x") -> Notice:
    return Notice(ce_id, "event", lane, A, Run(1), ACCOUNT, BEGIN_MS, {"ce_id": ce_id}, 0)


def as_record(message: Any, offset: int = 0, headers: dict[str, bytes] | None = None) -> Record:
    topic = {"event": TOPICS.events, "run_end": TOPICS.events, "stream_change": TOPICS.stream_changes}.get(
        message.__struct_config__.tag, TOPICS.task_ends
    )
    return Record(topic, 0, offset, str(message.stream_id).encode(), encode_json(message), headers or {})


@dataclass
class Row:
    """A stream as the control database has it."""

    spec: StreamSpec
    extra: dict[str, Any] = field(default_factory=dict)


def row(kept: StreamProfile, stream: StreamId = A) -> Row:
    spec = StreamSpec(
        stream,
        Run(1),
        "s",
        "live",
        Source("rtsp://c/1"),
        (Analytic("people_count"),),
        "m",
        BEGIN_MS,
        account_id=ACCOUNT,
    )
    return Row(spec, extra_of(kept))
