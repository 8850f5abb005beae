"""WebSockets: what they tell to whom, from where on, and how they are closed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any, cast
from uuid import UUID, uuid4

import falcon
import pytest

from core import metrics
from core.ids import Run, StreamId
from core.messages import Source, StreamSpec
from core.settings import Settings
from query_api.app import create_app
from query_api.services import watchable
from query_api.watching import channel as channels
from query_api.watching import listening
from query_api.watching.sockets import Messages
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.watching import (
    SHORT,
    STREAM,
    TOPICS,
    Caller,
    create,
    finish_run,
    happen,
    notify,
    report,
    until,
)

ALL = "/event_channel"
ONE = f"/event_channel/0/{SHORT}"
AGENT = "/2/ws"
NOTIFICATIONS = "/query/v1/notifications"
QUERY = f"stream_id={STREAM}&analytic_index=0"
OTHER = StreamId(UUID("557d54ec-29ad-4f3c-93b4-000000000001"))
Dial = Callable[..., Caller]


def changed(settings: Settings, **query: Any) -> Settings:
    return settings.model_copy(update={"query": settings.query.model_copy(update=query)})


def dialled(settings: Settings, parts: Parts, test: Callable[[Dial], Awaitable[None]]) -> None:
    async def inside() -> None:
        app = create_app(settings, parts.collaborators)

        def dial(path: str, query: str = "", **more: Any) -> Caller:
            return Caller(app, path, query, **more)

        await test(dial)

    asyncio.run(inside())


async def listened(parts: Parts, caller: Caller) -> None:
    """Until what is said now is heard by the caller."""
    await until(lambda: caller.accepted and parts.tails.running)
    await until(lambda: _audience(parts) or caller.closed)


def _audience(parts: Parts) -> bool:
    return any(_listeners(tail) for tail in parts.tails.running)


def labels(caller: Caller) -> list[str]:
    return [message["pipeline_data"]["label"] for message in caller.messages]


def test_an_event_is_told_in_the_engine_s_envelope(settings: Settings, parts: Parts) -> None:
    create(parts)
    parts.collaborators.media.put(f"{STREAM}/1/a.jpg", b"picture")

    async def test(dial: Dial) -> None:
        async with dial(ALL) as caller:
            await listened(parts, caller)
            event = happen(parts, 1, image=f"{STREAM}/1/a.jpg")
            happen(parts, 2, image=f"{STREAM}/1/gone.jpg", phase="begin", end_ms=None, end_s=None, number=0)
            first, second = await caller.heard(2)
        assert first == {
            "analytic_id": "object_detection",
            "node_num": 0,
            "stream_id": SHORT,
            "stream_address": "rtsp://***@camera.example/1",
            "stream_name": "gate",
            "timestamp": 1_700_000_001,
            "primary_text": "car",
            "secondary_text": "",
            "pipeline_data": {
                "event_id": str(event.event_id), "event_type": "object", "phase": "end", "number": 1, "label": "car",
                "confidence": 0.9, "tracker_id": 1, "timestamp_ms": 1_700_000_001_750, "time_in": 1_700_000_000_000,
                "time_out": 1_700_000_001_500, "duration": 1.5,
                "bounding_box": {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4},
            },
            "offset": first["offset"],
            "image_jpeg": base64.b64encode(b"picture").decode(),
        }  # fmt: skip
        assert "image_jpeg" not in second
        assert second["pipeline_data"]["time_out"] is None

    dialled(settings, parts, test)


@pytest.mark.parametrize(
    ("event", "texts"),
    [
        ({"type": "line_crossing", "data": {"direction": "in", "area_name": "gate"}}, ("car", "in")),
        ({"type": "people_count", "label": "person", "data": {"people_count": 7}}, ("7", "")),
        ({"type": "zone_dwell", "data": {"area_name": "till"}}, ("till", "1.500 s")),
        ({"type": "intrusion", "data": {"zone": "yard"}}, ("car", "yard")),
        ({"type": "face_detection", "event_type": "face", "label": ""}, ("face", "")),
    ],
)
def test_what_a_list_of_events_shows(
    settings: Settings, parts: Parts, event: dict[str, Any], texts: tuple[str, str]
) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ALL) as caller:
            await listened(parts, caller)
            happen(parts, 1, **event)
            (message,) = await caller.heard(1)
        assert (message["primary_text"], message["secondary_text"]) == texts

    dialled(settings, parts, test)


def test_each_socket_is_told_what_it_asked_for_by_one_reader(settings: Settings, parts: Parts) -> None:
    create(parts)
    create(parts, OTHER)

    async def test(dial: Dial) -> None:
        callers = {
            name: dial(path, query)
            for name, path, query in (
                ("all", ALL, ""),
                ("again", ALL, ""),
                ("stream", ONE, ""),
                ("analytic", f"{ONE}/people_count", ""),
                ("logic", ALL, "logic=density"),
                ("ends", ALL, "phases=end"),
                ("agent", AGENT, f"stream_id={STREAM}&analytic_index=1"),
            )
        }
        for caller in callers.values():
            await caller.__aenter__()
        await until(lambda: sum(len(found) for tail in parts.tails.running for found in _listeners(tail)) == 7)
        happen(parts, 1, label="a")
        happen(parts, 2, label="b", type="people_count", analytic_index=1)
        happen(parts, 3, OTHER, label="c", phase="begin")
        happen(parts, 4, label="z", ephemeral=True)
        parts.tails.say(TOPICS.events, STREAM, b"no event")
        happen(parts, 5, OTHER, label="d", type="people_count")
        await callers["all"].heard(4)
        await callers["logic"].heard(2)
        for name, many in (("again", 4), ("stream", 2), ("analytic", 1), ("ends", 3), ("agent", 2)):
            await callers[name].heard(many)
        for caller in callers.values():
            await caller.__aexit__()
        heard = {name: labels(caller) for name, caller in callers.items() if name != "agent"}
        assert sorted(heard["all"]) == sorted(heard["again"]) == ["a", "b", "c", "d"]
        assert heard["stream"] == ["a", "b"]
        assert heard["analytic"] == ["b"]
        assert sorted(heard["logic"]) == ["b", "d"]
        assert sorted(heard["ends"]) == ["a", "b", "d"]
        assert [m["analytics_results"].get("event", {}).get("label") for m in callers["agent"].messages] == [None, "b"]
        assert len(parts.tails.opened) == 1

    dialled(settings, parts, test)


def _listeners(tail: Any) -> list[Any]:
    return list(tail.hearer._listeners.values())


def test_tasks_and_streams_that_are_gone_are_told_of_to_nobody(settings: Settings, parts: Parts) -> None:
    create(parts)
    task = StreamId(uuid4())
    source = Source("https://videos.example/v.mp4")
    parts.control.create_stream(StreamSpec(task, Run(1), "t", "batch", source, (), "m", 0, task=True))

    async def test(dial: Dial) -> None:
        async with dial(ALL) as caller:
            await listened(parts, caller)
            happen(parts, 1, StreamId(uuid4()), label="unknown")
            happen(parts, 2, task, label="task")
            happen(parts, 3, label="shown")
            await caller.heard(1)
        assert labels(caller) == ["shown"]

    dialled(settings, parts, test)


def test_the_agent_s_socket_tells_how_the_stream_stands_and_what_was_found(settings: Settings, parts: Parts) -> None:
    account = str(uuid4())
    extra = {"location": {"city": "Oslo"}, "source": "hall", "event_source_group": "doors"}
    create(parts, extra=extra)

    async def test(dial: Dial) -> None:
        async with dial(AGENT, QUERY) as caller:
            await listened(parts, caller)
            report(parts, "in_progress", ts_ms=2)
            report(parts, "in_progress", ts_ms=3, heartbeat=True)
            report(parts, "in_progress", ts_ms=4, paused=(1,))
            report(parts, "in_progress", ts_ms=5, paused=(0,))
            report(parts, "restart", ts_ms=6, error="no answer from rtsp://a:b@camera.example")
            event = happen(parts, 1)
            happen(parts, 2, analytic_index=1)
            messages = await caller.heard(5)
            caller.say("nobody listens to this")
        assert [(m["stream_status"], m["error"]) for m in messages] == [
            ("pending", ""),
            ("in_progress", ""),
            ("paused", ""),
            ("restart", "no answer from rtsp://***@camera.example"),
            ("restart", "no answer from rtsp://***@camera.example"),
        ]
        assert [m["analytics_results"] for m in messages[:4]] == [{}] * 4
        found = messages[4]["analytics_results"]
        assert (found["event_type"], found["event_create_time"], found["event_end_time"]) == (
            "object", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.500Z"
        )  # fmt: skip
        assert found["event"]["event_id"] == str(event.event_id)
        assert found["event"]["location"] == {"city": "Oslo"}
        assert (found["event"]["source"], found["event"]["source_group"]) == ("hall", "doors")
        assert all(set(m) == {"stream_status", "error", "analytics_results", "offset"} for m in messages)
        async with dial(AGENT, f"{QUERY}&account_id={account}") as stranger:
            assert await stranger.close() == (4404, f"no stream {STREAM}")

    dialled(settings, parts, test)


@pytest.mark.parametrize(
    ("path", "query", "closing"),
    [
        (AGENT, "", (4400, "stream_id: it is required")),
        (AGENT, f"stream_id={STREAM}", (4400, "analytic_index: it is required")),
        (AGENT, "stream_id=x&analytic_index=0", (4400, "stream_id: ")),
        (AGENT, f"stream_id={STREAM}&analytic_index=-1", (4400, "analytic_index: ")),
        (AGENT, f"stream_id={STREAM}&analytic_index=2", (4404, "stream has 2 analytics, counted from 0")),
        (AGENT, f"stream_id={OTHER}&analytic_index=0", (4404, f"no stream {OTHER}")),
        (AGENT, f"{QUERY}&other=1", (4400, "other: there is no such field")),
        (AGENT, f"{QUERY}&from=x", (4400, "from: it is the offset of a message")),
        (AGENT, f"{QUERY}&from=p0:9,p1:9,p2:9,p3:9", (4400, "from: partition")),
        (ALL, "logic=guessing", (4400, "logic: ")),
        (ALL, "phases=middle", (4400, "phases")),
        (ALL, "from=p0:1", (4400, "from: partition 0 ends at 0")),
        ("/event_channel/0/0123456789abcdef", "", (4404, "stream not found")),
        (f"/event_channel/1/{SHORT}", "", (4404, "stream not found")),
        (f"{ONE}/face_detection", "", (4404, "stream or analytic not found")),
        ("/2/nothing", "", (4404, "nothing is at /2/nothing")),
        ("/health", "", (4405, "GET is not possible here")),
    ],
)
def test_what_cannot_be_is_said_in_a_code_and_a_reason(
    settings: Settings, parts: Parts, path: str, query: str, closing: tuple[int, str]
) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(path, query) as caller:
            code, reason = await caller.close()
            assert caller.accepted, "a browser reads no code of a socket that never opened"
        assert code == closing[0]
        assert reason.startswith(closing[1])

    dialled(settings, parts, test)


@pytest.mark.parametrize(("state", "closing"), [
    ("stop", (4409, "stream is stopped")), ("done", (4410, "stream has ended")),
    ("failure", (4410, "stream has failed: no answer")),
])  # fmt: skip
def test_a_stream_at_rest_says_so_after_what_was_there(
    settings: Settings, parts: Parts, state: str, closing: tuple[int, str]
) -> None:
    create(parts)
    happen(parts, 1, label="before")
    report(parts, state, error="no answer" if state == "failure" else None)

    async def test(dial: Dial) -> None:
        async with dial(ONE) as engine:
            assert await engine.close() == closing
        assert engine.messages == []
        async with dial(ONE, "from=earliest") as replayed:
            assert await replayed.close() == closing
        assert labels(replayed) == ["before"]
        async with dial(AGENT, QUERY) as agent:
            assert await agent.close() == closing
        assert [message["stream_status"] for message in agent.messages] == [state]

    dialled(settings, parts, test)


def test_a_run_that_ends_closes_its_sockets_when_all_was_told(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ALL) as all_, dial(ONE) as engine, dial(AGENT, QUERY) as agent:
            await until(lambda: sum(len(found) for tail in parts.tails.running for found in _listeners(tail)) == 3)
            report(parts, "done", ts_ms=2)
            happen(parts, 1)
            finish_run(parts, "stop", run=7)
            await engine.heard(1)
            assert engine.closed is None, "some other run has ended"
            finish_run(parts)
            assert await engine.close() == await agent.close() == (4410, "stream has ended")
            assert len(engine.messages) == 1
            assert [message["stream_status"] for message in agent.messages] == ["pending", "done", "done"]
            assert all_.closed is None
        parts.control.update_stream(row.spec)
        async with dial(ONE) as engine:
            await listened(parts, engine)
            finish_run(parts, "stop", run=1)
            happen(parts, 2)
            await engine.heard(1)
            parts.control.delete_stream(STREAM)
            finish_run(parts, "stop", run=2)
            assert await engine.close() == (4404, f"no stream {STREAM}")

    dialled(settings, parts, test)


def test_a_stream_that_goes_without_a_word_is_noticed(
    settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchable, "KNOWN_S", 0.0)
    monkeypatch.setattr(listening, "IDLE_S", 0.01)
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ONE) as caller:
            await listened(parts, caller)
            parts.control.delete_stream(STREAM)
            assert (await caller.close())[0] == 4404

    dialled(settings, parts, test)


def test_who_comes_back_goes_on_where_it_was(settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Across streams and partitions, through what was said meanwhile into what is being said: nothing lost or twice."""
    monkeypatch.setattr(listening, "NEAR", 2)
    streams = [STREAM, OTHER, *(StreamId(UUID(int=2**100 + number)) for number in range(6))]
    for stream in streams:
        create(parts, stream)
    many = len(streams)

    def say(first: int, last: int) -> None:
        for number in range(first, last):
            happen(parts, number, streams[number % many], label=str(number))

    async def test(dial: Dial) -> None:
        say(0, 20)
        async with dial(ALL, "from=earliest") as first:
            await first.heard(20)
            await listened(parts, first)
            say(20, 30)
            await first.heard(30)
        assert sorted(map(int, labels(first))) == list(range(30))
        for at in (0, 7, 19, 24, 29):
            seen = {int(label) for label in labels(first)[: at + 1]}
            async with dial(ALL, f"from={first.messages[at]['offset']}") as again:
                await again.heard(30 - len(seen))
                await listened(parts, again)
            assert sorted(map(int, labels(again))) == sorted({*range(30)} - seen)
        mine = [message for message in first.messages if message["stream_id"] == SHORT]
        async with dial(ONE, f"from={mine[1]['offset']}") as one:
            await listened(parts, one)
            happen(parts, 99, label="99")
            await one.heard(len(mine) - 1)
        assert labels(one) == [*(message["pipeline_data"]["label"] for message in mine[2:]), "99"]
        assert parts.tails.reads

    dialled(settings, parts, test)


