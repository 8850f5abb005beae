"""A name that answers differently a moment later: what was checked is what is connected to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from core.addresses import Policy
from core.errors import Forbidden
from core.settings import Ingest
from ingest.http_client import HttpClient

CAMERA = "camera.example"
WEB = Policy(frozenset({"http", "https"}), loopback=True, private=False)


class Server(ThreadingHTTPServer):
    """Says who it is, or where to go."""

    def __init__(self, address: tuple[str, int], says: bytes, location: str | None = None) -> None:
        super().__init__(address, Handler)
        self.says, self.location = says, location
        self.asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(302 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.says)))
        self.end_headers()
        self.wfile.write(self.server.says)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Names:
    """A name server whose answers change with each question; numbers are themselves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
            if host != CAMERA:
                return real(host, *rest, **more)
            self.asked += 1
            return real(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0], *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server(("127.0.0.1", 0), b"outside")) as outside:
        port = outside.server_address[1]
        with serving(Server(("127.0.0.2", port), b"inside")) as inside:
            names = Names(monkeypatch, "127.0.0.1", "127.0.0.2")
            body = HttpClient(WEB, Ingest()).get(f"http://{CAMERA}:{port}/")
            assert body.read() == b"outside"
            body.close()
            assert (names.asked, outside.asked, inside.asked) == (1, 1, 0)


def test_a_redirect_to_the_same_name_is_looked_up_and_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server(("127.0.0.1", 0), b"", f"http://{CAMERA}:1/secret")) as outside:
        names = Names(monkeypatch, "127.0.0.1", "169.254.169.254")
        with pytest.raises(Forbidden, match="link-local, metadata"):
            HttpClient(WEB, Ingest()).get(f"http://{CAMERA}:{outside.server_address[1]}/")
        assert (names.asked, outside.asked) == (2, 1)
