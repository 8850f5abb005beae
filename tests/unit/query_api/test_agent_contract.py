"""The agent surface against its document: every operation is there, with its parameters, and answers as its example.

The document's own text is read: its headings, the names of its query parameters, and its response samples.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from falcon import testing

from core.ids import Run, new_stream_id
from core.messages import RunEnd
from core.settings import Settings
from query_api.app import create_app
from query_api.following import Collected
from query_api.routes import ROUTES
from query_api.routes.route import Route
from tests.unit.query_api.cameras import HEADERS, camera, created, everything, shown
from tests.unit.query_api.conftest import COUNTS, VIDEO, deferred
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.watching import Caller

OPERATIONS = {
    "video analytics": ("POST", "/1/videosdk"),
    "get task": ("GET", "/1/video/tasks/{task_id}"),
    "create stream": ("POST", "/2/streams"),
    "get streams": ("GET", "/2/streams"),
    "get stream": ("GET", "/2/streams/{stream_id}"),
    "remove stream": ("DELETE", "/2/streams/{stream_id}"),
    "patch stream": ("PATCH", "/2/streams/{stream_id}"),
    "get streams logs": ("GET", "/2/streams/logs"),
    "delete stream logs": ("DELETE", "/2/streams/logs"),
    "ws events handshake": ("GET", "/2/ws"),
    "get agent info": ("GET", "/1/agent"),
    "get openapi documentation": ("GET", "/docs/spec"),
    "get development manual": ("GET", "/docs/dev"),
    "get service configuration": ("GET", "/1/config"),
    "get list of plugins": ("GET", "/1/plugins"),
    "get health": ("GET", "/healthcheck"),
    "get version": ("GET", "/version"),
}
"""By their headings, in the document's order; methods and paths as the contract's notes have them."""

OURS = {"INFLUX_MONITORING": "telemetry"}
"""Names of settings are our own: the document's are the vendor's."""

TYPE = re.compile(r"(string|integer|number|boolean|Array of)\b")
AFTER_QUERY = ("header Parameters", "path Parameters", "Request Body schema", "Responses", "Request samples")

Sections = dict[str, list[str]]


@pytest.fixture(scope="module")
def text(shared: Path) -> str:
    return (shared / "contracts" / "seeds" / "agent-api.txt").read_text()


@pytest.fixture(scope="module")
def sections(text: str) -> Sections:
    """The document's lines about each operation."""
    lines = [line.rstrip() for line in text.splitlines()]
    starts: list[int] = []
    for heading in OPERATIONS:
        starts.append(lines.index(heading, starts[-1] + 1 if starts else 0))
    return {
        heading: lines[begin:end]
        for heading, (begin, end) in zip(OPERATIONS, pairwise([*starts, len(lines)]), strict=True)
    }


def example_of(section: list[str]) -> Any:
    """The response sample, in which what is nested is left out."""
    at = section.index("Response samples")
    begin = next(i for i in range(at, len(section)) if section[i] in {"{", "{}"})
    end = begin if section[begin] == "{}" else section.index("}", begin)
    return json.loads("".join(section[begin : end + 1]).replace("•", ""))


def parameters_of(section: list[str]) -> set[str]:
    """Names of the query parameters."""
    if "query Parameters" not in section:
        return set()
    begin = section.index("query Parameters") + 1
    end = next(i for i in range(begin, len(section)) if section[i].startswith(AFTER_QUERY))
    return {
        line
        for line, after in pairwise(section[begin:end])
        if re.fullmatch("[a-z_]+", line) and line != "required" and (after == "required" or TYPE.match(after))
    }


def route_of(heading: str) -> Route | None:
    method, path = OPERATIONS[heading]
    found = [r for r in ROUTES if (r.method, re.sub(r":\w+\}", "}", r.path)) == (method, path)]
    return found[0] if found else None


def test_the_list_is_the_documents(text: str, sections: Sections) -> None:
    assert len(OPERATIONS) == 17
    assert text.count("\nResponse samples\n") == len(OPERATIONS)
    for heading, section in sections.items():
        assert section.count("Responses") == section.count("Response samples") == 1, heading


@pytest.mark.parametrize("heading", OPERATIONS)
def test_the_operation_is_there_with_its_parameters(sections: Sections, heading: str) -> None:
    route = route_of(heading)
    assert route is not None
    ours = {"from", "token"} if heading == "ws events handshake" else set()  # where to go on, and who it is
    assert parameters_of(sections[heading]) | ours == {f.encode_name for f in msgspec.structs.fields(route.params)}
    required = "Luna-Account-Id" in sections[heading]
    assert any(name == "Luna-Account-Id" for name in route.headers) == required


def test_the_parameters_are_read_from_the_document(sections: Sections) -> None:
    assert parameters_of(sections["patch stream"]) == {"action"}
    assert parameters_of(sections["ws events handshake"]) == {"stream_id", "account_id", "analytic_index"}
    assert len(parameters_of(sections["get streams"])) == 16


@dataclass
class World:
    """A service with a finished task and a stream of which everything is given."""

    client: testing.TestClient
    settings: Settings
    parts: Parts
    task_id: str
    stream_id: str


@pytest.fixture
def world(client: testing.TestClient, settings: Settings, parts: Parts, task: Callable[..., str]) -> World:
    return World(client, settings, parts, task(), created(client, everything()))


