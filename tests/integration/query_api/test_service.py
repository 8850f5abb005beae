"""The service on its real parts."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any
from uuid import UUID

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest

from core.ids import StreamId
from core.messages import StreamSpec, decode_spec
from tests.conftest import ROOT
from tests.integration.query_api.conftest import Served, variables
from tests.integration.query_api.pipeline import FRAMES, Analysed
from warehouse.control.rows import StreamFilter

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(3_000_000)


def body(url: str, deferred: int) -> dict[str, Any]:
    return {
        "deferred_task": {"enable": deferred},
        "video": {"url": url, "fps": 0},
        "analytics": [{"analytic_name": "object_detection"}],
    }


def upload(served: Served) -> str:
    answer = served.http.post("/query/v1/videos", params={"name": "a.mp4"}, content=VIDEO)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


def submitted(served: Served, known: frozenset[int] = frozenset()) -> StreamSpec:
    """The next stream that the service tells the pipeline of."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for row in served.control.take_outbox(100):
            if row.value is not None and row.id not in known:
                return decode_spec(row.value)
        time.sleep(0.05)
    raise AssertionError("nothing was submitted")


def without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_ids(inner)
            for key, inner in value.items()
            if not key.endswith(("_id", "_time", "_ms")) and key != "image"
        }
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


def test_deferred_and_immediate_answer_alike_and_immediate_leaves_nothing(served: Served) -> None:
    url = upload(served)
    accepted = served.http.post("/1/videosdk", json=body(url, 1))
    assert accepted.status_code == 202, accepted.text
    spec = submitted(served)
    assert str(spec.stream_id) == accepted.json()["task_id"]
    Analysed(spec).store(served.analytics, served.control)
    assert served.http.get(accepted.json()["url"]).json()["status"] == 5
    result = served.http.get(f"/query/v1/tasks/{spec.stream_id}/result").json()
    assert result["ledger"] == {
        "decoded": 30, "sampled_out": 18, "read": FRAMES, "processed": FRAMES - 1, "gated": 0, "dropped": {},
        "dead_lettered": 1, "in_flight": 0,
    }  # fmt: skip
    assert result["objects"] == {"car": {"visits": 1, "frames": FRAMES - 2, "most_at_once": 1}}
    before = {kind: served.http.get(f"/query/v1/{kind}").json()["items"] for kind in ("events", "tracks", "tasks")}

    known = frozenset(row.id for row in served.control.take_outbox(100))

    def analyse() -> None:
        Analysed(submitted(served, known)).publish(served.settings.kafka)

    pipeline = threading.Thread(target=analyse)
    pipeline.start()
    answer = served.http.post("/1/videosdk", json=body(url, 0))
    pipeline.join()
    assert answer.status_code == 200, answer.text
    immediate = answer.json()
    assert immediate["video_data"] == result["video_data"]
    assert without_ids(immediate["analytics"]) == without_ids(result["analytics"])
    assert immediate["analytics"][0]["events"][0]["event"] == {"note": [1, 2.5, None]}
    assert served.control.count_streams(StreamFilter(ephemeral=None)) == 1
    assert served.control.tombstones() == frozenset()
    after = {kind: served.http.get(f"/query/v1/{kind}").json()["items"] for kind in before}
    assert after == before


def test_an_asker_who_hangs_up_ends_the_analysis(served: Served) -> None:
    url = upload(served)
    with pytest.raises(httpx.ReadTimeout):
        served.http.post("/1/videosdk", json=body(url, 0), timeout=httpx.Timeout(20, read=5))
    until = time.monotonic() + 15
    while served.control.count_streams(StreamFilter(ephemeral=None)) and time.monotonic() < until:
        time.sleep(0.1)
    assert served.control.count_streams(StreamFilter(ephemeral=None)) == 0
    assert [row.value is None for row in served.control.take_outbox(10)] == [False, True]


