from __future__ import annotations

from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from core.errors import BadMessage, InvalidInput
from core.settings import Query
from infra.cli.query_service import ATTEMPTS, PIECE, QueryService, Refused, StackDown, address, service_of
from tests.unit.report.fake_service import TASK, VIDEO, FakeService
from tests.unit.report.results import make_result


def _client(fake: FakeService) -> QueryService:
    return QueryService("http://service", fake.transport(), pause=lambda seconds: None)


@pytest.fixture
def fake() -> FakeService:
    return FakeService(make_result(3))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a clip.mp4"
    path.write_bytes(bytes(range(256)) * (2 * PIECE // 256) + b"the end")
    return path


def test_a_file_is_uploaded_whole(fake: FakeService, video: Path) -> None:
    told: list[int] = []
    upload = _client(fake).upload(video, told.append)
    assert bytes(fake.received) == video.read_bytes()
    assert (fake.name, fake.size) == ("a clip.mp4", video.stat().st_size)
    assert upload.url.endswith(VIDEO)
    assert told == [0, PIECE, 2 * PIECE, 2 * PIECE + 7]


@pytest.mark.parametrize("breaks", [[0], [1000], [PIECE, 17, 0]])
def test_a_broken_upload_goes_on_where_the_service_stands(fake: FakeService, video: Path, breaks: list[int]) -> None:
    fake.break_after = list(breaks)
    _client(fake).upload(video)
    assert bytes(fake.received) == video.read_bytes()
    assert fake.calls.count(f"PATCH /query/v1/videos/{VIDEO}") == len(breaks) + 1
    assert fake.calls.count(f"HEAD /query/v1/videos/{VIDEO}") == len(breaks)


def test_a_lost_answer_to_the_last_bytes_is_no_failure(fake: FakeService, video: Path) -> None:
    fake.lose_answer = True
    _client(fake).upload(video)
    assert bytes(fake.received) == video.read_bytes()


def test_an_upload_that_always_breaks_is_given_up_and_removed(fake: FakeService, video: Path) -> None:
    fake.break_after = [0] * 100
    with pytest.raises(StackDown, match=f"{ATTEMPTS} times"):
        _client(fake).upload(video)
    assert fake.calls[-1] == f"DELETE /query/v1/videos/{VIDEO}"


def test_an_interrupted_upload_is_removed(fake: FakeService, video: Path) -> None:
    def interrupt(sent: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _client(fake).upload(video, interrupt)
    assert fake.calls[-1] == f"DELETE /query/v1/videos/{VIDEO}"


def test_a_refusal_says_the_field_and_the_reason(fake: FakeService) -> None:
    fake.refuse = httpx.Response(422, json={"title": "Unprocessable", "detail": "there is no such", "field": "model"})
    with pytest.raises(Refused, match=r"^model: there is no such$") as refused:
        _client(fake).submit({})
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("body", "says"),
    [({"error_code": 44014, "desc": "Bad", "detail": "why"}, "why"), ({"title": "T"}, "T"), ({}, "HTTP 400")],
)
def test_errors_of_every_surface_are_read(fake: FakeService, body: dict[str, object], says: str) -> None:
    fake.refuse = httpx.Response(400, json=body)
    with pytest.raises(Refused, match=says):
        _client(fake).submit({})


def test_a_service_that_is_not_ready_counts_as_down(fake: FakeService) -> None:
    fake.refuse = httpx.Response(503, text="starting")
    with pytest.raises(StackDown, match="HTTP 503"):
        _client(fake).submit({})


def test_an_answer_that_cannot_be_read_is_an_error_of_ours(fake: FakeService) -> None:
    fake.states = [{"state": "no such state"}]
    with pytest.raises(BadMessage):
        _client(fake).task(TASK)


def test_a_picture_that_is_not_there_is_none(fake: FakeService) -> None:
    assert _client(fake).picture("a/b.jpg") is None


def test_nobody_there_is_down() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(StackDown, match="http://service"):
        QueryService("http://service", httpx.MockTransport(refuse)).check()


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:4004"), ("0.0.0.0", "http://127.0.0.1:4004"), ("::1", "http://[::1]:4004")],
)
def test_where_the_service_is(host: str, url: str) -> None:
    assert address(Query(host=host)) == url


def test_a_busy_upload_is_tried_again(fake: FakeService, video: Path) -> None:
    busy = [httpx.Response(409), httpx.ConnectError("gone"), httpx.Response(500)]

    def answer(request: httpx.Request) -> httpx.Response:
        ours = (request.method, request.url.path) in {("PATCH", f"/query/v1/videos/{VIDEO}")}
        if ours and busy:
            said = busy.pop(0)
            if isinstance(said, httpx.Response):
                return said
            raise said
        return fake.answer(
            request.method, request.url.path, request.url.query.decode(), dict(request.headers), request.read()
        )

    QueryService("http://service", httpx.MockTransport(answer), lambda seconds: None).upload(video)
    assert bytes(fake.received) == video.read_bytes()
    assert busy == []


def test_a_refused_piece_ends_the_upload(video: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, json={"video_id": VIDEO, "url": "u"})
        return httpx.Response(507, json={"detail": "the disk is full"})

    with pytest.raises(Refused, match="the disk is full"):
        QueryService("http://service", httpx.MockTransport(answer), lambda seconds: None).upload(video)


@pytest.mark.parametrize(
    ("token", "sent"), [("slt_secret", "Bearer slt_secret"), (" slt_x\n", "Bearer slt_x"), ("", None)]
)
def test_a_token_is_sent_with_every_request(token: str, sent: str | None) -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={"items": []})

    service = QueryService("http://service", httpx.MockTransport(answer), token=SecretStr(token))
    assert list(service.streams()) == list(service.ledgers()) == []
    assert seen == [sent, sent]


def test_the_settings_token_is_the_one_that_is_sent() -> None:
    with closing(service_of(Query(token=SecretStr("slt_mine"), port=4321))) as service:
        assert service.base == "http://127.0.0.1:4321"
        assert service._http.headers["Authorization"] == "Bearer slt_mine"


def test_a_token_that_no_header_can_hold_is_refused_without_showing_it() -> None:
    for token in ("slt_é", "slt_a\nb"):
        with pytest.raises(InvalidInput) as refused:
            service_of(Query(token=SecretStr(token)))
        assert token not in str(refused.value)


def test_where_a_token_is_asked_for_it_says_how_to_send_one() -> None:
    refusing = httpx.MockTransport(lambda _: httpx.Response(401, json={"detail": "a token is required"}))
    with pytest.raises(Refused, match=r"^a token is required; `sightline token create`.*SIGHTLINE_QUERY__TOKEN"):
        list(QueryService("http://service", refusing).streams())