def immediate(world: World) -> tuple[int, Any]:
    """An analysis that is waited for; Falcon's own test client hangs up at once."""
    end = RunEnd(new_stream_id(), Run(1), "done", COUNTS, 0, VIDEO)
    stages = {"detections", "tracks", "events"}
    world.parts.followers.outcome = Collected(video=VIDEO, end=end, processed=20, ended=stages)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(world.settings, world.parts.collaborators))
        async with httpx.AsyncClient(transport=transport, base_url="http://falconframework.org") as asker:
            return await asker.post("/1/videosdk", json={**deferred(), "deferred_task": {"enable": 0}})

    answer = asyncio.run(post())
    return answer.status_code, answer.json()


def asked(method: str, path: str, *, empty: bool = False, **more: Any) -> Callable[[World], tuple[int, Any]]:
    """A request whose answer is JSON, or anything at all where the document shows an empty object."""

    def ask(world: World) -> tuple[int, Any]:
        where = path.format(task_id=world.task_id, stream_id=world.stream_id)
        answer = world.client.simulate_request(method, where, **more)
        return answer.status_code, {} if empty else answer.json

    return ask


def hello(world: World) -> tuple[int, Any]:
    """What a socket is told first, and with which status it was opened."""

    async def first() -> Any:
        app = create_app(world.settings, world.parts.collaborators)
        async with Caller(app, "/2/ws", f"stream_id={world.stream_id}&analytic_index=0") as caller:
            return (await caller.heard(1))[0]

    return 101, asyncio.run(first())


ANSWERS: dict[str, tuple[int, Callable[[World], tuple[int, Any]]]] = {
    "video analytics": (200, immediate),
    "get task": (200, asked("GET", "/1/video/tasks/{task_id}")),
    "create stream": (201, asked("POST", "/2/streams", json=camera(), headers=HEADERS)),
    "get streams": (200, asked("GET", "/2/streams")),
    "get stream": (200, asked("GET", "/2/streams/{stream_id}")),
    "remove stream": (204, asked("DELETE", "/2/streams/{stream_id}", empty=True)),
    "patch stream": (200, asked("PATCH", "/2/streams/{stream_id}", params={"action": "stop"})),
    "get streams logs": (200, asked("GET", "/2/streams/logs")),
    "delete stream logs": (200, asked("DELETE", "/2/streams/logs")),
    "ws events handshake": (101, hello),
    "get agent info": (200, asked("GET", "/1/agent")),
    "get openapi documentation": (200, asked("GET", "/docs/spec", headers={"Accept": "text/html"}, empty=True)),
    "get development manual": (302, asked("GET", "/docs/dev", empty=True)),
    "get service configuration": (200, asked("GET", "/1/config")),
    "get list of plugins": (200, asked("GET", "/1/plugins")),
    "get health": (200, asked("GET", "/healthcheck")),
    "get version": (200, asked("GET", "/version")),
}


def test_every_operation_is_asked() -> None:
    assert list(ANSWERS) == list(OPERATIONS)


@pytest.mark.parametrize("heading", ANSWERS)
def test_the_example_is_answered(sections: Sections, world: World, heading: str) -> None:
    status, ask = ANSWERS[heading]
    answered, body = ask(world)
    assert answered == status, body
    fits(example_of(sections[heading]), body, heading)


def test_every_stream_of_a_list_has_the_keys_of_a_stream(sections: Sections, world: World) -> None:
    for stream in world.client.simulate_get("/2/streams").json["streams"]:
        fits(example_of(sections["get stream"]), stream, "streams")


def test_the_fields_of_a_stream_are_the_documents(sections: Sections, world: World) -> None:
    (sentence,) = {line for line in sections["get stream"] if "Available targets: " in line}
    assert set(shown(world.client, world.stream_id)) == set(sentence.split("Available targets: ")[1].split(", "))


def test_the_fields_of_a_log_are_the_documents(sections: Sections, world: World) -> None:
    section = sections["get streams logs"]
    (line,) = [line for line in section if line.startswith('Items Enum: "stream_id"')]
    for entry in world.client.simulate_get("/2/streams/logs").json["logs"]:
        assert set(entry) == set(re.findall('"([a-z_]+)"', line))


def test_every_limit_of_a_text_is_the_documents(sections: Sections, world: World) -> None:
    limits = {"name": "<= 128 characters", "description": "<= 512 characters", "source": "<= 128 characters",
              "event_source_group": "<= 256 characters"}  # fmt: skip
    section = sections["create stream"]
    for field, limit in limits.items():
        assert limit in section[section.index(field) + 1]
        longest = int(limit.split()[1])
        for length, status in ((longest, 201), (longest + 1, 400)):
            body = camera(**{field: "x" * length})
            answer = world.client.simulate_post("/2/streams", json=body, headers=HEADERS)
            assert answer.status_code == status, (field, length)


def fits(example: Any, answer: Any, at: str) -> None:
    """That an answer has the example's keys, with values of its types; what the example leaves empty may be fuller."""
    match example:
        case dict():
            assert isinstance(answer, dict), at
            for key, value in example.items():
                name = OURS.get(key, key)
                assert name in answer, f"{at}.{name} is missing"
                fits(value, answer[name], f"{at}.{name}")
        case list():
            assert isinstance(answer, list), at
        case bool():
            assert isinstance(answer, bool), at
        case int():
            assert isinstance(answer, int), at
        case float():
            assert isinstance(answer, (int, float)), at
        case str():
            assert isinstance(answer, str), at
        case None:
            pass
