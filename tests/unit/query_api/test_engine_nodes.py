"""Nodes, what they take of their machines, and the order to begin again."""

from __future__ import annotations

from typing import Any

from falcon import testing
from msgspec.structs import replace

from core.messages import Orders
from tests.unit.query_api.conftest import NOW
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.test_engine_contract import node

NOW_MS = int(NOW * 1000)


def statuses(client: testing.TestClient) -> list[str]:
    return [one["status"] for one in client.simulate_get("/node_status").json["nodes"]]


def test_without_any_node(client: testing.TestClient) -> None:
    assert client.simulate_get("/node_status").json == {"node_number": 0, "nodes": []}
    assert client.simulate_get("/resource_stats").json == {"devices": []}
    assert client.simulate_get("/v2/resource_stats").json == {"devices": []}


def test_a_node_as_it_is_shown(client: testing.TestClient, parts: Parts) -> None:
    parts.control.record_node(node("edge-1-1", 0), NOW_MS)
    assert client.simulate_get("/node_status").json == {
        "node_number": 1,
        "nodes": [
            {
                "node_num": 0,
                "status": "online",
                "running_time_sec": 3600,
                "ip_address": "192.168.1.100",
                "run_mode": "GPU",
            }
        ],
    }
    data = {
        "cpu_percent": 12.44,
        "ram_percent": 27.46,
        "swap_memory_percent": 0.0,
        "gpus": [
            {
                "gpu_id": 0,
                "gpu_name": "Tesla P4",
                "gpu_utilization": 85,
                "gpu_temperature": 72,
                "gpu_memory_total": 7981694976,
                "gpu_memory_used": 5451022336,
                "gpu_memory_free": 2530672640,
                "services": [{"service_name": "sightline::models", "service_number": 1}],
            }
        ],
        "services": [
            {"service_name": "sightline::ingest", "service_number": 1, "cpu_percent": 1.5, "memory_used": 1000}
        ],
    }
    assert client.simulate_get("/resource_stats").json == {"devices": [{"node_num": 0, "data": data}]}
    addressed = {"node_num": 0, "ip_address": "192.168.1.100", "data": data}
    assert client.simulate_get("/v2/resource_stats").json == {"devices": [addressed]}


def test_a_node_without_a_card(client: testing.TestClient, parts: Parts) -> None:
    parts.control.record_node(replace(node("edge-1-1", 0), gpus=(), run_mode="CPU"), NOW_MS)
    assert client.simulate_get("/node_status").json["nodes"][0]["run_mode"] == "CPU"
    assert client.simulate_get("/resource_stats").json["devices"][0]["data"]["gpus"] is None


def test_a_node_is_online_for_ten_seconds_after_it_was_heard_of(client: testing.TestClient, parts: Parts) -> None:
    parts.control.record_node(node("a", 0), NOW_MS - 10_000)
    parts.control.record_node(node("b", 1), NOW_MS - 10_001)
    parts.control.record_node(replace(node("c", 2), ended=True), NOW_MS)
    assert statuses(client) == ["online", "offline", "offline"]
    times = [one["running_time_sec"] for one in client.simulate_get("/node_status").json["nodes"]]
    assert times == [3600, 0, 0]
    assert [one["node_num"] for one in client.simulate_get("/resource_stats").json["devices"]] == [0]


def test_a_node_that_comes_back_keeps_its_number(client: testing.TestClient, parts: Parts) -> None:
    for host in ("a", "b"):
        parts.control.record_node(node(host, 0), NOW_MS)
    parts.control.record_node(replace(node("a", 0), ended=True), NOW_MS)
    assert statuses(client) == ["offline", "online"]
    parts.control.record_node(node("a", 0), NOW_MS)
    assert statuses(client) == ["online", "online"]


def test_a_restart_is_ordered(client: testing.TestClient, parts: Parts) -> None:
    assert parts.control.orders() == Orders()
    answer = client.simulate_post("/system/restart")
    assert (answer.status_code, answer.json) == (200, {"code": 200, "message": "System restart initiated"})
    first = parts.control.orders().restart_ms
    assert first == NOW_MS
    client.simulate_post("/system/restart")
    assert parts.control.orders().restart_ms > first, "an order of its own, also within the same moment"


def test_other_methods_are_refused_in_the_surface_s_shape(client: testing.TestClient) -> None:
    refused: list[tuple[str, str]] = [("GET", "/system/restart"), ("POST", "/node_status"), ("DELETE", "/streams")]
    for method, path in refused:
        answer: Any = client.simulate_request(method, path)
        assert (answer.status_code, answer.json["code"]) == (405, 405)