def test_the_agent_s_socket_goes_on_too(settings: Settings, parts: Parts) -> None:
    create(parts)
    for number in range(4):
        happen(parts, number, analytic_index=number % 2)

    async def test(dial: Dial) -> None:
        async with dial(AGENT, f"{QUERY}&from=earliest") as first:
            await first.heard(3)
        assert [m["offset"] != "" for m in first.messages] == [False, True, True]
        async with dial(AGENT, f"{QUERY}&from={first.messages[1]['offset']}") as again:
            await again.heard(2)
        assert again.messages[1] == first.messages[2]

    dialled(settings, parts, test)


def test_what_is_no_longer_kept_is_not_passed_over_in_silence(settings: Settings, parts: Parts) -> None:
    create(parts)
    for number in range(4):
        heard = happen(parts, number)
    assert heard
    ((topic, number),) = [one for one in parts.tails._records if one[0] == TOPICS.events]
    parts.tails.expired[topic, number] = 2

    async def test(dial: Dial) -> None:
        async with dial(ONE, f"from=p{number}:1") as late:
            assert await late.close() == (
                4416, f"records before p{number}:2 are no longer kept; some may be missed"
            )  # fmt: skip
        async with dial(ONE, "from=earliest") as whole:
            await whole.heard(2)
        assert [m["pipeline_data"]["tracker_id"] for m in whole.messages] == [2, 3]

    dialled(settings, parts, test)


