"""The engine surface's document: every operation is there, and every example is answered with its keys and types."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from falcon import testing

from core.ids import Run, Seq, StreamId, TrackId, ViewId
from core.messages import Gpu, NodeStatus, StreamStatus, Usage, VideoInfo
from query_api.inputs import read_params
from query_api.routes import ROUTES
from query_api.routes.route import Surface
from tests.unit.query_api.conftest import NOW, picture
from tests.unit.query_api.fakes import Parts
from warehouse.control.checkin import hash_secret
from warehouse.embeddings import Neighbour

DOCUMENT = Path("contracts/seeds/engine-api.txt")
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH"})
ABSENT = {("POST", "/extract/{}/{}/{}")}
"""What may be absent."""

ID, ANALYTIC = "5136c6c0916cd30c", "NFV4-FR"
OURS = "object_detection"
WATCHED = ("/mjpeg/", "/stream_jpeg/", "/visual/")
"""Answered by pictures and pages, which tests of their own look at."""

ELSEWHERE = ("/pipeline/", "/event_channel", *WATCHED)
"""These, and what is not in the document."""

NOW_MS = int(NOW * 1000)
ADDRESS = "rtsp://10.7.2.50:554/VOD/stream.mp4"
SAID_MORE_EXACTLY = {"Invalid stream_address", "invalid configuration value"}


@dataclass(frozen=True)
class Operation:
    """One operation as the document has it: its sample request, and the answers to it, the good one first."""

    method: str
    path: str
    curl: str
    answers: tuple[Any, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.method, re.sub(r"\{\w+\}", "{}", self.path)

    @property
    def body(self) -> Any:
        found = re.search(r"-d '(.*)'$", self.curl)
        return None if found is None else json.loads(found[1])

    @property
    def target(self) -> str:
        found = re.search(r'"(http://[^"]*)"', self.curl)
        assert found
        return urlsplit(found[1]).path or "/"


def operations(shared: Path) -> list[Operation]:
    lines = (shared / DOCUMENT).read_text().splitlines()
    begins = [at for at, line in enumerate(lines[:-1]) if line in METHODS and lines[at + 1].startswith("/")]
    found = []
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        (curl,) = [at for at in range(begin, end) if lines[at].startswith("curl ")]
        answers = []
        for line in lines[curl + 1 : end]:
            if not line.startswith(("{", '"')):
                break
            answers.append(json.loads(line))
        found.append(Operation(lines[begin], lines[begin + 1], lines[curl], tuple(answers)))
    return found


@pytest.fixture
def document(shared: Path) -> dict[tuple[str, str], Operation]:
    return {operation.key: operation for operation in operations(shared)}


def test_the_document_has_its_operations(document: dict[tuple[str, str], Operation]) -> None:
    assert len(document) == 32
    assert all(operation.answers for operation in document.values())
    assert document.keys() >= ABSENT


def test_every_operation_is_there_but_those_that_are_named(document: dict[tuple[str, str], Operation]) -> None:
    there = {(route.method, re.sub(r"\{\w+:\w+\}", "{}", route.path)) for route in ROUTES}
    missing = document.keys() - there
    assert missing == ABSENT


def node(host: str, number: int) -> NodeStatus:
    card = Gpu(0, "Tesla P4", 85, 72, 7981694976, 5451022336, 2530672640, {"models": 1})
    return NodeStatus(
        host=host,
        ts_ms=NOW_MS,
        started_ms=NOW_MS - 3_600_000 + number,
        address=f"192.168.1.{100 + number}",
        run_mode="GPU",
        cpu_percent=12.44,
        ram_percent=27.46,
        swap_percent=0.0,
        gpus=(card,),
        services={"ingest": 1},
        usage={"ingest": Usage(1, 1.5, 1000)},
    )


@pytest.fixture
def world(client: testing.TestClient, parts: Parts) -> str:
    """What the document's samples are about: nodes, a running stream with a pipeline, a picture; the stream's id."""
    for number, host in enumerate(("edge-1-1", "edge-2-1")):
        assert parts.control.record_node(node(host, number), NOW_MS) == number
    body = {"stream_address": ADDRESS, "stream_name": "Camera Lobby", "stream_custom_data": {"floor": 1}}
    made = client.simulate_post("/streams/0", json=body)
    assert made.status_code == 200, made.text
    engine_id = str(made.json["stream_id"])
    assert client.simulate_post(f"/pipeline/0/{engine_id}/{OURS}", json={}).status_code == 200
    stream = parts.control.stream_by_engine_id(engine_id).stream_id
    video = VideoInfo(width=1280, height=720, fps=30.0)
    parts.control.record_status(StreamStatus(stream, Run(1), "in_progress", NOW_MS, "edge-2-1", video=video))
    parts.collaborators.media.put(f"{stream}/1/a.jpg", b"picture")
    parts.embeddings.neighbours["appearance"] = [neighbour(stream)]
    parts.control.add_checkin_key("AKID-XXXX-YYYY-ZZZZ", hash_secret("sk-XXXX-YYYY-ZZZZ"))
    return engine_id


@pytest.fixture
def checked_in(client: testing.TestClient, world: str) -> str:
    """After the document's check-in."""
    keys = {"access_key": "AKID-XXXX-YYYY-ZZZZ", "secret_key": "sk-XXXX-YYYY-ZZZZ"}
    assert client.simulate_post("/config/checkin", json=keys).status_code == 200
    return world


