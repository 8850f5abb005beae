"""The process `notify` as it is started, on a real broker, with receivers that fail, hang and lead elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from core.ids import Run, StreamId
from core.messages import Analytic, Event, Source, StreamSpec, StreamStatus, decode_notification, encode_json
from core.profile import (
    AnalyticProfile,
    Callback,
    Condition,
    HttpCallback,
    KafkaCallback,
    StreamProfile,
    TaskProfile,
    TelegramCallback,
    WebSocketCallback,
    extra_of,
)
from core.settings import Control, Kafka, Settings
from core.topics import Topics
from tests.integration.streams_proc.processes import committed, ends, feed, follow, wait_for, workers
from tests.unit.streams_proc.notify_kit import change, events
from warehouse.control.store import ControlStore

pytestmark = pytest.mark.kafka
NOTIFY = ("streams_proc.__main__", "notify")
PATIENT = {"SIGHTLINE_NOTIFY__DELIVERY_S": "600", "SIGHTLINE_NOTIFY__LONGEST_S": "600"}
TOKEN = "12345:hush"


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def ce_id(self) -> str:
        return self.headers.get("ce-id", "")


class Receiver:
    """A server that answers by its paths; `release` lets those go that hang."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.release = threading.Event()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"] or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # who asked was killed within the request: to a server nothing was said
                    self.close_connection = True
                    return
                asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                code = receiver.answer(asked)
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", f"{receiver.url}/stolen")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Who asked has hung up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, asked: Asked) -> int:
        with self._lock:
            before = sum(a.path == asked.path and a.ce_id == asked.ce_id for a in self.asked)
            self.asked.append(asked)
        match asked.path:
            case "/flaky":
                return 500 if before < 2 else 200
            case "/hang":
                self.release.wait()
                return 200
            case "/redirect":
                return 302
            case _:
                return 200

    def at(self, path: str) -> list[Asked]:
        with self._lock:
            return [asked for asked in self.asked if asked.path == path]

    def ids(self, path: str) -> set[str]:
        return {asked.ce_id for asked in self.at(path)}

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, kafka=kafka, control=Control(url=SecretStr(f"sqlite:///{tmp_path}/c.db")))


@pytest.fixture
def control(settings: Settings) -> Iterator[ControlStore]:
    store = ControlStore.connect(settings)
    store.migrate()
    yield store
    store.close()


def variables(settings: Settings, **more: str) -> dict[str, str]:
    return {
        "SIGHTLINE_CONTROL__URL": settings.control.url.get_secret_value(),
        "SIGHTLINE_INGEST__ALLOW_LOOPBACK": "true",
        **more,
    }


def stream_with(control: ControlStore, profile: StreamProfile, *, task: bool = False) -> StreamId:
    stream = StreamId(uuid.uuid4())
    analytics = (Analytic("people_count"),)
    spec = StreamSpec(
        stream, Run(1), "s", "batch" if task else "live", Source("rtsp://c/1"), analytics, "m", 1, task=task
    )
    control.create_stream(spec, extra_of(profile))
    return stream


def told(*callbacks: Callback, **more: Any) -> StreamProfile:
    return StreamProfile(analytics=(AnalyticProfile(callbacks=callbacks),), **more)


def ends_of(stream: StreamId, count: int) -> list[Event]:
    return [events(0.2, 3.0, stream=stream, number=n, data={"n": n})[-1] for n in range(count)]


def publish(settings: Settings, messages: Sequence[Event]) -> set[str]:
    """Events on their topic; their ids."""
    records = [(str(m.stream_id).encode(), encode_json(m)) for m in messages]
    feed(settings.kafka, Topics.of(settings.kafka).events, records)
    return {f"{m.event_id}/{m.phase}/{m.number}" for m in messages}


def all_committed(settings: Settings) -> bool:
    topic = Topics.of(settings.kafka).events
    return dict(committed(settings.kafka, "notify", topic)) == dict(ends(settings.kafka, topic))


def reason_of(letter: Any) -> tuple[str, str]:
    headers = {name: value.decode() for name, value in letter.headers()}
    return headers["reason"], headers["sightline_callbacks"]


