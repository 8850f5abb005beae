"""`sightline ledger`: what is shown, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec import json as msgspec_json
from typer.testing import CliRunner

from core.settings import load
from infra.cli import ledger as command
from infra.cli.main import app
from infra.cli.query_service import QueryService, address
from query_api.types import query

A, B, GONE = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
PLACES = query.Places(ingest=1, detect=2, sink=3, awaiting_analyse=4)


def item(stream: UUID, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "decoded": 20, "sampled_out": 5, "read": 15, "processed": 6, "gated": 0, "dropped": {"backlog": 2},
        "dead_lettered": 1, "in_flight": 6, "stream_id": stream, "run": 1, "name": "door", "state": "in_progress",
        "finished": False, "imbalance": 0, "differences": [], "places": PLACES, **more,
    }  # fmt: skip
    return said


class Service:
    """Answers with the service's own types."""

    def __init__(self) -> None:
        self.items = [query.LedgerItem(**item(A)), query.LedgerItem(**item(B))]
        self.frames = [
            query.FramePlace(7, "detect", "frames.live", 2, 70),
            query.FramePlace(8, "missing", None, None, None),
        ]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        if request.url.path == "/query/v1/ledger":
            chosen = [i for i in self.items if params.get("stream_ids", str(i.stream_id)) == str(i.stream_id)]
            at = int(params.get("cursor", 0))
            page = query.LedgerPage(chosen[at : at + 1], str(at + 1) if at + 1 < len(chosen) else None)
            return httpx.Response(200, content=msgspec_json.encode(page))
        after = int(params.get("after", -1))
        left = [frame for frame in self.frames if frame.seq > after]
        found = query.LedgerFrames(**item(A), frames=left[:1], next_after=left[0].seq if len(left) > 1 else None)
        return httpx.Response(200, content=msgspec_json.encode(found))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(command, "service_of", lambda query: QueryService(address(query), httpx.MockTransport(made)))
    load.cache_clear()
    yield made
    load.cache_clear()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["ledger", *arguments])


def test_every_run_is_a_row_with_its_sums_and_places_and_a_total(service: Service) -> None:
    shown = run()
    assert shown.exit_code == 0, shown.output
    head, first, second, total = shown.stdout.splitlines()
    assert head.split()[:4] == ["stream", "run", "name", "state"]
    where = "2 dropped: backlog, 1 at ingest, 2 before detect, 3 before the sink, 4 to be followed"
    assert first.split()[:12] == [str(A), "1", "door", "in_progress", *["20", "5", "15", "6", "0", "2", "1", "6"]]
    assert where in first and first.rstrip().endswith("yes")
    assert second.startswith(str(B))
    assert total.split() == ["all", *["40", "10", "30", "12", "0", "4", "2", "12"], "yes"]


def test_as_json_a_run_is_a_line(service: Service) -> None:
    lines = [json.loads(line) for line in run("--json", "--stream", str(A)).stdout.splitlines()]
    assert [(line["stream_id"], line["in_flight"], line["places"]["detect"]) for line in lines] == [(str(A), 6, 2)]


def test_frames_in_flight_are_listed_with_their_records(service: Service) -> None:
    shown = run("--stream", str(A), "--frames")
    rows = [line.split() for line in shown.stdout.splitlines()[-3:]]
    assert rows == [["frame", "place", "record"], ["7", "detect", "frames.live/2/70"], ["8", "missing"]]
    assert len(run("--stream", str(A), "--frames", "--json").stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"imbalance": 3, "differences": ["read = ... is off by +3"]}, "run 1: read = ... is off by +3"),
        ({"imbalance": 3}, "3 frames are not accounted for"),
        ({"decoded": 21}, "21 decoded are not 5 sampled out + 15 read"),
        ({"in_flight": 5}, "15 read are not 9 settled + 5 in flight"),
    ],
)
def test_a_ledger_that_does_not_sum_is_told_and_ends_with_1(service: Service, wrong: dict[str, Any], said: str) -> None:
    service.items[0] = query.LedgerItem(**item(A, **wrong))
    for arguments in ((), ("--json",)):
        shown = run(*arguments)
        assert shown.exit_code == 1
        assert f"{A} run 1" in shown.stderr and said in shown.stderr
    assert [line.split()[-1] for line in run().stdout.splitlines()[1:]] == ["no", "yes", "no"]


def test_what_is_not_there_is_told(service: Service) -> None:
    shown = run("--stream", str(GONE), "--run", "2")
    assert (shown.exit_code, f"no ledger of {GONE} run 2" in shown.stderr) == (1, True)
    assert run("--frames").exit_code == 2
