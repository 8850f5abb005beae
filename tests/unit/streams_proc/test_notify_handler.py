"""From a record to callbacks: whom it is told, in what words, and what becomes of those that are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.errors import BadMessage, NotFound, StoreUnavailable
from core.ids import Run, StreamId
from core.messages import IngestCounts, Notification, RunEnd, TaskEnd, decode_notification, encode_json
from core.profile import (
    AnalyticProfile,
    Condition,
    EventPolicy,
    HttpCallback,
    KafkaCallback,
    Location,
    StreamProfile,
    TaskProfile,
    TelegramCallback,
    WebSocketCallback,
)
from core.settings import Kafka, Notify
from core.states import NUMBERS
from core.topics import Topics
from streams_proc.attempt import Backoff
from streams_proc.letter import OURS
from streams_proc.notify.deliveries import Deliveries
from streams_proc.notify.failures import Refused
from streams_proc.notify.handler import ONLY, NotifyHandler
from streams_proc.notify.notices import Notice, notice_of, receivers
from streams_proc.notify.notifications import Notifications
from streams_proc.notify.profiles import Profiles
from streams_proc.stage import Outcome, Poison, Record
from tests.unit.streams_proc.notify_kit import (
    ACCOUNT,
    BEGIN_MS,
    TOPICS,
    A,
    B,
    Row,
    as_record,
    change,
    events,
    hook,
    known,
    profile,
    row,
)
from tests.unit.streams_proc.stage_fakes import FakePublisher

AT_ONCE = Backoff(sleep=lambda _: asyncio.sleep(0), jitter=lambda: 1.0)


class Streams:
    def __init__(self, *rows: Row) -> None:
        self.rows = {row.spec.stream_id: row for row in rows}
        self.asked = 0
        self.failures = 0

    def stream(self, stream_id: StreamId) -> Row:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("not now")
        if stream_id not in self.rows:
            raise NotFound("deleted")
        return self.rows[stream_id]


class Sent:
    """Remembers what it was to send; refuses what goes to `bad`."""

    def __init__(self) -> None:
        self.notices: list[tuple[Any, Notice]] = []

    async def send(self, callback: Any, notice: Notice, timeout_s: float) -> None:
        self.notices.append((callback, notice))
        if "bad" in str(callback):
            raise Refused("client_error", "it answers 404")


class Bench:
    def __init__(self, *rows: Row, kept_s: float = 5.0) -> None:
        self.streams, self.sent, self.publisher = Streams(*rows), Sent(), FakePublisher()
        self.now = 0.0
        senders = dict.fromkeys((HttpCallback, KafkaCallback, TelegramCallback), self.sent)
        self.handler = NotifyHandler(
            TOPICS,
            Profiles(self.streams, kept_s, AT_ONCE, lambda: self.now),
            Deliveries(senders, Notify(), AT_ONCE),
            Notifications(self.publisher, TOPICS.notifications),
        )

    def handle(self, *messages: Any, headers: dict[str, bytes] | None = None) -> Sequence[Outcome]:
        records = [m if isinstance(m, Record) else as_record(m, i, headers) for i, m in enumerate(messages)]
        return asyncio.run(self._handle(records))

    async def _handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        return await self.handler.handle(records)

    @property
    def told(self) -> list[str]:
        return [notice.ce_id for _, notice in self.sent.notices]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [notice.body for _, notice in self.sent.notices]

    @property
    def notifications(self) -> list[Notification]:
        return [decode_notification(value) for value in self.publisher.values(TOPICS.notifications)]


# events


def test_an_event_is_told_as_its_policy_says_and_under_its_phase_s_id() -> None:
    bench = Bench(row(profile(hook())))
    phases = events(0.2, 1.0, 3.0)
    assert bench.handle(*phases) == [(), (), ()]
    assert bench.told == [f"{phases[0].event_id}/end/2"]
    started = Bench(row(profile(hook(), policy=EventPolicy("start"))))
    started.handle(*phases)
    assert started.told == [f"{phases[0].event_id}/begin/0"]


def test_the_body_is_the_agent_surface_s() -> None:
    where = Location(city="Riga", house_number="1a", latitude=56.9, longitude=24.1)
    kept = profile(hook(), location=where, source="3rd Avenue", event_source_group="group-123")
    bench = Bench(row(kept))
    overview = {"people_coordinates": [[1.0, 2.0]], "time_offset": 0.4}
    *_, end = events(0.2, 3.5, data={"people_count": 4, "overview": overview, "stream_id": "not this"}, image="a/b.jpg")
    bench.handle(end)
    (body,) = bench.bodies
    assert {name: value for name, value in body.items() if name != "event"} == {
        "ce_id": f"{end.event_id}/end/1",
        "account_id": ACCOUNT,
        "event_create_time": "2026-01-01T00:00:00.000Z",
        "event_end_time": "2026-01-01T00:00:03.500Z",
        "event_type": "crowd",
    }
    assert body["event"] == {
        "stream_id": str(A),
        "event_id": str(end.event_id),
        "track_id": 3,
        "people_count": 4,
        "overview": {"people_coordinates": [[1.0, 2.0]], "image": "a/b.jpg", "time_offset": 0.4},
        "label": "person",
        "score": 0.91235,
        "box": None,
        "image": "a/b.jpg",
        "analytic_name": "people_count",
        "analytic_index": 0,
        "phase": "end",
        "video_segment": {"start_time_offset": 1.0, "end_time_offset": 4.5},
        "location": {"city": "Riga", "house_number": "1a", "geo_position": {"longitude": 24.1, "latitude": 56.9}},
        "source": "3rd Avenue",
        "source_group": "group-123",
    }
    msgspec.json.encode(body)


def test_an_event_that_lasts_has_no_end_and_a_stream_that_says_nothing_has_nothing_to_say() -> None:
    bench = Bench(row(profile(hook(), policy=EventPolicy("start"))))
    bench.handle(events(0.2, 5.0)[0])
    (body,) = bench.bodies
    assert body["event_end_time"] is None
    assert body["event"]["location"] == {}
    assert (body["event"]["source"], body["event"]["source_group"]) == (None, None)


def test_conditions_are_looked_at_first() -> None:
    many = hook("many", conditions=(Condition("people_count", 5, "gte"),))
    few = hook("few", conditions=(Condition("people_count", 5, "lt"), Condition("event_type", "crowd")))
    bench = Bench(row(profile(many, few)))
    bench.handle(events(0.2, 3.0, data={"people_count": 4})[-1])
    assert [callback for callback, _ in bench.sent.notices] == [few]


def test_what_is_switched_off_is_not_made() -> None:
    bench = Bench(row(profile(hook(enable=False), WebSocketCallback(enable=False))))
    bench.handle(events(0.2, 3.0)[-1])
    assert (bench.told, bench.publisher.sent) == ([], [])


def test_each_analytic_has_its_own_and_those_of_another_definition_are_told_to_nobody() -> None:
    kept = StreamProfile(analytics=(AnalyticProfile(), AnalyticProfile(callbacks=(hook(),))))
    bench = Bench(row(kept))
    bench.handle(events(0.2, 3.0)[-1])
    assert bench.told == []
    bench = Bench(row(profile(hook())))
    of_before = msgspec.structs.replace(events(0.2, 3.0)[-1], type="line_crossing")
    beyond = msgspec.structs.replace(events(0.2, 3.0)[-1], analytic_index=4)
    bench.handle(of_before, beyond)
    assert bench.told == []


def test_what_leaves_nothing_and_what_only_ends_is_told_to_nobody() -> None:
    bench = Bench(row(profile(hook(), notifications=(hook(),))))
    end = RunEnd(A, Run(1), "done", IngestCounts(), BEGIN_MS)
    at_once = msgspec.structs.replace(events(0.2, 3.0)[-1], ephemeral=True)
    assert bench.handle(end, at_once) == [(), ()]
    assert (bench.told, bench.streams.asked) == ([], 0)


# who is asked for


def test_of_a_deleted_stream_nothing_is_told() -> None:
    bench = Bench()
    assert bench.handle(events(0.2, 3.0)[-1], change()) == [(), ()]
    assert bench.told == []


def test_a_stream_is_looked_up_again_after_some_seconds() -> None:
    bench = Bench(row(profile(hook("old"))))
    bench.handle(*(events(0.2, 3.0, number=n)[-1] for n in range(1, 6)))
    assert bench.streams.asked == 1
    bench.streams.rows = {A: row(profile(hook("new")))}
    bench.now = 4.9
    bench.handle(events(0.2, 3.0, number=6)[-1])
    bench.now = 5.1
    bench.handle(events(0.2, 3.0, number=7)[-1])
    assert [callback.url for callback, _ in bench.sent.notices] == ["https://old.example/"] * 6 + [
        "https://new.example/"
    ]


def test_a_database_that_is_away_is_waited_for_and_the_order_stays() -> None:
    bench = Bench(row(profile(hook(), policy=EventPolicy("period", 0.001))))
    bench.streams.failures = 7
    phases = events(0.2, 1.0, 2.0, 3.0)
    bench.handle(*phases)
    assert bench.told == [f"{phases[0].event_id}/{phase.phase}/{phase.number}" for phase in phases]


def test_callbacks_that_cannot_be_read_are_told_to_nobody_and_stop_nothing() -> None:
    bench = Bench(Row(row(profile(hook())).spec, {"analytics": "of another version"}))
    assert bench.handle(events(0.2, 3.0)[-1]) == [()]


# states


@pytest.mark.parametrize(("state", "number"), NUMBERS.items())
def test_a_change_of_state_is_told(state: str, number: int) -> None:
    bench = Bench(row(StreamProfile(notifications=(hook(),))))
    bench.handle(change(state, error="rtsp://me:pw@camera/1 does not answer"))
    assert bench.bodies == [
        {
            "ce_id": f"{A}/status/1/{state}/{BEGIN_MS}",
            "stream_id": str(A),
            "account_id": ACCOUNT,
            "status": number,
            "status_name": state,
            "error": "rtsp://***@camera/1 does not answer",
            "time": "2026-01-01T00:00:00.000Z",
            "version": 3,
        }
    ]


# tasks


def test_the_end_of_a_task_is_told() -> None:
    task = TaskProfile((hook(), TelegramCallback("t", "5")), "http://here:4004")
    bench = Bench(row(StreamProfile(task=task)))
    bench.handle(TaskEnd(A, Run(1), "done", BEGIN_MS))
    assert len(bench.bodies) == 2
    assert bench.bodies[0] == {
        "ce_id": f"{A}/task/1/done",
        "task_id": str(A),
        "account_id": ACCOUNT,
        "status": 5,
        "status_name": "done",
        "error": None,
        "time": "2026-01-01T00:00:00.000Z",
        "url": f"http://here:4004/1/video/tasks/{A}",
        "result_url": f"http://here:4004/query/v1/tasks/{A}/result",
    }
    states = {
        state: notice_of(TaskEnd(A, Run(1), state, 1), known()).body["status"] for state in ("cancelled", "failed")
    }
    assert states == {"cancelled": 2, "failed": 3}


def test_the_end_of_a_task_with_nobody_to_tell() -> None:
    assert Bench(row(StreamProfile())).handle(TaskEnd(A, Run(1), "failed", 1, "why")) == [()]
    assert receivers(TaskEnd(A, Run(1), "failed", 1), known()) == ()


# websockets


def test_a_websocket_callback_is_published_for_those_who_listen() -> None:
    kept = profile(WebSocketCallback(), notifications=(WebSocketCallback(),))
    bench = Bench(row(kept))
    end = events(0.2, 3.0)[-1]
    bench.handle(end, change())
    of_event, of_state = bench.notifications
    assert (of_event.kind, of_event.analytic_index, of_event.account_id) == ("event", 0, ACCOUNT)
    assert of_event.notification_id == of_event.body["ce_id"] == f"{end.event_id}/end/1"
    assert of_event.body["event"]["stream_id"] == str(A)
    assert (of_state.kind, of_state.analytic_index, of_state.body["status"]) == ("stream_status", None, 4)
    assert {output.key for output in bench.publisher.sent} == {str(A).encode()}
    assert bench.publisher.sent[0].headers["ce_id"] == of_event.notification_id.encode()


# what is given up


def test_what_is_given_up_is_a_dead_letter_that_names_it_and_keeps_the_record() -> None:
    bench = Bench(row(profile(hook(), hook("bad"), hook("worse", headers={"X": "bad"}))))
    end = events(0.2, 3.0)[-1]
    ((letter,),) = bench.handle(end, headers={"ce_id": b"x"})
    assert (letter.topic, letter.value) == (TOPICS.dead_letters, encode_json(end))
    assert letter.headers["stage"] == b"notify"
    reason = letter.headers["reason"].decode()
    assert reason.startswith("Undelivered: callback 1 (http): client_error: it answers 404; callback 2 (http): ")
    assert letter.headers[ONLY] == b"1,2"
    assert letter.headers["ce_id"] == b"x"
    assert ONLY not in OURS, "a replay has it again"


def test_a_replayed_letter_makes_only_what_was_given_up() -> None:
    bench = Bench(row(profile(hook("a"), hook("b"), hook("c"))))
    end = events(0.2, 3.0)[-1]
    bench.handle(end, headers={ONLY: b"0,2"})
    assert [callback.url for callback, _ in bench.sent.notices] == ["https://a.example/", "https://c.example/"]


def test_any_number_of_them_stops_nothing() -> None:
    """They are no poison: their receivers' faults are not the line's."""
    bench = Bench(row(profile(hook("bad"))))
    outcomes = bench.handle(*(events(0.2, 3.0, number=n)[-1] for n in range(1, 300)))
    assert not any(isinstance(outcome, Poison) for outcome in outcomes)
    assert all(len(outcome) == 1 for outcome in outcomes if not isinstance(outcome, Poison))


def test_what_cannot_be_read_is_poison() -> None:
    bench = Bench(row(profile(hook())))
    key = str(A).encode()
    good = encode_json(events(0.2, 3.0)[-1])
    records = (
        Record(TOPICS.events, 0, 0, key, b"{"),
        Record(TOPICS.events, 0, 1, str(B).encode(), good),
        Record(TOPICS.stream_changes, 0, 2, key, good),
        Record(TOPICS.task_ends, 0, 3, key, None),
        Record(Topics.of(Kafka()).tracks, 0, 4, key, good),
    )
    for outcome in bench.handle(*records):
        assert isinstance(outcome, Poison)
        assert isinstance(outcome.error, BadMessage)
    assert bench.told == []