def neighbour(stream: StreamId) -> Neighbour:
    box, view = (0.1, 0.1, 0.2, 0.2), ViewId(UUID(int=1))
    return Neighbour(
        view, stream, Run(1), TrackId(1), Seq(0), 1, 0.0, "car", 0.9, box, f"{stream}/1/a.jpg", "appearance", 0.9
    )


def asked(client: testing.TestClient, operation: Operation, engine_id: str, analytic: str = OURS) -> testing.Result:
    """The document's sample request, about what is there."""
    body = operation.body
    if body is not None and "query" in body:
        body["query"] = base64.b64encode(picture()).decode()
    target = operation.target.replace(ID, engine_id).replace(ANALYTIC, analytic)
    return client.simulate_request(operation.method, target, **({} if body is None else {"json": body}))


def unlike(example: Any, answer: Any, at: str = "$") -> list[str]:
    """Where an answer lacks a key of the example, or has another type there."""
    if isinstance(example, dict):
        if not isinstance(answer, dict):
            return [f"{at}: {answer!r} is no object"]
        missing = [f"{at}.{key}: missing" for key in example if key not in answer]
        inner = (unlike(value, answer[key], f"{at}.{key}") for key, value in example.items() if key in answer)
        return missing + [fault for faults in inner for fault in faults]
    if isinstance(example, list):
        if not isinstance(answer, list) or (example and not answer):
            return [f"{at}: {answer!r} is no list with entries"]
        return [fault for one in answer[: len(example)] for fault in unlike(example[0], one, f"{at}[]")]
    number = isinstance(example, (int, float)) and not isinstance(example, bool)
    wanted: Any = (int, float) if number else type(example)
    same = isinstance(answer, wanted) and isinstance(answer, bool) == isinstance(example, bool)
    return [] if same else [f"{at}: {answer!r} is not as {example!r}"]


def sample(operation: Operation) -> Any:
    """The document's example of a good answer, without the names of another product's parameters."""
    example = operation.answers[0]
    return {**example, "properties": {}} if "properties" in example else example


def shown_operations() -> list[Any]:
    """Of the document, by the table of routes: the document itself is read in the test."""
    ours = [r for r in ROUTES if r.surface is Surface.ENGINE or r.path == "/metrics"]
    keys = [(route.method, re.sub(r"\{\w+:\w+\}", "{}", route.path)) for route in ours]
    return [pytest.param(key, id=f"{key[0]} {key[1]}") for key in keys if not key[1].startswith(ELSEWHERE)]


@pytest.mark.parametrize("key", shown_operations())
def test_an_example_is_answered_with_its_keys_and_types(
    client: testing.TestClient, document: dict[tuple[str, str], Operation], checked_in: str, key: tuple[str, str]
) -> None:
    operation = document[key]
    answer = asked(client, operation, checked_in)
    assert answer.status_code == 200, answer.text
    example = sample(operation)
    if isinstance(example, str):
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.text.startswith(example[:6])
        return
    assert unlike(example, answer.json) == []
    assert answer.json.get("code", 200) == 200
    if isinstance(example.get("message"), str):
        assert answer.json["message"] == example["message"]


