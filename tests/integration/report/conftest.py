from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from core.settings import load
from tests.unit.report.fake_service import FakeService
from tests.unit.report.results import make_result


@pytest.fixture
def fake() -> FakeService:
    return FakeService(make_result(3))


@pytest.fixture
def service(fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    """`fake` behind a real port, which the settings name as the query service."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            left = int(headers.get("content-length", 0))
            if self.command == "PATCH" and fake.break_after and not fake.complete:
                fake.calls.append(f"PATCH {path}")
                fake.received += self.rfile.read(min(left, fake.break_after.pop(0)))
                self.close_connection = True
                return
            try:
                answer = fake.answer(self.command, path, query, headers, self.rfile.read(left))
            except httpx.TransportError:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in {"content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

        do_GET = do_POST = do_HEAD = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("SIGHTLINE_QUERY__PORT", str(server.server_address[1]))
    load.cache_clear()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()
    load.cache_clear()
