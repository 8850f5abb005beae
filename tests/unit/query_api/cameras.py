"""Streams as the agent surface is asked for them."""

from __future__ import annotations

from typing import Any

from falcon import testing

OWNER = "557d54ec-29ad-4f3c-93b4-c9092ef12515"
HEADERS = {"Luna-Account-Id": OWNER}
SECRETS = ("s3cret", "p4ss", "k3y", "t0ken")


def camera(**changes: Any) -> dict[str, Any]:
    """The least body of a stream."""
    return {
        "data": {"type": "stream", "reference": "rtsp://camera.example/1"},
        "analytics": [{"analytic_name": "object_detection"}],
        **changes,
    }


def everything() -> dict[str, Any]:
    """A body in which every field is given, and every secret is one of `SECRETS`."""
    http = {
        "type": "http",
        "enable": 1,
        "url": "https://callbacks.example/here?token=t0ken&place=a&k3y",
        "authorization": {"type": "basic", "login": "me", "password": "s3cret"},
        "params": {"timeout": 5, "content_type": "application/json", "headers": {"X-Api-Key": "k3y", "X-Place": "a"}},
        "conditions": [{"field": "event.people_count", "is": "gte", "value": 3}],
        "secret": "k3y",
    }
    kafka = {
        "type": "luna-kafka",
        "enable": 0,
        "servers": "kafka-1.example:9092,kafka-2.example:9092",
        "topic": "events",
        "protocol": "SASL_SSL",
        "username": "me",
        "password": "s3cret",
        "conditions": [{"field": "event_type", "is": "in", "value": ["crowd"]}],
    }
    listener = {"type": "luna-ws-notification", "enable": 1, "conditions": []}
    return {
        "name": "Gate",
        "description": "behind the house\nby the trees",
        "data": {
            "type": "stream",
            "reference": "rtsp://u:p4ss@camera.example/1?token=t0ken",
            "orientation_strategy": "static",
            "rotation": 90,
            "downloadable": False,
            "timestamp_source": "server",
            "pts": {"start_time": 1.5},
            "timeout": 2500,
            "fps": 5,
            "transport": "udp",
            "endless": False,
            "motion_gate": {
                "enable": 1, "threshold": 20, "min_area": 0.01, "recheck_interval": 5,
                "masks": [[[0, 0], [0.5, 0], [0, 0.5]]],
            },
        },
        "location": {
            "city": "Ulm", "area": "A", "district": "B", "street": "C", "house_number": "7a",
            "geo_position": {"longitude": 9.99, "latitude": 48.4},
        },
        "event_source_group": "group-123",
        "source": "3rd Avenue",
        "autorestart": {"restart": 1, "attempt_count": 500, "delay": 30},
        "analytics": [
            {
                "analytic_name": "people_count",
                "parameters": {
                    "targets": ["coordinates"],
                    "callbacks": [http, kafka, listener],
                    "parameters": {
                        "people_count_threshold": 2,
                        "event_policy": {"trigger": "period", "interval": 2, "min_duration": 0.5},
                    },
                },
                "schedules": [{"days": ["monday"], "begin": "22:00", "end": "06:00", "time_zone": "Europe/Berlin"}],
                "label": "queue",
            },
            {"analytic_name": "object_detection"},
        ],
        "notification_policy": {"callbacks": [http]},
    }  # fmt: skip


def created(client: testing.TestClient, body: dict[str, Any] | None = None, owner: str = OWNER) -> str:
    """A stream's id."""
    answer = client.simulate_post("/2/streams", json=body or camera(), headers={"Luna-Account-Id": owner})
    assert answer.status_code == 201, answer.text
    return str(answer.json["stream_id"])


def shown(client: testing.TestClient, stream_id: str, **params: Any) -> Any:
    """The stream as it is answered."""
    answer = client.simulate_get(f"/2/streams/{stream_id}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json