def test_a_slow_socket_is_closed_with_the_place_to_go_on_from(settings: Settings, parts: Parts) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ONE) as slow, dial(ONE) as quick:
            await until(lambda: sum(len(found) for tail in parts.tails.running for found in _listeners(tail)) == 2)
            happen(parts, 0)
            (first,) = await slow.heard(1)
            slow.room.clear()
            for number in range(1, 8):
                happen(parts, number)
                await quick.heard(number + 1)
            code, reason = await slow.close()
            assert code == 4008
            assert reason.endswith(f"; go on with from={first['offset']}")
            assert quick.closed is None
            happen(parts, 8)
            await quick.heard(9)
        async with dial(ONE, f"from={first['offset']}") as again:
            await again.heard(8)
        assert [m["pipeline_data"]["tracker_id"] for m in again.messages] == list(range(1, 9))

    dialled(changed(settings, socket_queue=3), parts, test)


def test_what_waits_is_bounded_in_bytes_too(settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MOST_BYTES", 4000)
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ONE) as slow:
            await listened(parts, slow)
            slow.room.clear()
            for number in range(3):
                happen(parts, number, data={"note": "x" * 2000})
            assert (await slow.close())[0] == 4008

    dialled(settings, parts, test)


def test_so_many_sockets_and_no_more_and_a_seat_is_free_again(settings: Settings, parts: Parts) -> None:
    create(parts)

    def seats() -> float:
        value: float = metrics.gauge("sightline_sockets").labels("engine")._value.get()
        return value

    async def test(dial: Dial) -> None:
        before = seats()
        async with dial(ALL) as first:
            await listened(parts, first)
            assert seats() - before == 1
            async with dial(AGENT, QUERY) as second:
                assert await second.close() == (1013, "1 sockets are open already, which are the most")
        assert seats() == before
        async with dial(ALL) as third:
            await listened(parts, third)
            assert third.closed is None

    dialled(changed(settings, sockets=1), parts, test)