def test_what_was_stored_is_listed_counted_and_removed(served: Served) -> None:
    task = served.http.post("/1/videosdk", json=body(upload(served), 1)).json()["task_id"]
    spec = served.control.stream(StreamId(UUID(task))).spec
    Analysed(spec).store(served.analytics, served.control)
    http = served.http

    (event,) = http.get("/query/v1/events", params={"stream_ids": task, "labels": "car,bus"}).json()["items"]
    assert (event["phase"], event["end_s"], event["track_id"]) == ("end", 1.1, 1)
    (track,) = http.get("/query/v1/tracks", params={"stream_ids": task}).json()["items"]
    assert (track["frames"], track["first_frame"], track["last_frame"]) == (FRAMES - 2, 2, 22)

    seen, cursor = [], None
    while True:
        params = {"stream_ids": task, "limit": 4, **({"cursor": cursor} if cursor else {})}
        page = http.get("/query/v1/detections", params=params).json()
        seen += [item["seq"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [seq for seq in range(FRAMES) if seq != 5]

    for media, rows in (
        ("text/csv", lambda data: len(data.decode().strip().splitlines()) - 1),
        ("application/vnd.apache.arrow.stream", lambda data: pa.ipc.open_stream(data).read_all().num_rows),
        ("application/vnd.apache.parquet", lambda data: pa.parquet.read_table(io.BytesIO(data)).num_rows),
    ):
        for kind, many in (("detections", FRAMES - 1), ("tracks", 1), ("events", 1)):
            answer = http.get(f"/query/v1/{kind}", params={"stream_ids": task}, headers={"Accept": media})
            assert answer.status_code == 200, answer.text
            assert rows(answer.content) == many, (media, kind)

    for metric, value in (("detections", FRAMES - 1), ("visits", 1), ("events", 1), ("max_at_once", 1)):
        counted = http.get("/query/v1/statistics", params={"metric": metric, "stream_ids": task, "group_by": "label"})
        assert counted.status_code == 200, counted.text
        assert [(row["label"], row["value"]) for row in counted.json()["items"]] == [("car", value)], metric
    (ledger,) = http.get("/query/v1/ledger", params={"stream_ids": task}).json()["items"]
    assert (ledger["processed"], ledger["dead_lettered"], ledger["in_flight"]) == (FRAMES - 1, 1, 0)

    assert http.delete(f"/query/v1/tasks/{task}").status_code == 204
    for kind in ("events", "tracks", "detections"):
        assert http.get(f"/query/v1/{kind}", params={"stream_ids": task}).json()["items"] == []
    assert http.get(f"/query/v1/tasks/{task}/result").status_code == 404


def test_what_is_up_is_up_and_what_is_down_is_named(served: Served) -> None:
    ready = served.http.get("/ready")
    assert ready.status_code == 503
    parts = ready.json()["parts"]
    assert (parts["broker"], parts["clickhouse"], parts["control"]) == ("ok", "ok", "ok")
    assert parts["models"] != "ok"
    assert served.http.get("/healthcheck").status_code == 200
    assert served.http.get("/healthcheck", params={"include_luna_services": 1}).status_code == 503
    assert "sightline_http_requests_total" in served.http.get("/metrics").text


def test_an_upload_is_not_held_in_memory(served: Served) -> None:
    import psutil

    def kept() -> int:
        return sum(child.memory_info().rss for child in psutil.Process(served.process.pid).children())

    before, peak, over = kept(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], kept())

    watcher = threading.Thread(target=watch)
    watcher.start()
    piece = bytes(1024 * 1024)
    answer = served.http.post("/query/v1/videos", content=(piece for _ in range(200)))
    over.set()
    watcher.join()
    assert answer.status_code == 201
    assert answer.json()["size"] == 200 * len(piece)
    assert peak[0] - before < 60 * 1024 * 1024


def test_sigterm_lets_answers_finish_and_exits_well(served: Served) -> None:
    slow = threading.Thread(target=lambda: statuses.append(served.http.get("/query/v1/events").status_code))
    statuses: list[int] = []
    slow.start()
    slow.join()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(40) == 0, served.log.read_text()
    assert statuses == [200]
    assert "Traceback" not in served.log.read_text()


def test_workers_end_with_a_first_process_that_is_killed_and_free_its_port(served: Served) -> None:
    workers = psutil.Process(served.process.pid).children(recursive=True)
    served.process.kill()
    _, alive = psutil.wait_procs(workers, 20)
    assert workers and not alive
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.settings.query.port)) != 0


def test_a_port_that_is_taken_is_said_in_one_line(served: Served) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "query_api"], cwd=ROOT, env=variables(served.settings), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert str(served.settings.query.port) in second.stderr
    assert "Traceback" not in second.stderr


def test_settings_that_cannot_be_are_said_in_one_line(served: Served) -> None:
    wrong = {**variables(served.settings), "SIGHTLINE_QUERY__HOST": "0.0.0.0"}
    done = subprocess.run(
        [sys.executable, "-m", "query_api"],
        cwd=ROOT,
        env=wrong,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "query.auth" in done.stderr
    assert "Traceback" not in done.stderr
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.settings.query.port)) == 0, "the first one is not disturbed"