def test_what_is_watched_is_asked_for_as_the_document_does(
    client: testing.TestClient, document: dict[tuple[str, str], Operation], checked_in: str
) -> None:
    """Each sample's parameters are taken, and what is not there is 404 in the document's words."""
    watched = {key: operation for key, operation in document.items() if key[1].startswith(WATCHED)}
    assert len(watched) == 5
    for key, operation in watched.items():
        route = next(r for r in ROUTES if (r.method, re.sub(r"\{\w+:\w+\}", "{}", r.path)) == key)
        asked_for = re.search(r'"(http://[^"]*)"', operation.curl)
        assert asked_for
        read_params(urlsplit(asked_for[1]).query, route.params)
        if key[1].startswith("/visual/"):
            page = asked(client, operation, checked_in)
            assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html"), key
        missing = client.simulate_get(operation.target.replace(ID, "0" * 16))
        assert missing.status_code == 404, key
        if len(operation.answers) > 1:
            assert missing.json == operation.answers[1], key


WRONG: dict[tuple[str, str], Callable[[Operation], tuple[str, Any]]] = {
    ("GET", "/streams/{}"): lambda o: ("/streams/7", None),
    ("POST", "/streams/{}"): lambda o: (o.target, {**o.body, "stream_address": "no address"}),
    ("POST", "/smart-search"): lambda o: (o.target, {"type": "text", "query": "a red car"}),
    ("POST", "/config/platform"): lambda o: (o.target, {"max_streams_per_node": "many"}),
    ("POST", "/config/checkin"): lambda o: (o.target, {**o.body, "secret_key": "sk-other"}),
}
"""How the document's bad answers come about, where it is not by an id that nobody has."""


def test_a_bad_answer_has_the_document_s_code_and_words(
    client: testing.TestClient, document: dict[tuple[str, str], Operation], checked_in: str
) -> None:
    bad = {key: o for key, o in document.items() if len(o.answers) > 1 and key not in ABSENT}
    assert len(bad) == 15
    for key, operation in bad.items():
        target, body = operation.target.replace(ID, "0" * 16).replace(ANALYTIC, "nothing"), operation.body
        if key in WRONG:
            target, body = WRONG[key](operation)
        answer = client.simulate_request(operation.method, target, **({} if body is None else {"json": body}))
        wanted = operation.answers[1]
        assert (answer.status_code, answer.json["code"]) == (wanted["code"], wanted["code"]), (key, answer.text)
        assert answer.json.keys() == wanted.keys()
        more = answer.json["message"].removeprefix(wanted["message"])
        assert more.startswith(": ") if wanted["message"] in SAID_MORE_EXACTLY else more == "", (key, answer.text)


def test_the_comparison_sees_what_is_unlike() -> None:
    example = {"a": 1, "b": [{"c": "x"}], "d": {}, "e": True}
    assert unlike(example, {"a": 1.5, "b": [{"c": "", "more": 1}], "d": {"x": 1}, "e": False}) == []
    assert unlike(example, {"a": "1", "b": [], "e": 1}) == [
        "$.d: missing",
        "$.a: '1' is not as 1",
        "$.b: [] is no list with entries",
        "$.e: 1 is not as True",
    ]
    assert unlike({"a": {"b": 1}}, {"a": None}) == ["$.a: None is no object"]
    assert unlike({"a": [1]}, {"a": ["x"]}) == ["$.a[]: 'x' is not as 1"]


def test_pipelines_are_attached_and_removed_as_the_facts_say(client: testing.TestClient, world: str) -> None:
    path = f"/pipeline/0/{world}/people_count"
    wanted = {"analytic_id": "people_count", "code": 200, "node_num": 0, "stream_id": world}
    assert client.simulate_post(path, json={}).json == {**wanted, "message": "pipeline successfully created"}
    assert client.simulate_delete(path).json == {**wanted, "message": "pipeline successfully deleted"}