def test_when_the_reader_ends_sockets_are_told_to_go_on_later(settings: Settings, parts: Parts) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ALL) as caller:
            await listened(parts, caller)
            parts.tails.fail()
            code, reason = await caller.close()
            assert code == 1013
            assert "last offset" in reason
        parts.tails.down = True
        async with dial(ALL) as caller:
            assert (await caller.close())[0] == 1013

    dialled(settings, parts, test)


@pytest.mark.parametrize(
    ("origin", "allowed", "welcome"),
    [
        (None, (), True),
        ("http://falconframework.org", (), True),
        ("https://evil.example", (), False),
        ("https://board.example", ("https://board.example",), True),
        ("https://board.example.evil.example", ("https://board.example",), False),
        ("https://any.example", ("*",), True),
        ("null", (), False),
    ],
)
def test_pages_of_other_origins_may_not_listen(
    settings: Settings, parts: Parts, origin: str | None, allowed: tuple[str, ...], welcome: bool
) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(ALL, headers={"Origin": origin} if origin else None) as caller:
            if welcome:
                await listened(parts, caller)
                assert caller.closed is None
            else:
                assert (await caller.close())[0] == 4403

    dialled(changed(settings, origins=allowed), parts, test)


def test_a_signed_token_opens_sockets_of_its_stream(settings: Settings, parts: Parts) -> None:
    from query_api.services.signing import Signing
    from tests.unit.query_api.conftest import NOW

    create(parts)
    create(parts, OTHER)
    token = Signing(parts.control, 300.0, clock=lambda: NOW).sign(STREAM).token

    async def test(dial: Dial) -> None:
        for path, query in ((ONE, f"token={token}"), (AGENT, f"{QUERY}&token={token}")):
            async with dial(path, query) as caller:
                await listened(parts, caller)
                assert caller.closed is None
        for path, query in (
            (ONE, ""),
            (ONE, "token=x"),
            (AGENT, QUERY),
            (AGENT, f"stream_id={OTHER}&analytic_index=0&token={token}"),
            (ALL, f"token={token}"),
        ):
            async with dial(path, query) as caller:
                assert (await caller.close())[0] == 4401, (path, query)
        async with dial(ONE, f"token={token}", headers={"Authorization": "Bearer x"}) as caller:
            assert (await caller.close())[0] == 4401

    dialled(changed(settings, auth=True), parts, test)


