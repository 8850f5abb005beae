"""The registry, configuration that takes effect, and the check-in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from falcon import testing

from core.analytics import REGISTRY
from core.messages import Orders
from core.settings import Settings
from query_api.services.configuration import FRESH_S, Configuration
from tests.unit.query_api.conftest import NOW
from tests.unit.query_api.fakes import Parts
from warehouse.control.checkin import LASTS_MS, hash_secret
from warehouse.control.configuration import Retention

KEYS = {"access_key": "AKID-1", "secret_key": "sk-very-secret"}
ORIGIN = {"Origin": "https://page.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}


# the registry


def test_the_registry_is_listed(client: testing.TestClient) -> None:
    listed = client.simulate_get("/analytic_list").json
    assert (listed["code"], listed["analytic_num"], listed["deployment_key"]) == (200, len(REGISTRY), "")
    assert {one["id"] for one in listed["analytics"]} == set(REGISTRY)
    (counting,) = [one for one in listed["analytics"] if one["id"] == "people_count"]
    assert counting == {
        "id": "people_count",
        "name": "People count",
        "major_version": REGISTRY["people_count"].version,
        "minor_version": 0,
        "publisher": "Sightline",
        "description": REGISTRY["people_count"].description,
        "type": "counting",
        "seats": [{"serial_number": "people_count-UNLIMITED", "active_status": True}],
    }


def test_what_an_analytic_declares(client: testing.TestClient) -> None:
    schema = client.simulate_get("/config/pipeline/people_count").json
    assert schema["properties"].keys() == REGISTRY["people_count"].parameters["properties"].keys()
    assert client.simulate_get("/v2/config/pipeline/people_count").json == schema
    preset = client.simulate_get("/config/preset/people_count").json
    assert preset["default"] == REGISTRY["people_count"].defaults
    assert isinstance(client.simulate_get("/rules/pipeline/people_count").json, dict)


@pytest.mark.parametrize("path", ["/config/pipeline", "/v2/config/pipeline", "/rules/pipeline", "/config/preset"])
def test_an_analytic_that_is_not_there(client: testing.TestClient, path: str) -> None:
    answer = client.simulate_get(f"{path}/fire")
    assert (answer.status_code, answer.json) == (404, {"code": 404, "message": "analytic not found"})


# the platform


def test_nothing_is_limited_at_first(client: testing.TestClient) -> None:
    assert client.simulate_get("/config/platform").json == {
        "code": 200,
        "message": "success",
        "config": {"max_streams_per_node": 0, "event_retention_days": 0, "enable_cors": False, "log_level": "info"},
    }
    assert client.simulate_get("/config/database").json["config"] == {"retention_days": 0, "max_events_per_stream": 0}


def test_what_is_given_is_changed_and_the_rest_stays(client: testing.TestClient, parts: Parts) -> None:
    client.simulate_post("/config/platform", json={"max_streams_per_node": 16, "event_retention_days": 30})
    answer = client.simulate_post("/config/platform", json={"event_retention_days": 7, "log_level": None})
    wanted = {"max_streams_per_node": 16, "event_retention_days": 7, "enable_cors": False, "log_level": "info"}
    assert answer.json["config"] == wanted
    assert client.simulate_get("/config/platform").json["config"] == wanted
    answer = client.simulate_put("/config/database", json={"retention_days": 90})
    assert answer.json == {
        "code": 200,
        "message": "success",
        "config": {"retention_days": 90, "max_events_per_stream": 0},
    }
    client.simulate_put("/config/database", json={"max_events_per_stream": 100_000})
    assert parts.control.retention() == Retention(days=90, event_days=7, most_events=100_000)


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/config/platform", "POST", {"max_streams_per_node": -1}),
        ("/config/platform", "POST", {"max_streams_per_node": 2**70}),
        ("/config/platform", "POST", {"event_retention_days": 1.5}),
        ("/config/platform", "POST", {"enable_cors": "yes"}),
        ("/config/platform", "POST", {"log_level": "loud"}),
        ("/config/platform", "POST", {"colour": "red"}),
        ("/config/platform", "POST", []),
        ("/config/database", "PUT", {"retention_days": -1}),
        ("/config/database", "PUT", {"retention_days": 10**6}),
        ("/config/database", "PUT", {"max_events_per_stream": "all"}),
        ("/config/database", "PUT", {"days": 1}),
    ],
)
def test_values_that_cannot_be(client: testing.TestClient, path: str, method: str, body: Any) -> None:
    before = client.simulate_get(path).json
    answer = client.simulate_request(method, path, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, 400)
    if body:
        said = answer.json["message"].removeprefix("invalid configuration value: ")
        assert said.startswith(next(iter(body)))
    assert client.simulate_get(path).json == before


def test_the_log_level_takes_effect_here_and_is_told_to_the_workers(client: testing.TestClient, parts: Parts) -> None:
    client.simulate_post("/config/platform", json={"log_level": "error"})
    assert logging.getLogger().level == logging.ERROR
    assert parts.control.orders() == Orders(log_level="error")


def test_pages_of_other_origins_may_ask_while_it_is_configured(client: testing.TestClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.simulate_get("/version", headers=ORIGIN).headers
    client.simulate_post("/config/platform", json={"enable_cors": True})
    answer = client.simulate_get("/version", headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Luna-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    assert client.simulate_get("/nothing", headers=ORIGIN).headers["Access-Control-Allow-Origin"] == "*"
    asked = client.simulate_options("/streams/0", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert asked.headers["Access-Control-Allow-Headers"] == "Authorization"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    client.simulate_post("/config/platform", json={"enable_cors": False})
    assert "Access-Control-Allow-Origin" not in client.simulate_get("/version", headers=ORIGIN).headers


def test_what_another_process_configures_is_known_after_seconds(
    settings: Settings, parts: Parts, client_of: Callable[[Settings], testing.TestClient]
) -> None:
    import asyncio

    now = [0.0]
    levels: list[str] = []
    known = Configuration(settings, parts.collaborators, now=lambda: now[0], set_level=levels.append)
    asyncio.run(known.refresh())
    parts.control.change_platform(enable_cors=True, log_level="debug")
    asyncio.run(known.refresh())
    assert not known.known.platform.enable_cors
    now[0] += FRESH_S
    asyncio.run(known.refresh())
    assert known.known.platform.enable_cors
    parts.control.change_platform(log_level="")
    now[0] += FRESH_S
    asyncio.run(known.refresh())
    assert levels == ["debug", "info"], "then what the settings say"


def test_a_database_that_does_not_answer_holds_nobody_up(
    settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from core.errors import StoreUnavailable

    def away() -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(parts.control, "platform", away)
    known = Configuration(settings, parts.collaborators)
    asyncio.run(known.refresh())
    assert not known.known.platform.enable_cors


# the database


def test_how_full_the_database_is(client: testing.TestClient, parts: Parts) -> None:
    assert client.simulate_get("/database/stats").json == {
        "code": 200,
        "message": "success",
        "total_size_bytes": 10_000,
        "used_size_bytes": 6_000,
        "free_size_bytes": 4_000,
        "event_count": 12,
    }
    parts.analytics.down = True
    answer = client.simulate_get("/database/stats")
    assert (answer.status_code, answer.json["code"]) == (503, 503)


# the check-in


@pytest.fixture
def issued(parts: Parts) -> None:
    parts.control.add_checkin_key(KEYS["access_key"], hash_secret(KEYS["secret_key"]))


def test_nothing_is_locked_without_a_check_in(client: testing.TestClient) -> None:
    wanted = {"status": "inactive", "deployment_key": "", "last_checkin_at": None, "expires_at": None}
    assert client.simulate_get("/config/checkin").json["checkin"] == wanted
    assert client.simulate_get("/").json["deployment_key"] == ""


@pytest.mark.usefixtures("issued")
def test_a_check_in_and_its_end(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/config/checkin", json=KEYS)
    assert (answer.status_code, answer.json["message"]) == (200, "checkin successful")
    made = answer.json["checkin"]
    assert made["status"] == "active"
    assert made["last_checkin_at"] == "2027-01-15T08:00:00.000Z"
    assert made["expires_at"] == "2028-01-15T08:00:00.000Z"
    assert client.simulate_get("/config/checkin").json["checkin"] == made
    key = made["deployment_key"]
    assert key.startswith("sightline-")
    assert client.simulate_get("/").json["deployment_key"] == key
    assert client.simulate_get("/analytic_list").json["deployment_key"] == key
    cleared = client.simulate_delete("/config/checkin")
    assert cleared.json == {"code": 200, "message": "checkin credentials cleared"}
    assert client.simulate_get("/config/checkin").json["checkin"]["status"] == "inactive"
    again = client.simulate_post("/config/checkin", json=KEYS).json["checkin"]
    assert again["deployment_key"] == key, "it names the installation for good"


@pytest.mark.usefixtures("issued")
def test_a_check_in_lasts_a_year(settings: Settings, parts: Parts) -> None:
    parts.control.check_in(KEYS["access_key"], KEYS["secret_key"])
    object.__setattr__(parts.collaborators, "clock", lambda: NOW + LASTS_MS / 1000)
    assert Configuration(settings, parts.collaborators).checkin().status == "expired"


@pytest.mark.usefixtures("issued")
@pytest.mark.parametrize(
    "body",
    [
        {**KEYS, "secret_key": "sk-other"},
        {**KEYS, "access_key": "AKID-2"},
        {**KEYS, "secret_key": hash_secret(KEYS["secret_key"])},
    ],
)
def test_another_pair_is_refused(client: testing.TestClient, body: dict[str, str]) -> None:
    answer = client.simulate_post("/config/checkin", json=body)
    assert (answer.status_code, answer.json) == (400, {"code": 400, "message": "invalid license credentials"})
    assert client.simulate_get("/config/checkin").json["checkin"]["status"] == "inactive"


@pytest.mark.parametrize("body", [{}, {"access_key": "a"}, {**KEYS, "more": 1}, {**KEYS, "access_key": 7}])
def test_a_check_in_that_cannot_be_read(client: testing.TestClient, body: dict[str, Any]) -> None:
    assert client.simulate_post("/config/checkin", json=body).json["code"] == 400


@pytest.mark.usefixtures("issued")
def test_the_secret_is_nowhere(client: testing.TestClient, settings: Settings) -> None:
    client.simulate_post("/config/checkin", json=KEYS)
    client.simulate_get("/config/checkin")
    for file in settings.data_dir.glob("control.db*"):
        assert KEYS["secret_key"].encode() not in file.read_bytes()
