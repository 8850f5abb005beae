"""Cameras for tests: real servers of RTSP, RTMP and HLS, and peers that misbehave on a socket."""

from __future__ import annotations

import math
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from av.bitstream import BitStreamFilterContext

from tests.conftest import free_ports, listens

SERVER = Path(__file__).with_name("rtsp_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"
"""That has GStreamer's bindings, which are Debian's and not ours."""

FFMPEG = ("ffmpeg", "-nostdin", "-v", "error")
TICK_S = 0.1


# -- RTSP


def packets_file(clip: Path, to: Path, seconds: float = math.inf) -> Path:
    """The clip's H.264 packets as they are, those of its first seconds, for `rtsp_server.py`."""
    with av.open(str(clip)) as container, to.open("wb") as out:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        filtered = BitStreamFilterContext("h264_mp4toannexb", stream)
        # the demuxer's own last packet is an empty one; what the filter has taken is empty too
        whole = (packet for packet in container.demux(stream) if packet.size)
        for packet in [*whole, None]:
            for part in filtered.filter(packet):
                if part.pts is not None and part.pts * stream.time_base < seconds:
                    data, moment = bytes(part), part.pts * stream.time_base
                    out.write(struct.pack(">qI", round(moment * 1_000_000_000), len(data)) + data)
    return to


@dataclass(frozen=True, slots=True)
class RtspCamera:
    """GStreamer's RTSP server in a process of its own; `tell` it what `rtsp_server.py` lists."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Where it is watched."""
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def tell(self, words: str) -> None:
        """Have it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()


@contextmanager
def rtsp_camera(*packets: Path, options: Sequence[str] = ()) -> Iterator[RtspCamera]:
    """A camera with these settings, showing the first one; `options` are those of `rtsp_server.py`."""
    command = [SYSTEM_PYTHON, str(SERVER), *options, *map(str, packets)]
    # without this project's Python in its way
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE", "VIRTUAL"))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                pytest.fail("GStreamer's RTSP server does not run: infra/setup/setup.sh test installs it")
            yield RtspCamera(process, int(port))
        finally:
            process.kill()


# -- RTMP and HLS


@contextmanager
def rtmp_camera(clip: Path) -> Iterator[str]:
    """FFmpeg as the listening server, which shows the clip to whoever comes first."""
    (port,) = free_ports(1)
    url = f"rtmp://127.0.0.1:{port}/live/camera"
    show = ["-re", "-stream_loop", "-1", "-i", str(clip), "-an", "-c", "copy", "-f", "flv", "-listen", "1", url]
    with subprocess.Popen([*FFMPEG, *show]) as process:
        try:
            # a connection that only looks whether it listens would be its one viewer
            until = time.monotonic() + 30
            while port not in _listening():
                assert process.poll() is None
                assert time.monotonic() < until, "FFmpeg does not listen"
                time.sleep(0.05)
            yield url
        finally:
            process.kill()


def _listening() -> set[int]:
    """TCP ports of this machine that are listened at."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == "0A":
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


@contextmanager
def hls_camera(clip: Path, folder: Path) -> Iterator[str]:
    """FFmpeg writes a list of segments that moves on, and nginx serves it."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        pytest.fail("nginx is missing: infra/setup/setup.sh test installs it")
    www = folder / "www"
    www.mkdir(parents=True)
    (port,) = free_ports(1)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=_nginx_user()))
    moving = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "5", "-hls_flags", "delete_segments"]
    show = ["-re", "-stream_loop", "-1", "-i", str(clip), "-an", "-c", "copy", *moving, str(www / "list.m3u8")]
    serve = [nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen([*FFMPEG, *show]) as writer, subprocess.Popen(serve) as server:
        try:
            until = time.monotonic() + 30
            while not (listens(port) and (www / "list.m3u8").exists()):
                assert writer.poll() is None
                assert server.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < until, "no list is served"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/list.m3u8"
        finally:
            writer.kill()
            server.terminate()


NGINX = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
    }}
}}
"""


def _nginx_user() -> str:
    return "user root;" if os.getuid() == 0 else ""


# -- peers on a socket


class Peer:
    """One connection to a camera that misbehaves."""

    def __init__(self, connection: socket.socket, ended: threading.Event) -> None:
        connection.settimeout(30)
        self.connection = connection
        self._ended = ended

    def request(self) -> bytes:
        """What it is asked, to the blank line; less when the other side has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.connection.recv(4096)
            if not more:
                break
            data += more
        return data

    def say(self, data: bytes) -> None:
        """Send all of it."""
        self.connection.sendall(data)

    def drip(self, data: bytes, every_s: float = TICK_S) -> None:
        """Send it byte by byte, and nothing more."""
        for at in range(len(data)):
            if self._ended.wait(every_s):
                return
            self.say(data[at : at + 1])
        self.silence()

    def silence(self, seconds: float | None = None) -> None:
        """Send nothing, to the end of the test or for a while."""
        self._ended.wait(seconds)

    @property
    def ended(self) -> bool:
        """Whether the test is over."""
        return self._ended.is_set()


@contextmanager
def peer(*behaviours: Callable[[Peer], None]) -> Iterator[int]:
    """The port of a server whose n-th connection behaves as the n-th says, and later ones as the last."""
    ended = threading.Event()
    left = list(behaviours)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            behave = left.pop(0) if len(left) > 1 else left[0]
            try:
                behave(Peer(self.request, ended))
            except OSError:
                return  # the reader has had enough of it

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            ended.set()
            server.shutdown()
            serving.join()


MULTIPART = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def part(number: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """One picture of an MJPEG camera."""
    image = np.full((size[1], size[0], 3), number % 256, np.uint8)
    jpeg = simplejpeg.encode_jpeg(image, colorspace="RGB")
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg)


def mjpeg(
    fps: float = 10.0, count: int = 1_000_000, sizes: Sequence[tuple[int, int]] = ((64, 48),)
) -> Callable[[Peer], None]:
    """A camera of pictures; of each size in turn, `count` of them and then no more."""

    def show(viewer: Peer) -> None:
        viewer.request()
        viewer.say(MULTIPART)
        for number in range(count):
            viewer.say(part(number, sizes[number * len(sizes) // count]))
            viewer.silence(1 / fps)
            if viewer.ended:
                return

    return show


def transport_stream(*parts: bytes, pause_s: float = 0.2) -> Callable[[Peer], None]:
    """A camera that sends MPEG-TS over HTTP, part after part."""

    def show(viewer: Peer) -> None:
        viewer.request()
        viewer.say(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for data in parts:
            viewer.say(data)
            viewer.silence(pause_s)

    return show
