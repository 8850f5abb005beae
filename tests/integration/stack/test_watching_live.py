"""A looping file as a camera, through the whole stack: watched as MJPEG, in a browser, and over both sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.fixtures_browser import browser, framed
from tests.integration.stack.command import RunningStack

pytestmark = pytest.mark.stack

__all__ = ["browser"]
CLIP = "data/videos/intel/car-detection.mp4"
TRIES = 6
BOUNDARY = b"--frame\r\n"


class Camera:
    """The stream, by its names."""

    def __init__(self, stack: RunningStack, stream: str) -> None:
        self.stack = stack
        self.id = stream
        self.short = stream.replace("-", "")[-16:]

    def path(self, kind: str, analytic: str | None = None) -> str:
        return f"/{kind}/0/{self.short}" + (f"/{analytic}" if analytic else "")

    def url(self, kind: str, analytic: str | None = None) -> str:
        return self.stack.url + self.path(kind, analytic)

    def socket(self, path: str) -> ClientConnection:
        found = connect(f"ws{self.stack.url.removeprefix('http')}{path}", proxy=None, max_size=2**24)
        assert isinstance(found, ClientConnection)
        return found


@contextmanager
def looping(stack: RunningStack, file: Path) -> Iterator[Camera]:
    """A file that begins again at its end."""
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        uploaded = http.post("/query/v1/videos", params={"name": "cars.mp4"}, content=file.read_bytes(),
                             headers={"Content-Type": "application/octet-stream"})  # fmt: skip
        assert uploaded.status_code == 201, uploaded.text
        made = http.post("/query/v1/streams", json={
            "url": uploaded.json()["url"], "name": "cars", "loop": True, "realtime": True, "fps": 5,
            "analytics": [{"name": "object_detection", "parameters": {"labels": "any"}}],
        })  # fmt: skip
        assert made.status_code == 201, made.text
        stream = made.json()["stream_id"]
        try:
            yield Camera(stack, stream)
        finally:
            http.delete(f"/query/v1/streams/{stream}")


@pytest.fixture(scope="module")
def camera(stack: RunningStack, shared: Path) -> Iterator[Camera]:
    with looping(stack, shared / CLIP) as made:
        yield made


def mjpeg(url: str, many: int, **params: Any) -> list[tuple[float, NDArray[np.uint8]]]:
    """Times and pictures of the first parts; a stream that has just been made may need a while to begin."""
    until = time.monotonic() + 120
    while True:
        with httpx.stream("GET", url, params=params, timeout=60, trust_env=False) as answer:
            if answer.status_code == 200:
                return first_parts(answer, many)
            assert answer.status_code == 503, answer.read()
            assert time.monotonic() < until, "the stream does not begin"


def first_parts(answer: httpx.Response, many: int) -> list[tuple[float, NDArray[np.uint8]]]:
    found: list[tuple[float, NDArray[np.uint8]]] = []
    data = b""
    for piece in answer.iter_bytes():
        data += piece
        while data.count(BOUNDARY) >= 2 and len(found) < many:
            _, part, rest = data.split(BOUNDARY, 2)
            data = BOUNDARY + rest
            head, _, body = part.partition(b"\r\n\r\n")
            headers = dict(line.split(b": ") for line in head.split(b"\r\n"))
            image = cv2.imdecode(np.frombuffer(body[: int(headers[b"Content-Length"])], np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            found.append((float(headers[b"X-Timestamp"]), np.asarray(image, np.uint8)))
        if len(found) == many:
            return found
    raise AssertionError(f"the answer ended after {len(found)} pictures")


def message(client: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.recv(timeout=120))
    return found


def key(told: dict[str, Any]) -> tuple[Any, ...]:
    return told["pipeline_data"]["event_id"], told["pipeline_data"]["phase"], told["pipeline_data"]["number"]


def test_moving_pictures(camera: Camera) -> None:
    found = mjpeg(camera.url("mjpeg"), 6, height=180)
    times = [at for at, _ in found]
    assert times == sorted(times)
    assert len(set(times)) > 1, "a still scene repeats its picture, and this street is not always still"
    assert all(image.shape[0] == 180 for _, image in found)
    assert any(np.abs(a.astype(int) - b).mean() > 0 for (_, a), (_, b) in pairwise(found))
    whole = httpx.get(camera.url("stream_jpeg"), timeout=60, trust_env=False)
    image = cv2.imdecode(np.frombuffer(whole.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.std() > 10


def test_what_is_followed_is_drawn(camera: Camera) -> None:
    """Of many pictures some show a car, whose box has a colour that the grey street has not."""

    def colourful(image: NDArray[np.uint8]) -> int:
        saturation = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1]
        return int((saturation > 120).sum())

    most_drawn = most_plain = 0
    for _ in range(TRIES):
        most_drawn = max(most_drawn, *(colourful(i) for _, i in mjpeg(camera.url("mjpeg", "object_detection"), 20)))
        most_plain = max(most_plain, *(colourful(i) for _, i in mjpeg(camera.url("mjpeg"), 20)))
        if most_drawn > most_plain + 50:
            return
    raise AssertionError(f"{most_drawn} coloured pixels with boxes, {most_plain} without")


def test_events_over_both_sockets_and_again_from_an_offset(camera: Camera) -> None:
    with (
        camera.socket(camera.path("event_channel")) as engine,
        camera.socket(f"/2/ws?stream_id={camera.id}&analytic_index=0") as agent,
    ):
        assert message(agent)["stream_status"] in {"pending", "in_progress"}
        told = [message(engine) for _ in range(3)]
        found = next(m for m in iter(lambda: message(agent), None) if m["analytics_results"])
    assert {m["stream_id"] for m in told} == {camera.short}
    assert {m["analytic_id"] for m in told} == {"object_detection"}
    assert all(m["stream_address"] and m["stream_name"] == "cars" for m in told)
    assert found["stream_status"] == "in_progress"
    assert found["analytics_results"]["event"]["stream_id"] == camera.id
    with camera.socket(f"{camera.path('event_channel')}?from={told[0]['offset']}") as again:
        assert [key(message(again)) for _ in range(2)] == [key(m) for m in told[1:]]


def shot(page: Page) -> NDArray[np.int64]:
    """What the browser shows of the page's middle, where the frame is."""
    image = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[100:340, 150:480], np.int64)


