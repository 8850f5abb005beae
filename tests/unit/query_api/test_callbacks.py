"""Callbacks of tasks and of their analytics: what is kept of them, and what is refused where it is asked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from falcon import testing

from core.ids import StreamId
from core.profile import (
    BasicAuthorization,
    Condition,
    EventPolicy,
    HttpCallback,
    KafkaCallback,
    StreamProfile,
    TaskProfile,
    TelegramCallback,
    WebSocketCallback,
    profile_of,
)
from tests.unit.query_api.conftest import deferred
from tests.unit.query_api.fakes import Parts
from warehouse.control.rows import StreamFilter

HOOK = {"type": "http", "url": "https://callbacks.example/hook"}


def of_analytic(*callbacks: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    analytic = {
        "analytic_name": "people_count",
        "parameters": {"callbacks": list(callbacks), "parameters": {"people_count_threshold": 2, **parameters}},
    }
    return {**deferred(), "analytics": [analytic]}


def of_task(*callbacks: dict[str, Any], enable: int = 1) -> dict[str, Any]:
    told = {"enable": enable, "task_callbacks": list(callbacks)}
    return {**deferred(), "deferred_task": {"enable": 1, "notification_callbacks": told}}


def kept(client: testing.TestClient, parts: Parts, body: dict[str, Any]) -> StreamProfile:
    answer = client.simulate_post("/1/videosdk", json=body)
    assert answer.status_code == 202, answer.text
    return profile_of(parts.control.stream(StreamId(UUID(answer.json["task_id"]))).extra)


def test_callbacks_of_an_analytic_are_kept_with_its_policy(client: testing.TestClient, parts: Parts) -> None:
    body = of_analytic(
        {
            **HOOK,
            "conditions": [{"field": "people_count", "is": "gte", "value": 5}],
            "authorization": {"type": "basic", "login": "me", "password": "pw"},
            "params": {"timeout": 5, "content_type": "application/msgpack", "headers": {"X-Key": "k"}},
            "secret": "s",
        },
        {"type": "luna-kafka", "servers": "kafka.example:9092", "topic": "crowds", "enable": 0},
        {"type": "luna-ws-notification"},
        event_policy={"trigger": "period", "interval": 2.5},
    )
    (analytic,) = kept(client, parts, body).analytics
    assert analytic.event_policy == EventPolicy("period", 2.5)
    assert analytic.callbacks == (
        HttpCallback(
            "https://callbacks.example/hook",
            True,
            (Condition("people_count", 5, "gte"),),
            BasicAuthorization("me", "pw"),
            5.0,
            "application/msgpack",
            {"X-Key": "k"},
            "s",
        ),
        KafkaCallback("kafka.example:9092", "crowds", False),
        WebSocketCallback(),
    )


def test_callbacks_of_a_task_are_kept_with_the_address_under_which_it_was_asked(
    client: testing.TestClient, parts: Parts
) -> None:
    bot = {"type": "telegram", "token": "12:ab", "chat_id": 7, "params": {"timeout": 60}}
    body = of_task(HOOK, bot | {"chat_id": "7"})
    answer = client.simulate_post("/1/videosdk", json=body)
    profile = profile_of(parts.control.stream(StreamId(UUID(answer.json["task_id"]))).extra)
    base = answer.json["url"].partition("/1/video")[0]
    callbacks = (HttpCallback("https://callbacks.example/hook"), TelegramCallback("12:ab", "7"))
    assert profile == StreamProfile(task=TaskProfile(callbacks, base))
    assert "12:ab" not in answer.text


def test_nothing_is_kept_of_a_list_that_is_switched_off(client: testing.TestClient, parts: Parts) -> None:
    assert kept(client, parts, of_task({**HOOK, "url": "http://127.0.0.1/"}, enable=0)) == StreamProfile()


def test_a_task_with_nobody_to_tell_keeps_nothing(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/1/videosdk", json=deferred())
    assert parts.control.stream(StreamId(UUID(answer.json["task_id"]))).extra == {}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (of_analytic({"type": "http"}), 400, "analytics.0.parameters.callbacks.0.url"),
        (of_analytic(HOOK, {**HOOK, "url": "no url"}), 400, "analytics.0.parameters.callbacks.1.url"),
        (of_analytic({**HOOK, "more": 1}), 400, "analytics.0.parameters.callbacks.0.more"),
        (of_analytic({**HOOK, "url": "http://127.0.0.1:4004/"}), 403, "analytics.0.parameters.callbacks.0.url"),
        (of_analytic({**HOOK, "url": "http://private.example/"}), 403, "analytics.0.parameters.callbacks.0.url"),
        (of_analytic({**HOOK, "url": "file:/etc/passwd"}), 403, "analytics.0.parameters.callbacks.0.url"),
        (of_analytic({"type": "telegram"}), 422, "analytics.0.parameters.callbacks.0.type"),
        (
            of_analytic(HOOK, event_policy={"trigger": "end", "min_duration": -1}),
            400,
            "analytics.0.parameters.parameters.event_policy.min_duration",
        ),
        (
            of_task({**HOOK, "url": "http://10.0.0.8.example@127.0.0.1/"}),
            403,
            "deferred_task.notification_callbacks.task_callbacks.0.url",
        ),
        (
            of_task({"type": "telegram", "token": "a/b", "chat_id": "1"}),
            400,
            "deferred_task.notification_callbacks.task_callbacks.0.token",
        ),
    ],
)
def test_what_is_wrong_is_named_and_no_task_is_made(
    client: testing.TestClient, parts: Parts, body: dict[str, Any], status: int, field: str
) -> None:
    answer = client.simulate_post("/1/videosdk", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json["detail"].startswith(f"{field}: "), answer.json
    assert parts.control.count_streams(StreamFilter(ephemeral=None)) == 0