def told_of(caller: Caller) -> list[str]:
    return [message["body"]["event_id"] for message in caller.messages]


def test_notifications_are_told_as_a_callback_would_be(settings: Settings, parts: Parts) -> None:
    account = str(uuid4())
    create(parts)
    create(parts, OTHER)

    async def test(dial: Dial) -> None:
        async with (
            dial(NOTIFICATIONS) as everyone,
            dial(NOTIFICATIONS, f"account_id={account}") as holder,
            dial(NOTIFICATIONS, f"stream_id={STREAM}") as near,
        ):
            for caller in (everyone, holder, near):
                await listened(parts, caller)
            await until(lambda: sum(len(found) for tail in parts.tails.running for found in _listeners(tail)) == 3)
            notify(parts, 1)
            notify(parts, 2, OTHER, account_id=account)
            parts.tails.say(TOPICS.notifications, STREAM, b"rubbish")
            happen(parts, 1)
            notify(parts, 3, account_id=account)
            await everyone.heard(3)
            await holder.heard(2)
            await near.heard(2)
        first = everyone.messages[0]
        assert first == {
            "kind": "event", "stream_id": str(STREAM), "analytic_index": 0, "body": {"event_id": "1"},
            "offset": first["offset"],
        }  # fmt: skip
        assert sorted(told_of(everyone)) == ["1", "2", "3"]
        assert sorted(told_of(holder)) == ["2", "3"]
        assert told_of(near) == ["1", "3"]
        async with dial(NOTIFICATIONS, f"stream_id={STREAM}&from={near.messages[0]['offset']}") as again:
            await again.heard(1)
            assert told_of(again) == ["3"]
        async with dial(NOTIFICATIONS, "from=earliest") as whole:
            assert len(await whole.heard(3)) == 3

    dialled(settings, parts, test)


