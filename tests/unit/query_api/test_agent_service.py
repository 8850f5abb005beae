"""What the agent surface tells of the service itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from falcon import testing

from core.analytics import REGISTRY
from core.errors import NotFound
from core.ids import Run, StreamId
from core.messages import StreamStatus
from core.settings import Control, Kafka, Settings
from query_api.services.manual import Manual
from tests.unit.query_api.cameras import created, everything
from tests.unit.query_api.conftest import NOW
from tests.unit.query_api.fakes import Parts

ERROR = {"error_code", "desc", "detail", "link"}


def test_the_agent_keeps_its_id(client: testing.TestClient) -> None:
    first, second = (client.simulate_get("/1/agent").json["agent_id"] for _ in range(2))
    assert first == second
    assert UUID(first).version == 4


def test_the_agent_tells_what_it_can_do_and_does(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    task()
    running, partly, _ = created(client), created(client, everything()), created(client)
    for stream_id, paused in ((running, ()), (partly, (0,))):
        stream = StreamId(UUID(stream_id))
        parts.control.record_status(StreamStatus(stream, Run(1), "in_progress", int(NOW * 1000), "h", paused=paused))
    found = client.simulate_get("/1/agent").json
    assert [one["analytic_name"] for one in found["analytics"]] == list(REGISTRY)
    assert found["analytics"][0]["parameters"]["type"] == "object"
    assert found["streams"] == {
        "total": 3, "pending": 1, "in_progress": 1, "done": 0, "restart": 0, "failure": 0, "stop": 0,
        "handler_lost": 0, "unknown": 1, "paused": 0,
    }  # fmt: skip
    assert found["groups"] == []


def test_every_analytic_is_a_plugin(client: testing.TestClient) -> None:
    found = client.simulate_get("/1/plugins").json["plugins"]
    assert [(one["name"], one["type"]) for one in found] == [(name, "analytic") for name in REGISTRY]


@pytest.fixture
def telling(settings: Settings, client_of: Callable[[Settings], testing.TestClient]) -> testing.TestClient:
    """A service whose settings are full of secrets."""
    clickhouse = settings.clickhouse.model_copy(update={"url": "https://me:s3cret@store.example"})
    kafka = Kafka(security={"sasl.username": "me", "sasl.password": "s3cret"})
    control = Control(url="postgresql://me:s3cret@db.example/sightline")
    changed = {"clickhouse": clickhouse, "kafka": kafka, "control": control}
    return client_of(settings.model_copy(update=changed))


def test_settings_are_shown_without_secrets(telling: testing.TestClient) -> None:
    answer = telling.simulate_get("/1/config")
    assert answer.headers["content-type"] == "application/json"
    assert "s3cret" not in answer.text
    assert answer.json["clickhouse"]["url"] == "https://***@store.example"
    assert answer.json["kafka"]["security"]["sasl.username"] == "me"
    assert answer.json["control"]["stream_logs_days"] == 30.0


def test_settings_are_shown_as_text(telling: testing.TestClient) -> None:
    answer = telling.simulate_get("/1/config", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert "s3cret" not in answer.text
    assert 'clickhouse.url = "https://***@store.example"\n' in answer.text
    assert "query.port = 4004\n" in answer.text


def test_settings_in_another_form_are_refused(client: testing.TestClient) -> None:
    answer = client.simulate_get("/1/config", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json["error_code"], set(answer.json)) == (415, 12024, ERROR)


def test_the_manual_begins_at_its_index(client: testing.TestClient) -> None:
    answer = client.simulate_get("/docs/dev")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "http://falconframework.org/docs/dev/index.html"
    index = client.simulate_get("/docs/dev/index.html")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in index.text
    assert '<a href="architecture.html">Architecture</a>' in index.text
    page = client.simulate_get("/docs/dev/architecture.html")
    assert page.status_code == 200
    assert "The way of a frame" in page.text


@pytest.mark.parametrize(
    "name", ["nothing.html", "architecture.md", "../README.html", "..%2f..%2fetc%2fpasswd", "a/b.html"]
)
def test_the_manual_has_no_other_pages(client: testing.TestClient, name: str) -> None:
    answer = client.simulate_get(f"/docs/dev/{name}")
    assert (answer.status_code, set(answer.json)) == (404, ERROR)


def test_pages_are_escaped_and_a_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "odd.md").write_text("# A <b>\n\n<script>alert(1)</script>\n")
    manual = Manual(tmp_path)
    assert '<a href="odd.html">A &lt;b&gt;</a>' in manual.page("index.html")
    assert "&lt;script&gt;" in manual.page("odd.html")
    assert "<script" not in manual.page("odd.html")
    with pytest.raises(NotFound):
        manual.page("even.html")
    assert "not installed" in Manual(tmp_path / "gone").page("")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/1/agent", "/1/config", "/1/plugins", "/docs/dev", "/docs/dev/index.html"])
def test_they_can_only_be_read(client: testing.TestClient, path: str, method: str) -> None:
    answer: Any = client.simulate_request(method, path)
    assert (answer.status_code, set(answer.json)) == (405, ERROR)
