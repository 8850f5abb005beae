"""Addresses: tasks' videos over HTTP, cameras over MJPEG and HLS, and where redirects may not lead."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.addresses import Policy
from core.errors import Forbidden, InvalidInput, LimitExceeded, UnsupportedMedia
from core.settings import Settings
from ingest.download import LEAST, fetched
from ingest.http_client import HttpClient
from ingest.live_source import LiveSource


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, redirects under /to/<location>, and a few bad answers."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 100_000)
        elif self.path.startswith("/parts/"):
            self.path = self.path.removeprefix("/parts")
            self._part()
        elif self.path.startswith("/pieces/"):
            self.path = self.path.removeprefix("/pieces")
            self._part(most=30_000)
        elif self.path == "/private" and self.headers.get("Authorization") != "Basic dXNlcjpwYXNz":
            self.send_error(401)
        elif self.path == "/private":
            self.path = "/clip.mp4"
            super().do_GET()
        else:
            super().do_GET()

    def _part(self, most: int = 10**9) -> None:
        """As servers of files answer; the library's own knows no parts.

        With `most`, no answer has more bytes: the whole breaks off, and parts are smaller than they were asked for.
        """
        data = Path(self.translate_path(self.path)).read_bytes()
        asked = self.headers.get("Range")
        begin = 0 if asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))
        part = data[begin : begin + most]
        self.send_response(200 if asked is None else 206)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) if asked is None else len(part)))
        if asked is not None:
            self.send_header("Content-Range", f"bytes {begin}-{begin + len(part) - 1}/{len(data)}")
        self.end_headers()
        with suppress(ConnectionError):  # who goes elsewhere leaves
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("www")
    make = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=4"]
    subprocess.run([*make, "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", str(root / "clip.mp4")], check=True)
    begun = ["-movflags", "+faststart", str(root / "fast.mp4")]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", str(root / "clip.mp4"), "-c", "copy", *begun], check=True
    )
    whole = (root / "fast.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(whole[: len(whole) * 7 // 10])
    subprocess.run([*make, "-c:v", "mjpeg", "-f", "mpjpeg", str(root / "clip.mjpg")], check=True)
    hls = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0"]
    subprocess.run([*make, *hls, str(root / "list.m3u8")], check=True)
    subprocess.run([*make, "-c:v", "libx264", "-preset", "ultrafast", str(root / "clip.ts")], check=True)
    low, high = "#EXT-X-STREAM-INF:BANDWIDTH=1\nnone.m3u8\n", "#EXT-X-STREAM-INF:BANDWIDTH=9\nlist.m3u8\n"
    (root / "master.m3u8").write_text(f"#EXTM3U\n{low}{high}")
    (root / "locked.m3u8").write_text('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\nlist0.ts\n')
    (root / "inside.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/latest\n#EXT-X-ENDLIST\n")
    stolen = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{}\n#EXT-X-ENDLIST\n"
    (root / "steal.m3u8").write_text(stolen.format(root / "list0.ts"))
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    handler: type[BaseHTTPRequestHandler] | Any = partial(Handler, directory=str(folder))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def settings(**ingest: Any) -> Settings:
    return Settings(ingest={"allow_loopback": True, "connect_timeout_s": 3, "read_timeout_s": 3, **ingest})


def client(**ingest: Any) -> HttpClient:
    loaded = settings(**ingest)
    return HttpClient(Policy.of("video", loaded), loaded.ingest)


def test_redirects_are_followed_and_each_is_checked(server: str) -> None:
    body = client().get(f"{server}/to/{server}/to/clip.mp4/../../clip.mp4")
    assert len(body.read()) > 1000
    body.close()
    for place in ("http://169.254.169.254/latest", "http://10.0.0.1/", "file:/etc/passwd", "ftp://a/"):
        with pytest.raises(Forbidden):
            client().get(f"{server}/to/{place}")
    with pytest.raises(UnsupportedMedia, match="redirects"):
        client().get(f"{server}/to/{server}/to/" * 8 + "x")


def test_loopback_is_refused_before_it_is_connected_to(server: str) -> None:
    with pytest.raises(Forbidden):
        client(allow_loopback=False).get(f"{server}/clip.mp4")


def test_refusals_and_silence_are_named(server: str) -> None:
    with pytest.raises(UnsupportedMedia, match="404"):
        client().get(f"{server}/none")
    with pytest.raises(UnsupportedMedia, match="401"):
        client().get(f"{server}/private")
    with pytest.raises(UnsupportedMedia, match="does not answer"):
        client().get("http://127.0.0.1:1/clip.mp4")
    with pytest.raises(InvalidInput):
        client().get("http://")


def test_credentials_of_the_url_are_sent_and_never_shown(server: str) -> None:
    body = client().get(server.replace("//", "//user:pass@") + "/private")
    assert body.length is not None
    body.close()
    with pytest.raises(UnsupportedMedia) as caught:
        client().get(server.replace("//", "//user:wrong@") + "/private")
    assert "wrong" not in str(caught.value)


def test_a_video_is_fetched_once_whole_or_not_at_all(server: str, folder: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "1"
    assert fetched(f"{server}/clip.mp4", spool, settings()) == spool
    assert spool.read_bytes() == (folder / "clip.mp4").read_bytes()
    assert fetched("http://127.0.0.1:1/gone", spool, settings()) == spool, "there already"
    small = settings().model_copy(update={"media": settings().media.model_copy(update={"max_upload_bytes": 1000})})
    for url, limits, refusal in (
        ("/short", settings(), UnsupportedMedia),
        ("/clip.mp4", small, LimitExceeded),
        ("/endless", small, LimitExceeded),
    ):
        with pytest.raises(refusal):
            fetched(server + url, tmp_path / "other", limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spool"], "nothing half-fetched is left"


def test_a_video_that_does_not_come_in_the_time_it_was_given_is_left(server: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="in the time that it was given"):
        fetched(f"{server}/clip.mp4", tmp_path / "late", settings(), within_s=3.0, clock=itertools.count(0, 4).__next__)
    assert list(tmp_path.iterdir()) == []
    assert fetched(f"{server}/clip.mp4", tmp_path / "in time", settings(), within_s=600.0).is_file()


def test_who_fetches_says_that_more_has_come_and_leaves_when_told(server: str, folder: Path, tmp_path: Path) -> None:
    size = (folder / "clip.mp4").stat().st_size
    signs: list[float] = []
    fetched(f"{server}/clip.mp4", tmp_path / "whole", settings(), signs.append)
    assert 1 <= len(signs) <= size / LEAST
    with pytest.raises(UnsupportedMedia, match="nobody wants it"):
        fetched(f"{server}/clip.mp4", tmp_path / "left", settings(), lambda _: False)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("path", ["/clip.mjpg", "/clip.ts", "/list.m3u8", "/master.m3u8"])
def test_http_streams_are_read_as_they_come(server: str, path: str) -> None:
    problems: list[str] = []
    source = LiveSource.open(server + path, settings(), None)
    frames = [frame.rgb().shape for frame in source.frames(problems.append)]
    assert 39 <= len(frames) <= 40
    assert set(frames) == {(180, 320, 3)}
    assert source.broken is None


@pytest.mark.parametrize("path", ["/parts/clip.mp4", "/parts/fast.mp4", "/fast.mp4", "/pieces/clip.mp4"])
def test_a_file_on_a_web_server_is_read_wherever_its_index_lies(server: str, path: str) -> None:
    problems: list[str] = []
    source = LiveSource.open(server + path, settings(), None)
    assert source.times == "recorded"
    assert len(list(source.frames(problems.append))) == 40
    assert (source.broken, source.lost, problems) == (None, None, [])


def test_what_a_live_video_says_of_its_turn_is_followed(server: str, folder: Path, shared: Path) -> None:
    (folder / "turned.mov").symlink_to(shared / "data/videos/decord/video_90.mov")
    for told, turn in ((None, 90), (0, 0), (270, 270)):
        source = LiveSource.open(f"{server}/parts/turned.mov", settings(), told)
        assert (source.times, source.probe.rotation) == ("recorded", turn)
        source.close()


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(server: str) -> None:
    source = LiveSource.open(f"{server}/parts/cut.mp4", settings(), None)
    problems: list[str] = []
    assert 20 <= len(list(source.frames(problems.append))) < 40


def test_a_file_whose_index_cannot_be_reached_is_refused(server: str) -> None:
    with pytest.raises(UnsupportedMedia, match="cannot be read"):
        LiveSource.open(f"{server}/clip.mp4", settings(), None)


def test_a_part_is_the_one_that_was_asked_for(server: str, folder: Path) -> None:
    whole = (folder / "clip.mp4").read_bytes()
    body = client().get(f"{server}/parts/clip.mp4", 1000)
    assert body.read() == whole[1000:]
    body.close()
    with pytest.raises(UnsupportedMedia, match="200"):
        client().get(f"{server}/clip.mp4", 1000)


@pytest.mark.parametrize(
    ("name", "why"), [("steal", "file: is not among"), ("inside", "metadata"), ("locked", "encrypted")]
)
def test_a_playlist_cannot_name_what_may_not_be_opened(server: str, name: str, why: str) -> None:
    with pytest.raises(UnsupportedMedia, match=why):
        LiveSource.open(f"{server}/{name}.m3u8", settings(), None)


def test_a_stream_that_is_none_is_refused_with_a_reason(server: str) -> None:
    for url in (f"{server}/none", f"{server}/short", "rtsp://127.0.0.1:1/camera"):
        with pytest.raises(UnsupportedMedia):
            LiveSource.open(url, settings(), None)


@pytest.mark.kafka
def test_a_tasks_url_and_a_cameras_url_run_through_a_host(bench: Any, make_bench: Any, server: str) -> None:
    closed = bench.spec(f"{server}/clip.mp4", fps=5)
    open_bench = make_bench()
    task, camera = open_bench.spec(f"{server}/clip.mp4", fps=5), open_bench.spec(f"{server}/clip.mjpg", lane="live")
    film = open_bench.spec(f"{server}/parts/clip.mp4", fps=5, lane="live", realtime=True)
    open_bench.host()
    open_bench.publish(task, camera, film, closed)
    open_bench.wait_ended(task, camera, film, closed)
    assert (len(open_bench.frames(film)), open_bench.end(film).state) == (20, "done")
    times = [frame.ts_ms for frame in open_bench.frames(film)]
    assert times[-1] - times[0] >= 3_000, "at its own pace"
    assert len(open_bench.frames(task)) == 20
    assert open_bench.end(task).video.decoder == "decord"
    end = open_bench.end(camera)
    assert end.state == "done"
    assert end.counts.published == len(open_bench.frames(camera)) >= 40
    assert not list((open_bench.settings.data_dir / "ingest").iterdir()), "what was fetched is removed"