@pytest.mark.parametrize(
    ("query", "closing"),
    [
        (f"stream_id={OTHER}", (4404, f"no stream {OTHER}")),
        ("stream_id=x", (4400, "stream_id: ")),
        ("stream=x", (4400, "stream: ")),
        ("from=x", (4400, "from: ")),
    ],
)
def test_notifications_that_cannot_be_told_are_refused(
    settings: Settings, parts: Parts, query: str, closing: tuple[int, str]
) -> None:
    create(parts)

    async def test(dial: Dial) -> None:
        async with dial(NOTIFICATIONS, query) as caller:
            code, reason = await caller.close()
            assert code == closing[0]
            assert reason.startswith(closing[1])

    dialled(settings, parts, test)


def test_a_token_of_an_account_hears_its_own_alone(
    settings: Settings, parts: Parts, secret_for: Callable[..., str]
) -> None:
    mine, others = str(uuid4()), str(uuid4())
    create(parts, account_id=others)
    create(parts, OTHER, account_id=mine)
    headers = {"X-Api-Key": secret_for("watch", account_id=mine)}

    async def test(dial: Dial) -> None:
        for path, query in ((AGENT, QUERY), (NOTIFICATIONS, f"stream_id={STREAM}")):
            async with dial(path, query, headers=headers) as caller:
                assert await caller.close() == (4404, f"no stream {STREAM}"), path
        for path in (NOTIFICATIONS, AGENT):
            async with dial(path, f"stream_id={STREAM}&account_id={others}", headers=headers) as caller:
                assert (await caller.close())[0] == 4403, path
        async with dial(NOTIFICATIONS, headers=headers) as caller:
            await listened(parts, caller)
            notify(parts, 1, account_id=others)
            notify(parts, 2, OTHER, account_id=mine)
            await caller.heard(1)
            assert told_of(caller) == ["2"]

    dialled(changed(settings, auth=True), parts, test)


def test_a_cancellation_that_is_not_heard_is_said_again() -> None:
    class Gone:
        async def receive_text(self) -> str:
            await asyncio.sleep(0.01)
            raise falcon.WebSocketDisconnected

    async def texts() -> AsyncGenerator[tuple[str, str], None]:
        with suppress(asyncio.CancelledError):  # as a wait with a limit does that has just ended
            await asyncio.sleep(60)
        await asyncio.sleep(60)
        yield "", ""

    async def test() -> None:
        messages = Messages(texts(), channels.Subscription(None, 1), "engine")
        await asyncio.wait_for(messages.tell(cast(Any, Gone())), 20)

    asyncio.run(test())
