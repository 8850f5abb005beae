"""The service says who it is, whether it is well, and what it offers."""

from __future__ import annotations

import re

import pytest
import yaml
from falcon import testing

from core.errors import ModelUnavailable
from core.scopes import SCOPES
from query_api.routes import ROUTES
from tests.unit.query_api.fakes import Parts

ID = "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a"


def test_root_names_the_service(client: testing.TestClient) -> None:
    answer = client.simulate_get("/").json
    assert answer["name"] == "Sightline"
    assert set(answer["version"]) == {"major", "minor", "patch"}
    assert answer["links"]["openapi"] == "/docs/spec"


def test_version_has_the_shape_of_the_agent_surface(client: testing.TestClient) -> None:
    assert client.simulate_get("/version").json == {"Version": {"api": 2, "major": 0, "minor": 1, "patch": 0}}


def test_a_request_id_is_echoed(client: testing.TestClient) -> None:
    answer = client.simulate_get("/health", headers={"Luna-Request-Id": ID})
    assert answer.headers["Luna-Request-Id"] == ID


def test_a_request_id_is_made(client: testing.TestClient) -> None:
    given = client.simulate_get("/health").headers["Luna-Request-Id"]
    assert given.startswith("1800000000,")
    assert given != client.simulate_get("/health").headers["Luna-Request-Id"]


@pytest.mark.parametrize("wrong", ["x", "1536751345", ID.upper(), f"{ID} "[:-2]])
def test_a_wrong_request_id_is_refused(client: testing.TestClient, wrong: str) -> None:
    answer = client.simulate_get("/version", headers={"Luna-Request-Id": wrong})
    assert answer.status_code == 400
    assert "Luna-Request-Id" in answer.json["detail"]
    assert answer.headers["Luna-Request-Id"] != wrong


def test_ready_when_every_part_answers(client: testing.TestClient) -> None:
    answer = client.simulate_get("/ready")
    assert answer.status_code == 200
    assert answer.json["parts"] == dict.fromkeys(("broker", "clickhouse", "control", "models"), "ok")


def test_not_ready_says_which_part(client: testing.TestClient, parts: Parts) -> None:
    parts.broker = False
    parts.models.error = ModelUnavailable("no model server answers")
    answer = client.simulate_get("/ready")
    assert answer.status_code == 503
    assert answer.json["ready"] is False
    assert answer.json["parts"]["broker"] == "does not answer"
    assert answer.json["parts"]["models"] == "no model server answers"
    assert answer.json["parts"]["control"] == "ok"


def test_healthcheck_looks_behind_only_on_wish(client: testing.TestClient, parts: Parts) -> None:
    parts.broker = False
    assert client.simulate_get("/healthcheck").json["execution_time"] >= 0
    answer = client.simulate_get("/healthcheck", params={"include_luna_services": 1})
    assert answer.status_code == 503
    assert answer.json["error_code"] == 38001
    assert "broker" in answer.json["detail"]


def test_healthcheck_refuses_other_values(client: testing.TestClient) -> None:
    answer = client.simulate_get("/healthcheck", params={"include_luna_services": 2})
    assert answer.status_code == 400
    assert answer.json["detail"].startswith("include_luna_services")


def test_metrics_are_counted(client: testing.TestClient) -> None:
    client.simulate_get("/version")
    answer = client.simulate_get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'sightline_http_requests_total{method="GET",status="200",surface="agent"}' in answer.text


def test_the_description_as_yaml_json_and_page(client: testing.TestClient) -> None:
    as_json = client.simulate_get("/docs/spec").json
    text = client.simulate_get("/docs/spec", headers={"Accept": "application/x-yaml"})
    assert yaml.safe_load(text.text) == as_json
    page = client.simulate_get("/docs/spec", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    for route in ROUTES:
        assert route.operation in page.text
    assert "<script" not in page.text
    assert 'id="error-44014"' in page.text


def test_the_description_in_another_form_is_refused(client: testing.TestClient) -> None:
    for accept in ("image/png", "no type at all"):
        answer = client.simulate_get("/docs/spec", headers={"Accept": accept})
        assert answer.status_code == 415
        assert answer.json["error_code"] == 12024


def test_every_route_is_described_once(client: testing.TestClient) -> None:
    described = client.simulate_get("/docs/spec").json["paths"]
    operations = [one["operationId"] for methods in described.values() for one in methods.values()]
    assert sorted(operations) == sorted(route.operation for route in ROUTES)
    assert len(set(operations)) == len(operations)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/1/nothing", {"error_code", "desc", "detail", "link"}),
        ("/smart-search/nothing", {"code", "message"}),
        ("/streams/first", {"code", "message"}),
        ("/config/nothing", {"code", "message"}),
        ("/query/v1/nothing", {"type", "title", "status", "detail", "request_id"}),
    ],
)
def test_an_unknown_path_is_answered_in_its_surface_s_shape(
    client: testing.TestClient, path: str, keys: set[str]
) -> None:
    answer = client.simulate_get(path)
    assert answer.status_code == 404
    assert set(answer.json) == keys


@pytest.mark.parametrize(
    ("path", "key"), [("/1/videosdk", "error_code"), ("/smart-search", "code"), ("/ready", "title")]
)
def test_a_wrong_method_is_answered_in_its_surface_s_shape(client: testing.TestClient, path: str, key: str) -> None:
    answer = client.simulate_delete(path)
    assert answer.status_code == 405
    assert key in answer.json
    assert answer.headers["Allow"]


def test_with_authentication_everything_but_health_asks_for_a_token(closed: testing.TestClient) -> None:
    paths = closed.simulate_get("/docs/spec").json["paths"]
    for route in ROUTES:
        operation = paths[re.sub(r":\w+\}", "}", route.path)][route.method.lower()]
        if route.scope is None:
            assert "security" not in operation, route.operation
            continue
        ways = ["bearerAuth", "apiKey", *(["signedToken"] if route.signed else [])]
        assert operation["security"] == [{way: [route.scope]} for way in ways], route.operation
        assert {"401", "403"} <= operation["responses"].keys(), route.operation
    assert [route.path for route in ROUTES if route.scope is None] == [
        "/version",
        "/healthcheck",
        "/health",
        "/ready",
        "/docs/spec",
        "/docs/dev",
        "/docs/dev/{page:path}",
    ]


def test_the_ways_to_send_a_token_are_described(closed: testing.TestClient, client: testing.TestClient) -> None:
    ways = closed.simulate_get("/docs/spec").json["components"]["securitySchemes"]
    assert (ways["bearerAuth"]["type"], ways["bearerAuth"]["scheme"]) == ("http", "bearer")
    assert (ways["apiKey"]["type"], ways["apiKey"]["in"], ways["apiKey"]["name"]) == ("apiKey", "header", "X-Api-Key")
    for scope in SCOPES:
        assert f"`{scope}`" in ways["bearerAuth"]["description"]
    page = closed.simulate_get("/docs/spec", headers={"Accept": "text/html"}).text
    assert "Needs a token with the scope <code>write</code>" in page
    assert "Needs a token" not in client.simulate_get("/docs/spec", headers={"Accept": "text/html"}).text
