"""Callbacks: read, and refused by the field that is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from core.callbacks import (
    UnknownCallback,
    broker_addresses,
    parse_callbacks,
    parse_event_policy,
    parse_task_callbacks,
)
from core.errors import Forbidden, InvalidInput
from core.profile import (
    AnalyticProfile,
    BasicAuthorization,
    Condition,
    EventPolicy,
    HttpCallback,
    KafkaCallback,
    StreamProfile,
    TaskProfile,
    TelegramCallback,
    WebSocketCallback,
    extra_of,
    profile_of,
)
from core.settings import Settings

HOOK = {"type": "http", "url": "https://hooks.example/a"}
KAFKA = {"type": "luna-kafka", "servers": "kafka.example:9092", "topic": "t"}
SECRET = "hush"


def resolve(host: str, port: int) -> tuple[str, ...]:
    known = {"inside.example": "10.0.0.1", "here.example": "127.0.0.1", "six.example": "2606:2800:220:1::1"}
    if host == "nowhere.example":
        raise OSError("no such name")
    return (known.get(host, "93.184.216.34"),)


def parse(*raw: dict[str, Any], **ingest: Any) -> Any:
    return parse_callbacks(raw, "callbacks", Settings(ingest=ingest), resolve)


def test_the_least_of_each_type() -> None:
    assert parse(HOOK, KAFKA, {"type": "luna-ws-notification"}) == (
        HttpCallback("https://hooks.example/a"),
        KafkaCallback("kafka.example:9092", "t"),
        WebSocketCallback(),
    )
    bot = {"type": "telegram", "token": "1:a", "chat_id": 5}
    assert parse_task_callbacks([HOOK, bot], "task_callbacks", Settings(), resolve) == (
        HttpCallback("https://hooks.example/a"),
        TelegramCallback("1:a", "5"),
    )


def test_a_flag_may_be_a_truth_value() -> None:
    assert [
        each.enable for each in parse({**HOOK, "enable": False}, {**HOOK, "enable": True}, {**HOOK, "enable": 0})
    ] == [
        False,
        True,
        False,
    ]


def test_servers_may_be_a_list() -> None:
    (kafka,) = parse({**KAFKA, "servers": ["a.example:1", " b.example:2 "], "protocol": "SASL_SSL", "username": "u"})
    assert (kafka.servers, kafka.protocol) == ("a.example:1,b.example:2", "SASL_SSL")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "callbacks.0.type"),
        ({"type": 7}, "callbacks.0.type"),
        ({"type": "luna-event"}, "callbacks.0.type"),
        ({"type": "telegram", "token": "a", "chat_id": "1"}, "callbacks.0.type"),
        ({"type": "http"}, "callbacks.0.url"),
        ({**HOOK, "url": ""}, "callbacks.0.url"),
        ({**HOOK, "url": "hooks.example/a"}, "callbacks.0.url"),
        ({**HOOK, "url": "http://[::1"}, "callbacks.0.url"),
        ({**HOOK, "url": "http://nowhere.example/"}, "callbacks.0.url"),
        ({**HOOK, "url": "http://me:pw@hooks.example/"}, "callbacks.0.url"),
        ({**HOOK, "enable": 2}, "callbacks.0.enable"),
        ({**HOOK, "more": 1}, "callbacks.0.more"),
        ({**HOOK, "params": {"timeout": 0}}, "callbacks.0.params.timeout"),
        ({**HOOK, "params": {"timeout": 601}}, "callbacks.0.params.timeout"),
        ({**HOOK, "params": {"content_type": "text/xml"}}, "callbacks.0.params.content_type"),
        ({**HOOK, "params": {"retries": 3}}, "callbacks.0.params.retries"),
        ({**HOOK, "params": {"headers": {"Host": "x"}}}, "callbacks.0.params.headers.Host"),
        ({**HOOK, "params": {"headers": {"content-length": "1"}}}, "callbacks.0.params.headers.content-length"),
        ({**HOOK, "params": {"headers": {"Transfer-Encoding": "x"}}}, "callbacks.0.params.headers.Transfer-Encoding"),
        ({**HOOK, "params": {"headers": {"CE-id": "x"}}}, "callbacks.0.params.headers.CE-id"),
        ({**HOOK, "params": {"headers": {"a b": "x"}}}, "callbacks.0.params.headers"),
        ({**HOOK, "params": {"headers": {"": "x"}}}, "callbacks.0.params.headers"),
        ({**HOOK, "params": {"headers": {"X-A": "a\r\nHost: b"}}}, "callbacks.0.params.headers.X-A"),
        ({**HOOK, "params": {"headers": {"X-A": " a"}}}, "callbacks.0.params.headers.X-A"),
        ({**HOOK, "params": {"headers": {"X-A": "\u00e9"}}}, "callbacks.0.params.headers.X-A"),
        ({**HOOK, "authorization": {"login": "a"}}, "callbacks.0.authorization.password"),
        ({**HOOK, "authorization": {"login": "a:b", "password": "c"}}, "callbacks.0.authorization.login"),
        (
            {**HOOK, "authorization": {"type": "bearer", "login": "a", "password": "c"}},
            "callbacks.0.authorization.type",
        ),
        (
            {
                **HOOK,
                "authorization": {"login": "a", "password": "c"},
                "params": {"headers": {"Authorization": "Bearer x"}},
            },
            "callbacks.0.params.headers.Authorization",
        ),
        ({**HOOK, "conditions": [{"field": "a"}]}, "callbacks.0.conditions.0.value"),
        ({**HOOK, "conditions": [{"field": "", "value": 1}]}, "callbacks.0.conditions.0.field"),
        ({**HOOK, "conditions": [{"field": "a", "value": 1, "is": "like"}]}, "callbacks.0.conditions.0.is"),
        ({**HOOK, "conditions": [{"field": "a", "value": 1, "is": "in"}]}, "callbacks.0.conditions.0.value"),
        ({**HOOK, "conditions": [{"field": "a", "value": True, "is": "lt"}]}, "callbacks.0.conditions.0.value"),
        ({**HOOK, "conditions": [{"field": "a", "value": [1], "is": "gte"}]}, "callbacks.0.conditions.0.value"),
        ({"type": "luna-kafka", "topic": "t"}, "callbacks.0.servers"),
        ({**KAFKA, "servers": "kafka.example"}, "callbacks.0.servers"),
        ({**KAFKA, "servers": ",".join(f"k{i}.example:1" for i in range(11))}, "callbacks.0.servers"),
        ({**KAFKA, "servers": "a.example:99999"}, "callbacks.0.servers"),
        ({**KAFKA, "topic": "a b"}, "callbacks.0.topic"),
        ({**KAFKA, "protocol": "HTTP"}, "callbacks.0.protocol"),
        ({**KAFKA, "protocol": "SASL_SSL"}, "callbacks.0.username"),
        ({**KAFKA, "username": "u", "password": "p"}, "callbacks.0.protocol"),
        ({"type": "luna-ws-notification", "url": "x"}, "callbacks.0.url"),
    ],
)
def test_what_is_wrong_is_named(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(raw)
    assert caught.value.field == field, str(caught.value)


def test_an_unknown_type_says_which_there_are() -> None:
    with pytest.raises(UnknownCallback, match=r"luna-event.*http, luna-kafka, luna-ws-notification"):
        parse({"type": "luna-event"})


def test_ten_are_the_most() -> None:
    assert len(parse(*[HOOK] * 10)) == 10
    with pytest.raises(InvalidInput, match="10 callbacks") as caught:
        parse(*[HOOK] * 11)
    assert caught.value.field == "callbacks"


@pytest.mark.parametrize(
    "raw",
    [
        {**HOOK, "url": "http://inside.example/"},
        {**HOOK, "url": "http://here.example/"},
        {**HOOK, "url": "ftp://hooks.example/"},
        {**HOOK, "url": "file:/etc/passwd"},
        {**KAFKA, "servers": "kafka.example:9092,inside.example:9092"},
        {**KAFKA, "servers": "here.example:9092"},
    ],
)
def test_an_address_that_may_not_be_opened_is_refused_with_its_field(raw: dict[str, Any]) -> None:
    field = "url" if raw["type"] == "http" else "servers"
    with pytest.raises(Forbidden, match=rf"^callbacks\.0\.{field}: "):
        parse(raw)
    if "file" not in str(raw) and "ftp" not in str(raw):
        assert parse(raw, allow_loopback=True, allow_private_videos=True)
    assert not parse({**raw, "enable": 0})[0].enable, "what is switched off is not looked up"


def test_credentials_of_a_url_are_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse({**HOOK, "url": f"http://me:{SECRET}@hooks.example/"})
    assert SECRET not in str(caught.value)


def test_brokers_are_connected_to_at_the_addresses_that_were_checked() -> None:
    servers = "kafka.example:9092,six.example:9093"
    assert broker_addresses(servers, Settings(), resolve) == ("93.184.216.34:9092", "[2606:2800:220:1::1]:9093")


def test_an_event_policy() -> None:
    assert parse_event_policy(None, "p") is None
    assert parse_event_policy({}, "p") == EventPolicy()
    assert parse_event_policy({"trigger": "period", "interval": 3, "min_duration": 0.5}, "p") == EventPolicy(
        "period", 3.0, 0.5
    )
    for raw, field in (({"trigger": "often"}, "p.trigger"), ({"interval": 0}, "p.interval"), ({"every": 1}, "p.every")):
        with pytest.raises(InvalidInput) as caught:
            parse_event_policy(raw, "p")
        assert caught.value.field == field


WHOLE: tuple[Any, ...] = (
    HttpCallback(
        f"https://hooks.example/a?key={SECRET}&b={SECRET}",
        True,
        (Condition("people_count", 3, "gt"), Condition("label", "car")),
        BasicAuthorization("me", SECRET),
        2.5,
        "application/msgpack",
        {"X-Api-Key": SECRET},
        SECRET,
    ),
    KafkaCallback("kafka.example:1", "t", False, (), "SASL_SSL", "me", SECRET),
    WebSocketCallback(),
    TelegramCallback(SECRET, "5"),
)


def test_a_profile_is_kept_whole() -> None:
    profile = StreamProfile(
        analytics=(AnalyticProfile(callbacks=WHOLE[:3], event_policy=EventPolicy("start")),),
        notifications=WHOLE[:3],
        task=TaskProfile((WHOLE[0], WHOLE[3]), "http://here"),
    )
    assert profile_of(json.loads(msgspec.json.encode(extra_of(profile)))) == profile