@pytest.mark.parametrize("analytic", [None, "object_detection"], ids=["plain", "drawn"])
def test_a_browser_shows_it_in_a_frame_of_another_page(camera: Camera, browser: Browser, analytic: str | None) -> None:
    with framed(camera.url("visual", analytic)) as address:
        page = browser.new_page(viewport={"width": 640, "height": 480})
        page.goto(address, wait_until="commit")
        shown = page.frame_locator("iframe").locator("body > img")
        shown.wait_for(timeout=60_000)
        assert until(lambda: shown.evaluate("img => img.naturalWidth") > 0), "no picture came"
        assert until(lambda: shot(page).std() > 10), "an empty frame, or a black one"
        first = shot(page)
        assert until(lambda: np.abs(shot(page) - first).mean() > 0.5), "the picture stands still"
        page.close()


def test_a_browser_reads_the_events(camera: Camera, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{camera.stack.url}/docs/spec", wait_until="commit")  # a page of the service's own
    told = page.evaluate(
        """address => new Promise((told, failed) => {
            const socket = new WebSocket(address);
            socket.onmessage = message => { socket.close(); told(JSON.parse(message.data)); };
            socket.onclose = closed => failed(new Error(`${closed.code} ${closed.reason}`));
        })""",
        f"ws{camera.stack.url.removeprefix('http')}{camera.path('event_channel')}",
    )
    assert (told["stream_id"], told["analytic_id"]) == (camera.short, "object_detection")
    page.close()


def until(holds: Callable[[], bool], patience_s: float = 60.0) -> bool:
    """Whether it comes to hold."""
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def test_a_stream_that_is_deleted_ends_what_was_watched(stack: RunningStack, shared: Path) -> None:
    with looping(stack, shared / CLIP) as camera, camera.socket(camera.path("event_channel")) as client:
        mjpeg(camera.url("mjpeg"), 2)
        answer = httpx.delete(f"{stack.url}/query/v1/streams/{camera.id}", timeout=60, trust_env=False)
        assert answer.status_code == 204
        until = time.monotonic() + 90
        with pytest.raises(ConnectionClosed) as closed:
            while time.monotonic() < until:
                client.recv(timeout=90)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404
        for kind in ("mjpeg", "stream_jpeg", "visual"):
            gone = httpx.get(camera.url(kind), timeout=60, trust_env=False)
            assert gone.status_code == 404
            assert gone.json() == {"code": 404, "message": "stream not found"}
