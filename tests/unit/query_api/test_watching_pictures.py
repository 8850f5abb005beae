"""Pictures over HTTP: MJPEG, single ones, pages, and who may see them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import simplejpeg
from falcon import testing

from core import metrics
from core.clock import rfc3339
from core.ids import StreamId
from core.log import mask
from core.settings import Settings
from query_api.app import create_app
from query_api.services import watchable
from query_api.watching import parts as bodies
from tests.unit.query_api.conftest import NOW, show
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.watching import SHORT, STREAM, create, follow, report, until

JPEG = f"/stream_jpeg/0/{SHORT}"
MJPEG = f"/mjpeg/0/{SHORT}"
PAGE = f"/visual/0/{SHORT}"
PART = re.compile(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: ([\d.]+)\r\n\r\n")


def changed(settings: Settings, **query: Any) -> Settings:
    return settings.model_copy(update={"query": settings.query.model_copy(update=query)})


class Body:
    """What has come of an MJPEG answer."""

    def __init__(self, result: Any) -> None:
        self.headers: dict[str, str] = dict(result.headers)
        self.status: int = result.status_code
        self._stream = result.stream
        self._bytes = b""

    async def parts(self, many: int) -> list[tuple[float, bytes]]:
        """Time and JPEG of each part, once there are so many; the boundary after the last has come too."""
        async with asyncio.timeout(20):
            while self._bytes.count(b"--frame\r\n") < many + 1:
                self._bytes += await self._stream.read()
                await asyncio.sleep(0.001)
        found, at = [], self._bytes.index(b"--frame\r\n") + len(b"--frame\r\n")
        while (head := PART.match(self._bytes, at)) is not None:
            end = head.end() + int(head[1])
            assert self._bytes[end : end + 11] == b"\r\n--frame\r\n"
            found.append((float(head[2]), self._bytes[head.end() : end]))
            at = end + 11
        assert at == len(self._bytes)
        return found


@asynccontextmanager
async def watching(conductor: testing.ASGIConductor, path: str, query: str = "") -> AsyncIterator[Body]:
    async with conductor.simulate_get_stream(path, query_string=query) as result:
        yield Body(result)


def conducted(settings: Settings, parts: Parts, test: Callable[[testing.ASGIConductor], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with testing.ASGIConductor(create_app(settings, parts.collaborators)) as conductor:
            await test(conductor)

    asyncio.run(inside())


def viewers() -> float:
    value: float = metrics.gauge("sightline_viewers")._value.get()
    return value


def test_pictures_follow_one_another_until_the_viewer_leaves(settings: Settings, parts: Parts) -> None:
    create(parts)
    first = show(parts, STREAM, 0)

    async def test(conductor: testing.ASGIConductor) -> None:
        before = viewers()
        async with watching(conductor, MJPEG, "height=0&jpeg_quality=100") as body:
            assert body.status == 200
            assert body.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
            assert body.headers["cache-control"] == "no-store"
            assert "content-length" not in body.headers
            assert await body.parts(1) == [(1_700_000_000.25, first.jpeg)]
            second = show(parts, STREAM, 1, ts_ms=1_700_000_000_500)
            assert (await body.parts(2))[1] == (1_700_000_000.5, second.jpeg)
            assert viewers() - before == 1
        await until(lambda: viewers() == before)

    conducted(settings, parts, test)


def test_size_and_overlay_are_as_asked(settings: Settings, parts: Parts) -> None:
    create(parts)
    show(parts, STREAM, 0)
    follow(parts, 0)

    async def test(conductor: testing.ASGIConductor) -> None:
        async with watching(conductor, MJPEG, "height=12") as plain:
            ((_, small),) = await plain.parts(1)
            async with watching(conductor, f"{MJPEG}/object_detection", "height=12") as drawn:
                ((_, with_box),) = await drawn.parts(1)
        assert simplejpeg.decode_jpeg_header(small)[:2] == (12, 16)
        assert simplejpeg.decode_jpeg_header(with_box)[:2] == (12, 16)
        assert small != with_box
        assert len(parts.tails.opened) == 1

    conducted(settings, parts, test)


def test_nothing_new_repeats_the_last_and_a_stream_that_is_gone_ends_the_answer(
    settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "IDLE_S", 0.005)
    monkeypatch.setattr(watchable, "KNOWN_S", 0.0)
    create(parts)
    first = show(parts, STREAM)

    async def test(conductor: testing.ASGIConductor) -> None:
        before = viewers()
        async with watching(conductor, MJPEG, "height=0&jpeg_quality=100") as body:
            assert [jpeg for _, jpeg in await body.parts(3)][:3] == [first.jpeg] * 3
            parts.control.delete_stream(STREAM)
            await until(lambda: viewers() == before)

    conducted(settings, parts, test)


def test_when_the_service_stops_so_do_its_answers(settings: Settings, parts: Parts) -> None:
    create(parts)
    show(parts, STREAM)

    async def test(conductor: testing.ASGIConductor) -> None:
        before = viewers()
        async with watching(conductor, MJPEG) as body:
            await body.parts(1)
            parts.tails.close()
            await until(lambda: viewers() == before)

    conducted(settings, parts, test)


@pytest.mark.parametrize("path", ["/mjpeg", "/stream_jpeg", "/visual"])
@pytest.mark.parametrize(
    "place", [f"1/{SHORT}", "0/0123456789abcdef", "0/x", f"0/{SHORT.upper()}", "0/11111111-2222-4333-8444-555555555555"]
)
def test_an_unknown_stream_is_said_to_be_so(client: testing.TestClient, parts: Parts, path: str, place: str) -> None:
    create(parts)
    answer = client.simulate_get(f"{path}/{place}")
    assert answer.status_code == 404
    assert answer.json == {"code": 404, "message": "stream not found"}


@pytest.mark.parametrize("path", ["/mjpeg", "/visual"])
def test_an_unknown_analytic_is_too(client: testing.TestClient, parts: Parts, path: str) -> None:
    create(parts)
    answer = client.simulate_get(f"{path}/0/{SHORT}/face_detection")
    assert answer.status_code == 404
    assert answer.json == {"code": 404, "message": "stream or analytic not found"}


@pytest.mark.parametrize("path", [MJPEG, JPEG, PAGE])
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("stop", {"code": 409, "message": "stream is stopped"}),
        ("done", {"code": 410, "message": "stream has ended"}),
        (
            "failure",
            {"code": 410, "message": "stream has failed: no answer from rtsp://***@camera.example/1"},
        ),
    ],
)
def test_a_stream_at_rest_says_so(
    client: testing.TestClient, parts: Parts, path: str, state: str, says: dict[str, Any]
) -> None:
    create(parts)
    error = "no answer from rtsp://admin:s3cret@camera.example/1" if state == "failure" else None
    report(parts, state, error=error)
    show(parts, STREAM)
    answer = client.simulate_get(path)
    assert answer.status_code == says["code"]
    assert answer.json == says


def test_a_task_is_no_stream_to_be_watched(client: testing.TestClient, task: Callable[..., str]) -> None:
    short = task().replace("-", "")[-16:]
    assert client.simulate_get(f"/stream_jpeg/0/{short}").status_code == 404


def test_a_single_picture_is_the_frame_as_it_is(client: testing.TestClient, parts: Parts) -> None:
    create(parts)
    show(parts, STREAM, 0)
    shown = show(parts, STREAM, 1, ts_ms=1_700_000_000_500)
    for path in (JPEG, f"/stream_jpeg/0/{STREAM}"):
        answer = client.simulate_get(path, params={"_": "1", "t": "2"})
        assert answer.status_code == 200
        assert answer.content == shown.jpeg
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Timestamp"] == "1700000000.500"


def test_a_stream_that_does_not_begin_is_waited_for_shortly(
    settings: Settings, client_of: Callable[[Settings], testing.TestClient], parts: Parts
) -> None:
    create(parts)
    client = client_of(changed(settings, first_picture_s=0.01))
    for path in (JPEG, MJPEG):
        answer = client.simulate_get(path)
        assert answer.status_code == 503
        assert answer.json == {"code": 503, "message": "stream has shown no picture yet"}
        assert answer.headers["Retry-After"]


def test_a_stream_that_begins_later_is_seen(settings: Settings, parts: Parts) -> None:
    create(parts)

    async def test(conductor: testing.ASGIConductor) -> None:
        asking = asyncio.create_task(conductor.simulate_get(JPEG))
        await until(lambda: parts.tails.running)
        shown = show(parts, STREAM)
        assert (await asking).content == shown.jpeg

    conducted(settings, parts, test)


def test_more_viewers_than_there_is_room_for(settings: Settings, parts: Parts) -> None:
    create(parts)
    show(parts, STREAM)

    async def test(conductor: testing.ASGIConductor) -> None:
        async with watching(conductor, MJPEG) as body:
            await body.parts(1)
            answer = await conductor.simulate_get(JPEG)
            assert answer.status_code == 503
            assert "this stream" in answer.json["message"]

    conducted(changed(settings, viewers_per_stream=1), parts, test)


@pytest.mark.parametrize(
    ("query", "field"),
    [("fps=-1", "fps"), ("height=x", "height"), ("jpeg_quality=0", "jpeg_quality"),
     ("jpeg_quality=101", "jpeg_quality"), ("width=3", "width")],
)  # fmt: skip
def test_wrong_wishes_are_named(client: testing.TestClient, parts: Parts, query: str, field: str) -> None:
    create(parts)
    answer = client.simulate_get(MJPEG, query_string=query)
    assert answer.status_code == 400
    assert answer.json["code"] == 400
    assert answer.json["message"].startswith(f"{field}: ")


def test_the_page_can_be_framed_and_runs_only_what_is_its_own(
    client: testing.TestClient, parts: Parts, client_of: Callable[[Settings], testing.TestClient], settings: Settings
) -> None:
    create(parts)
    answer = client.simulate_get(f"{PAGE}/object_detection", params={"fps": 5, "token": "secret-token"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "secret-token" not in answer.text
    assert f'data-src="../../../mjpeg/0/{SHORT}/object_detection?fps=5&amp;height=720' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", answer.text)
        assert f"{kind}-src 'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "x-frame-options" not in answer.headers
    assert "frame-ancestors" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    narrow = client_of(changed(settings, frame_ancestors="https://board.example"))
    assert (
        narrow.simulate_get(PAGE).headers["Content-Security-Policy"].endswith("frame-ancestors https://board.example")
    )


def test_pages_of_the_origins_in_the_settings_may_read_pictures(
    client: testing.TestClient, parts: Parts, client_of: Callable[[Settings], testing.TestClient], settings: Settings
) -> None:
    create(parts)
    show(parts, STREAM)
    asked = {"Origin": "https://board.example"}
    assert "access-control-allow-origin" not in client.simulate_get(JPEG, headers=asked).headers
    open_ = client_of(changed(settings, origins=("https://board.example",)))
    answer = open_.simulate_get(JPEG, headers=asked)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://board.example"
    assert answer.headers["Vary"] == "Origin"
    other = open_.simulate_get(JPEG, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_token_opens_its_stream_and_no_other(
    settings: Settings, parts: Parts, client: testing.TestClient, client_of: Callable[[Settings], testing.TestClient]
) -> None:
    create(parts)
    create(parts, StreamId(UUID(int=2**64 + 5)))
    show(parts, STREAM)
    answer = client.simulate_post(f"/query/v1/streams/{STREAM}/watch-token")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    given = answer.json
    token = given["token"]
    assert given["expires_at"] == rfc3339(int(NOW + 300) * 1000)
    assert given["mjpeg_url"] == f"http://falconframework.org{MJPEG}?token={token}"
    assert given["page_url"] == f"http://falconframework.org{PAGE}?token={token}"
    assert token not in mask(given["mjpeg_url"])

    closed = client_of(changed(settings, auth=True))
    assert closed.simulate_get(JPEG, params={"token": token}).status_code == 200
    assert closed.simulate_get(PAGE, params={"token": token}).status_code == 200
    for path, params, headers in (
        (JPEG, {}, {}),
        (JPEG, {"token": ""}, {}),
        (JPEG, {"token": token[:-4] + "AAAA"}, {}),
        ("/stream_jpeg/0/0000000000000005", {"token": token}, {}),
        ("/stream_jpeg/0/0123456789abcdef", {"token": token}, {}),
        (f"/query/v1/streams/{STREAM}", {"token": token}, {}),
        (JPEG, {"token": token}, {"Authorization": "Bearer whatever"}),
    ):
        refused = closed.simulate_get(path, params=params, headers=headers)
        assert refused.status_code == 401, path
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert closed.simulate_post(f"/query/v1/streams/{STREAM}/watch-token").status_code == 401


def test_there_is_no_token_for_what_is_no_stream(client: testing.TestClient, task: Callable[..., str]) -> None:
    for unknown in (task(), str(uuid4())):
        assert client.simulate_post(f"/query/v1/streams/{unknown}/watch-token").status_code == 404


@pytest.mark.parametrize("path", ["/event_channel", f"/event_channel/0/{SHORT}", f"/event_channel/0/{SHORT}/a"])
def test_a_socket_s_address_asks_for_a_socket(client: testing.TestClient, path: str) -> None:
    answer = client.simulate_get(path)
    assert answer.status_code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert answer.json["code"] == 426
