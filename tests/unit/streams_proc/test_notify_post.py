"""What receivers are sent, and what their answers mean."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from base64 import b64decode
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import httpx
import msgspec
import pytest

from core.addresses import Policy
from core.pinned import Answer, PinnedHttp
from core.profile import BasicAuthorization, HttpCallback, TelegramCallback
from core.settings import Settings
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.notices import notice_of
from streams_proc.notify.post import Post, judge, signature
from streams_proc.notify.telegram import Telegram
from tests.unit.core.test_pinned import PUBLIC, Silent, Wire, fixed
from tests.unit.streams_proc.notify_kit import A, hook, known, notice

NOW = 1_767_225_600.9
TOKEN = "123:hush"


def pinned(transport: httpx.AsyncBaseTransport, *addresses: str) -> PinnedHttp:
    return PinnedHttp(Policy.of("callback", Settings()), fixed(*(addresses or (PUBLIC,))), transport)


def send(callback: HttpCallback, transport: httpx.AsyncBaseTransport, *addresses: str, timeout_s: float = 5.0) -> None:
    async def scene() -> None:
        http = pinned(transport, *addresses)
        try:
            await Post(http, lambda: NOW).send(callback, notice(), timeout_s)
        finally:
            await http.close()

    asyncio.run(scene())


def sent(callback: HttpCallback) -> httpx.Request:
    wire = Wire()
    send(callback, wire)
    (request,) = wire.asked
    asyncio.run(request.aread())
    return request


def test_a_callback_is_json_under_its_id() -> None:
    request = sent(hook())
    assert msgspec.json.decode(request.content) == {"ce_id": "x/end/1"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Ce-Id"] == "x/end/1"
    assert request.headers["User-Agent"] == "sightline"
    assert "Authorization" not in request.headers
    assert "Sightline-Signature" not in request.headers


def test_a_callback_may_be_message_pack_with_headers_and_a_login() -> None:
    callback = hook(
        content_type="application/msgpack",
        headers={"X-A": "b", "user-agent": "mine"},
        authorization=BasicAuthorization("me", "p:w"),
    )
    request = sent(callback)
    assert msgspec.msgpack.decode(request.content) == {"ce_id": "x/end/1"}
    assert request.headers["Content-Type"] == "application/msgpack"
    assert (request.headers["X-A"], request.headers.get_list("User-Agent")) == ("b", ["mine"])
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"me:p:w"


def test_a_secret_signs_the_time_and_the_body() -> None:
    request = sent(hook(secret="key"))
    fields = dict(part.split("=") for part in request.headers["Sightline-Signature"].split(","))
    assert fields["t"] == "1767225600"
    expected = hmac.new(b"key", b"1767225600." + request.content, hashlib.sha256).hexdigest()
    assert fields["v1"] == expected
    assert "key" not in str(request.headers)


def test_a_signature_is_of_this_body_this_time_and_this_secret() -> None:
    made = {signature(s, b, t) for s, b, t in (("a", b"x", 1), ("b", b"x", 1), ("a", b"y", 1), ("a", b"x", 2))}
    assert len(made) == 4


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_is_taken(status: int) -> None:
    judge(Answer(status))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, "redirect"),
        (307, "redirect"),
        (304, "redirect"),
        (400, "client_error"),
        (404, "client_error"),
        (410, "client_error"),
    ],
)
def test_what_will_not_change_is_refused(status: int, reason: str) -> None:
    with pytest.raises(Refused, match=str(status)) as caught:
        judge(Answer(status))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (429, "too_many"),
        (408, "timeout"),
        (425, "timeout"),
    ],
)
def test_what_may_pass_is_asked_again(status: int, reason: str) -> None:
    with pytest.raises(Unreachable, match=str(status)) as caught:
        judge(Answer(status))
    assert (caught.value.reason, caught.value.after_s) == (reason, 0.0)


@pytest.mark.parametrize(
    ("retry_after", "after_s"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        (formatdate(NOW + 30, usegmt=True), 29.1),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
        ("9" * 5000, 1e8),
    ],
)
def test_a_receiver_says_when_to_ask_again(retry_after: str, after_s: float) -> None:
    with pytest.raises(Unreachable) as caught:
        judge(Answer(429, retry_after), lambda: NOW)
    assert caught.value.after_s == pytest.approx(after_s, abs=1.0)


def test_an_address_that_may_not_be_opened_is_not_asked_again() -> None:
    wire = Wire()
    with pytest.raises(Refused, match="loopback") as caught:
        send(hook(), wire, "127.0.0.1")
    assert (caught.value.reason, wire.asked) == ("address", [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError("refused"), "unreachable"),
        (httpx.ConnectTimeout("late"), "timeout"),
        (httpx.ReadTimeout("late"), "timeout"),
        (httpx.RemoteProtocolError("it hung up"), "unreachable"),
        (OSError("no network"), "unreachable"),
    ],
)
def test_no_answer_may_be_one_later(error: Exception, reason: str) -> None:
    with pytest.raises(Unreachable) as caught:
        send(hook(), Wire(error))
    assert caught.value.reason == reason


def test_silence_has_an_end() -> None:
    with pytest.raises(Unreachable) as caught:
        send(hook(), Silent(), timeout_s=0.05)
    assert caught.value.reason == "timeout"


def test_a_name_without_an_address_may_have_one_later() -> None:
    def nothing(host: str, port: int) -> tuple[str, ...]:
        raise OSError("the name server is away")

    async def scene() -> None:
        http = PinnedHttp(Policy.of("callback", Settings()), nothing, Wire())
        try:
            await Post(http).send(hook(), notice(), 5.0)
        finally:
            await http.close()

    with pytest.raises(Unreachable) as caught:
        asyncio.run(scene())
    assert caught.value.reason == "no_address"


# telegram


def told(*answers: Any) -> Wire:
    from core.ids import Run
    from core.messages import TaskEnd

    async def scene(wire: Wire) -> None:
        http = pinned(wire)
        ended = notice_of(TaskEnd(A, Run(1), "failed", 5, "no video stream"), known())
        body = ended.body | {"url": "http://here/1/video/tasks/x", "result_url": "http://here/result"}
        try:
            await Telegram(http, "https://bots.example/").send(
                TelegramCallback(TOKEN, "42"), replace(ended, body=body), 5.0
            )
        finally:
            await http.close()

    wire = Wire(*answers)
    asyncio.run(scene(wire))
    return wire


def test_a_bot_says_what_has_become_of_a_task() -> None:
    (request,) = told().asked
    asyncio.run(request.aread())
    assert request.url.raw_path == f"/bot{TOKEN}/sendMessage".encode()
    assert request.headers["Host"] == "bots.example"
    said = msgspec.json.decode(request.content)
    assert said["chat_id"] == "42"
    assert said["text"] == f"Task {A} is failed: no video stream\nhttp://here/1/video/tasks/x"


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(302), httpx.ConnectError("refused")])
def test_a_bots_token_is_in_no_error(answer: Any) -> None:
    with pytest.raises((Refused, Unreachable)) as caught:
        told(answer)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value.__cause__)


def test_a_number_that_message_pack_cannot_hold_is_refused() -> None:
    async def scene(content_type: Any) -> None:
        http = pinned(Wire())
        try:
            much = replace(notice(), body={"n": 10**30})
            await Post(http).send(hook(content_type=content_type), much, 5.0)
        finally:
            await http.close()

    asyncio.run(scene("application/json"))
    with pytest.raises(Refused) as caught:
        asyncio.run(scene("application/msgpack"))
    assert caught.value.reason == "request"
