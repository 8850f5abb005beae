"""Pictures and events as a client gets them: gunicorn and uvicorn over a real broker, with a real WebSocket client."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import psutil
import pytest
import simplejpeg
from playwright.sync_api import Browser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from core.ids import Run, Seq, StreamId, TrackId, event_id
from core.kafka import producer
from core.messages import Event, Frame, FrameTracks, IngestCounts, RunEnd, TrackedBox, encode_frame, encode_json
from core.secrets import new_secret
from core.settings import Settings
from core.topics import Topics
from tests.fixtures_browser import browser, framed
from tests.integration.query_api.conftest import Served, serving
from warehouse.control.tokens import MARKS

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
__all__ = ["browser"]
PART = re.compile(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: ([\d.]+)\r\n\r\n")


class Camera:
    """A stream of the service, whose messages the test publishes in the pipeline's place."""

    def __init__(self, served: Served) -> None:
        answer = served.http.post("/query/v1/streams", json={"url": "rtsp://10.1.2.3/1", "name": "gate"})
        assert answer.status_code == 201, answer.text
        self.stream = StreamId(UUID(answer.json()["stream_id"]))
        self.id = str(self.stream)
        self.short = self.id.replace("-", "")[-16:]
        self.names = Topics.of(served.settings.kafka)
        self._producer = producer(served.settings.kafka, "camera")
        self._seq = 0

    def _publish(self, topic: str, value: bytes) -> None:
        self._producer.produce(topic, value, key=self.id.encode())
        self._producer.flush(20)

    def show(self, height: int = 90, noise: bool = False) -> bytes:
        """The next frame, of its own brightness; its JPEG."""
        shape = (height, height * 4 // 3, 3)
        rng = np.random.default_rng(self._seq)
        pixels = rng.integers(0, 256, shape, np.uint8) if noise else np.full(shape, self._seq % 256, np.uint8)
        jpeg: bytes = simplejpeg.encode_jpeg(pixels, quality=95, colorspace="RGB")
        frame = Frame(self.stream, Run(1), Seq(self._seq), self._seq, self._seq / 10, 1_700_000_000_000 + self._seq,
                      shape[1], shape[0], jpeg, "m")  # fmt: skip
        self._seq += 1
        self._publish(self.names.frames_live, encode_frame(frame))
        return jpeg

    def follow(self) -> None:
        """What was tracked in the last frame."""
        seq = Seq(self._seq - 1)
        box = TrackedBox(TrackId(1), "car", 0.9, (0.2, 0.2, 0.8, 0.8))
        tracks = FrameTracks(self.stream, Run(1), seq, seq, 0.0, 0, 120, 90, (box,))
        self._publish(self.names.tracks, encode_json(tracks))

    def happen(self, number: int) -> None:
        """An event."""
        event = Event(
            event_id(self.stream, Run(1), 0, number), self.stream, Run(1), 0, "object_detection", "object", "end", 1,
            Seq(number), 1_700_000_000_000, 1_699_999_999_000, 0.0, Seq(0), label=str(number),
        )  # fmt: skip
        self._publish(self.names.events, encode_json(event))

    def end(self) -> None:
        """All events have been told."""
        self._publish(self.names.events, encode_json(RunEnd(self.stream, Run(1), "done", IngestCounts(), 0)))


@pytest.fixture
def camera(served: Served) -> Camera:
    return Camera(served)


@contextmanager
def filming(camera: Camera, **more: Any) -> Iterator[None]:
    """A frame every few hundredths of a second."""
    over = threading.Event()

    def film() -> None:
        while not over.wait(0.03):
            camera.show(**more)

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def parts_of(answer: httpx.Response) -> Iterator[tuple[float, bytes]]:
    """Time and JPEG of each part as it comes."""
    data = b""
    for number, piece in enumerate(answer.iter_bytes()):
        data = piece.removeprefix(b"--frame\r\n") if number == 0 else data + piece
        while (head := PART.match(data)) is not None and len(data) >= head.end() + int(head[1]) + 11:
            end = head.end() + int(head[1])
            assert data[end : end + 11] == b"\r\n--frame\r\n"
            yield float(head[2]), data[head.end() : end]
            data = data[end + 11 :]


def sockets(served: Served, path: str) -> ClientConnection:
    found = connect(f"ws://127.0.0.1:{served.settings.query.port}{path}", proxy=None)
    assert isinstance(found, ClientConnection)
    return found


def heard(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    message: dict[str, Any] = json.loads(client.recv(timeout=30))
    return message


def closed(client: ClientConnection, timeout_s: float = 60) -> tuple[int, str]:
    """How the service closed it."""
    try:
        while True:
            client.recv(timeout=timeout_s)
    except ConnectionClosed as error:
        assert error.rcvd is not None
        return error.rcvd.code, error.rcvd.reason


def test_pictures_come_as_frames_do_scaled_and_drawn_into(served: Served, camera: Camera) -> None:
    with filming(camera):
        url = f"/mjpeg/0/{camera.short}"
        with served.http.stream("GET", url, params={"height": 30, "fps": 20}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("multipart/x-mixed-replace")
            pictures = parts_of(answer)
            found = [next(pictures) for _ in range(5)]
        assert [at for at, _ in found] == sorted({at for at, _ in found}), "each is newer than the one before"
        assert {simplejpeg.decode_jpeg_header(jpeg)[0] for _, jpeg in found} == {30}
        jpeg = served.http.get(f"/stream_jpeg/0/{camera.short}").content
        assert simplejpeg.decode_jpeg_header(jpeg)[0] == 90
    camera.show()
    camera.follow()
    with served.http.stream("GET", f"{url}/object_detection", params={"height": 0}) as answer:
        _, drawn = next(parts_of(answer))
    assert np.ptp(simplejpeg.decode_jpeg(drawn)) > 40, "a box is in the picture of one colour"


def test_a_still_scene_is_seen_at_once(served: Served, camera: Camera) -> None:
    shown = [camera.show() for _ in range(3)]
    assert served.http.get(f"/stream_jpeg/0/{camera.short}").content == shown[-1]


def test_a_viewer_that_takes_nothing_holds_up_nobody_and_is_cut_off(served: Served, camera: Camera) -> None:
    def kept() -> int:
        return sum(child.memory_info().rss for child in psutil.Process(served.process.pid).children())

    def viewers() -> str:
        return next(
            line for line in served.http.get("/metrics").text.splitlines() if line.startswith("sightline_viewers ")
        )

    camera.show(480, noise=True)
    path = f"/mjpeg/0/{camera.short}?height=0&jpeg_quality=100"
    with closing(socket.create_connection(("127.0.0.1", served.settings.query.port))) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with filming(camera, height=480, noise=True), served.http.stream("GET", path) as answer:
            pictures = parts_of(answer)
            for _ in range(5):
                next(pictures)
            before = kept()
            for _ in range(100):
                next(pictures)
            assert kept() - before < 50 * 1024**2
        until = time.monotonic() + 60
        while viewers() != "sightline_viewers 0.0":
            assert time.monotonic() < until, viewers()
            time.sleep(0.2)


def test_a_service_that_stops_ends_its_answers(served: Served, camera: Camera) -> None:
    camera.show()
    with served.http.stream("GET", f"/mjpeg/0/{camera.short}") as answer, sockets(served, "/event_channel") as client:
        pictures = parts_of(answer)
        next(pictures)
        served.process.send_signal(signal.SIGTERM)
        assert list(pictures) == []
        assert closed(client)[0] in {1012, 1013}
    assert served.process.wait(20) == 0, served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def test_events_are_told_as_they_come_and_again_from_an_offset(served: Served, camera: Camera) -> None:
    path, agents = f"/event_channel/0/{camera.short}", f"/2/ws?stream_id={camera.id}&analytic_index=0"
    with (
        sockets(served, f"{path}?from=earliest") as client,
        sockets(served, f"{agents}&from=earliest") as agent,
    ):
        state = heard(agent)
        assert (state["stream_status"], state["analytics_results"]) == ("pending", {})
        for number in range(5):
            camera.happen(number)
        told = [heard(client) for _ in range(5)]
        found = [heard(agent) for _ in range(5)]
    assert [message["primary_text"] for message in told] == list("01234")
    assert [message["analytics_results"]["event"]["label"] for message in found] == list("01234")
    for number in range(5, 8):
        camera.happen(number)
    for messages, where in ((told, f"{path}?"), (found, f"{agents}&")):
        with sockets(served, f"{where}from={messages[2]['offset']}") as client:
            if where.startswith(agents):
                client.recv(timeout=30)
            again = [heard(client) for _ in range(5)]
            camera.happen(99)
            live = heard(client)
        said = [str(message.get("primary_text") or message["analytics_results"]["event"]["label"]) for message in again]
        assert said[:5] == list("34567")
        assert live["offset"] != again[-1]["offset"]
    with sockets(served, "/event_channel?from=earliest") as client:
        whole = [heard(client) for _ in range(8)]
    assert [message["primary_text"] for message in whole] == list("01234567")


def test_how_sockets_are_closed(served: Served, camera: Camera) -> None:
    with sockets(served, "/event_channel/0/0123456789abcdef") as client:
        assert closed(client) == (4404, "stream not found")
    with sockets(served, "/2/ws") as client:
        assert closed(client) == (4400, "stream_id: it is required")
    with sockets(served, f"/event_channel/0/{camera.short}?from=x") as client:
        assert closed(client)[0] == 4400
    with sockets(served, f"/2/ws?stream_id={camera.id}&analytic_index=0&from=earliest") as client:
        client.recv(timeout=30)
        camera.happen(1)
        client.recv(timeout=30)
        camera.end()
        assert closed(client) == (4410, "stream has ended")


def test_a_token_is_made_and_stands_in_no_log(served: Served, camera: Camera) -> None:
    camera.show()
    given = served.http.post(f"/query/v1/streams/{camera.id}/watch-token").json()
    with served.http.stream("GET", given["mjpeg_url"]) as answer:
        assert next(parts_of(answer))
    assert served.http.get(given["page_url"]).status_code == 200
    with sockets(served, f"/event_channel/0/{camera.short}?token={given['token']}&from=x") as client:
        assert closed(client)[0] == 4400
    assert served.http.get(f"/stream_jpeg/0/x?token={given['token']}").status_code == 404
    assert given["token"] not in served.log.read_text()


def test_who_does_not_answer_a_ping_is_cut_off(served: Served, camera: Camera) -> None:
    """Over a bare connection: every library of WebSockets answers by itself."""
    with closing(socket.create_connection(("127.0.0.1", served.settings.query.port), 30)) as line:
        asked = (
            f"GET /event_channel/0/{camera.short} HTTP/1.1\r\nHost: 127.0.0.1:{served.settings.query.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        line.sendall(asked.encode())
        answer = line.makefile("rb")
        assert b" 101 " in answer.readline()
        while answer.readline() != b"\r\n":
            pass
        line.settimeout(60)
        opcodes = []
        while head := answer.read(2):
            opcodes.append(head[0] & 0x0F)
            answer.read(head[1] & 0x7F)
        assert opcodes[0] == 0x9, "a ping"
        assert opcodes[-1] in {0x8, 0x9}, "and the end, with or without a word"


def test_a_page_with_a_token_is_shown_where_tokens_are_asked_for(
    settings: Settings, tmp_path: Path, browser: Browser
) -> None:
    with serving(settings, tmp_path, SIGHTLINE_QUERY__AUTH="true") as served:
        secret = new_secret(MARKS["token"])
        served.control.create_token(secret, name="a test", kind="token", scopes=("read", "write", "watch"))
        served.http.headers["Authorization"] = f"Bearer {secret}"
        camera = Camera(served)
        token = served.http.post(f"/query/v1/streams/{camera.id}/watch-token").raise_for_status().json()
        page_url = token["page_url"]
        assert httpx.get(page_url.partition("?")[0], trust_env=False).status_code == 401
        with filming(camera), framed(page_url) as address:
            page = browser.new_page()
            page.goto(address, wait_until="commit")
            shown = page.frame_locator("iframe").locator("body > img")
            shown.wait_for(timeout=60_000)
            until = time.monotonic() + 60
            while shown.evaluate("img => img.naturalWidth") == 0:
                assert time.monotonic() < until, "no picture came"
                time.sleep(0.2)
            page.close()