def test_one_that_hangs_holds_nobody_up_but_the_commit_and_a_redirect_is_not_followed(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics.of(settings.kafka)
    first = stream_with(
        control,
        told(
            HttpCallback(f"{receiver.url}/flaky"),
            HttpCallback(f"{receiver.url}/hang", timeout_s=600.0),
            HttpCallback(f"{receiver.url}/redirect"),
            HttpCallback(f"{receiver.url}/good", secret="key"),
        ),
    )
    second = stream_with(control, told(HttpCallback(f"{receiver.url}/second")))
    ids = publish(settings, ends_of(first, 6))
    others = publish(settings, ends_of(second, 6))
    with (
        workers(settings.kafka, tmp_path) as start,
        follow(settings.kafka, topics.dead_letters) as letters,
    ):
        worker = start(*NOTIFY, **variables(settings, **PATIENT))

        def taken() -> bool:
            assert worker.process.poll() is None, worker.log
            flaky = [asked.ce_id for asked in receiver.at("/flaky")]
            return (
                all(flaky.count(each) == 3 for each in ids)
                and receiver.ids("/good") == ids
                and receiver.ids("/second") == others
            )

        wait_for(taken, "everything that can be taken, while one receiver hangs")
        assert receiver.ids("/hang") <= ids
        assert not all_committed(settings), "what hangs is not committed"
        receiver.release.set()
        wait_for(lambda: all_committed(settings), "the commit of everything")
        letters.until(lambda found: len(found) >= 6, "a letter for each redirect")
        assert worker.end() == 0, worker.log
    assert {reason_of(letter)[1] for letter in letters.messages} == {"2"}
    assert all("redirect" in reason_of(letter)[0] for letter in letters.messages)
    assert receiver.at("/stolen") == []
    for asked in receiver.at("/good"):
        fields = dict(part.split("=") for part in asked.headers["sightline-signature"].split(","))
        signed = f"{fields['t']}.".encode() + asked.body
        assert fields["v1"] == hmac.new(b"key", signed, hashlib.sha256).hexdigest()
        body = msgspec.json.decode(asked.body)
        assert (body["ce_id"], body["event"]["stream_id"]) == (asked.ce_id, str(first))


def test_what_nobody_takes_is_given_up_in_time_and_the_rest_goes_on(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics.of(settings.kafka)
    stream = stream_with(
        control,
        told(
            HttpCallback(f"{receiver.url}/hang"),
            HttpCallback("http://127.0.0.1:1/"),
            HttpCallback("http://169.254.169.254/latest"),
            HttpCallback(f"{receiver.url}/good"),
        ),
    )
    ids = publish(settings, ends_of(stream, 3))
    with workers(settings.kafka, tmp_path) as start, follow(settings.kafka, topics.dead_letters) as letters:
        worker = start(*NOTIFY, **variables(settings, SIGHTLINE_NOTIFY__DELIVERY_S="2"))
        letters.until(lambda found: len(found) >= 3 or worker.process.poll() is not None, "a letter for each event")
        wait_for(lambda: all_committed(settings), "the commit of everything")
        assert worker.end() == 0, worker.log
    assert receiver.ids("/good") == ids
    for letter in letters.messages:
        reason, places = reason_of(letter)
        assert places == "0,1,2"
        assert "callback 0 (http): timeout" in reason
        assert "callback 1 (http): unreachable" in reason
        assert "callback 2 (http): address" in reason


def test_killed_in_between_it_loses_nothing(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    stream = stream_with(
        control,
        told(
            HttpCallback(f"{receiver.url}/hang", conditions=(Condition("n", 0),), timeout_s=600.0),
            HttpCallback(f"{receiver.url}/good"),
        ),
    )
    found = ends_of(stream, 100)
    ids = publish(settings, found)
    with workers(settings.kafka, tmp_path) as start:
        victim = start(*NOTIFY, **variables(settings, **PATIENT))
        wait_for(lambda: len(receiver.ids("/good")) >= 50 and len(receiver.at("/hang")) == 1, "half of it")
        victim.kill()
        assert not all_committed(settings)
        before = len(receiver.at("/good"))
        receiver.release.set()
        heir = start(*NOTIFY, **variables(settings, **PATIENT))

        def whole() -> bool:
            assert heir.process.poll() is None, heir.log
            return receiver.ids("/good") == ids and len(receiver.at("/hang")) >= 2 and all_committed(settings)

        wait_for(whole, "everything")
        assert heir.end() == 0, heir.log
    assert receiver.ids("/hang") == {f"{found[0].event_id}/end/1"}, "under the same id"
    bodies = {asked.ce_id: set() for asked in receiver.at("/good")}
    for asked in receiver.at("/good"):
        bodies[asked.ce_id].add(asked.body)
    assert {ce_id: each for ce_id, each in bodies.items() if len(each) > 1} == {}, "and in the same words"
    assert len(receiver.at("/good")) >= before


def test_states_go_to_topics_and_to_those_who_listen_at_websockets(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    topics = Topics.of(settings.kafka)
    theirs = topics.tracks  # of nobody else in this test
    callbacks = (
        HttpCallback(f"{receiver.url}/state"),
        KafkaCallback(settings.kafka.address, theirs),
        WebSocketCallback(),
    )
    stream = stream_with(control, StreamProfile(notifications=callbacks))
    deleted = stream_with(control, StreamProfile(notifications=callbacks))
    control.delete_stream(deleted)
    changes = [change("in_progress", 1000), change("failure", 2000, error="x")]
    changes = [msgspec.structs.replace(each, stream_id=of) for of in (deleted, stream) for each in changes]
    feed(settings.kafka, topics.stream_changes, [(str(s.stream_id).encode(), encode_json(s)) for s in changes])
    with workers(settings.kafka, tmp_path) as start, follow(settings.kafka, theirs, topics.notifications) as out:
        worker = start(*NOTIFY, **variables(settings))
        out.until(lambda found: len(found) >= 4 or worker.process.poll() is not None, "both changes on both topics")
        wait_for(lambda: len(receiver.at("/state")) >= 2, "both changes by http")
        assert worker.end() == 0, worker.log
    expected = [(1, "in_progress", None), (4, "failure", "x")]

    def said(bodies: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(body["status"], body["status_name"], body["error"]) for body in bodies]

    by_topic = {name: [m for m in out.messages if m.topic() == name] for name in (theirs, topics.notifications)}
    assert said([msgspec.json.decode(a.body) for a in receiver.at("/state")]) == expected
    assert said([msgspec.json.decode(m.value()) for m in by_topic[theirs]]) == expected
    assert said([decode_notification(m.value()).body for m in by_topic[topics.notifications]]) == expected
    assert {m.key() for m in out.messages} == {str(stream).encode()}


def test_each_change_of_a_stream_is_told_once_as_its_users_see_it(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    stream = stream_with(control, StreamProfile(notifications=(HttpCallback(f"{receiver.url}/state"),)))

    def came() -> list[tuple[str, str | None]]:
        bodies = [msgspec.json.decode(asked.body) for asked in receiver.at("/state")]
        return [(body["status_name"], body["error"]) for body in bodies]

    def ingest_says(*statuses: StreamStatus) -> None:
        name = Topics.of(settings.kafka).stream_status
        feed(settings.kafka, name, [(str(stream).encode(), encode_json(each)) for each in statuses])

    own = variables(settings)
    with workers(settings.kafka, tmp_path) as start:
        team = [start("streams_proc.__main__", "control", **own), start(*NOTIFY, **own)]

        def heard(*expected: tuple[str, str | None]) -> None:
            def over() -> bool:
                return len(came()) >= len(expected) or any(worker.process.poll() is not None for worker in team)

            wait_for(over, f"{len(expected)} changes")
            assert came() == list(expected), [worker.log for worker in team]

        begun = StreamStatus(stream, Run(1), "in_progress", 1000, "host")
        ingest_says(
            begun,
            msgspec.structs.replace(begun, ts_ms=1500, heartbeat=True),
            msgspec.structs.replace(begun, ts_ms=2000, paused=(0,)),
            msgspec.structs.replace(begun, ts_ms=2500, paused=(0,), heartbeat=True),
            StreamStatus(stream, Run(1), "restart", 3000, "host", error="no answer"),
            StreamStatus(stream, Run(1), "failure", 4000, "host", error="no answer at all"),
            msgspec.structs.replace(begun, ts_ms=5000),  # after its end
        )
        said = [
            ("pending", None),
            ("in_progress", None),
            ("paused", None),
            ("restart", "no answer"),
            ("failure", "no answer at all"),
        ]
        heard(*said)
        control.patch_stream(stream, "resume")
        heard(*said, ("pending", None))
        control.patch_stream(stream, "stop")
        heard(*said, ("pending", None), ("stop", None))
        ingest_says(StreamStatus(stream, Run(2), "stop", int(time.time() * 1000), "host"))
        time.sleep(2.0)  # nothing more comes: it is known already
        heard(*said, ("pending", None), ("stop", None))
        assert [worker.end() for worker in team] == [0, 0], [worker.log for worker in team]


def test_the_end_of_a_task_is_told_once_control_knows_of_it(
    settings: Settings, control: ControlStore, receiver: Receiver, tmp_path: Path
) -> None:
    task = TaskProfile((HttpCallback(f"{receiver.url}/task"), TelegramCallback(TOKEN, "42")), receiver.url)
    stream = stream_with(control, StreamProfile(task=task), task=True)
    own = variables(settings, SIGHTLINE_NOTIFY__TELEGRAM_URL=receiver.url, SIGHTLINE_TELEMETRY__LEVEL="debug")
    with workers(settings.kafka, tmp_path) as start:
        team = [start("streams_proc.__main__", "control", **own), start(*NOTIFY, **own)]

        def running() -> bool:
            return all(worker.process.poll() is None for worker in team)

        control.record_status(StreamStatus(stream, Run(1), "failure", 5, "host", error="no video stream"))
        bot = f"/bot{TOKEN}/sendMessage"
        wait_for(lambda: not running() or (receiver.at("/task") and receiver.at(bot)), "both callbacks")
        assert running(), [worker.log for worker in team]
        assert [worker.end() for worker in team] == [0, 0], [worker.log for worker in team]
    body = msgspec.json.decode(receiver.at("/task")[0].body)
    assert (body["task_id"], body["status"], body["error"]) == (str(stream), 3, "no video stream")
    assert body["url"] == f"{receiver.url}/1/video/tasks/{stream}"
    message = msgspec.json.decode(receiver.at(bot)[0].body)
    assert message["chat_id"] == "42"
    assert "no video stream" in message["text"]
    assert not any(TOKEN in worker.log for worker in team), "a token is in no log"
    assert list(control.ended_tasks(10)) == []
