"""The same answer twice, nothing left behind, and nothing more running or loaded than there should be."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import av
import httpx
import psutil
import pytest

from tests.integration.stack.command import RunningStack, analyze, comparable, sightline

pytestmark = pytest.mark.stack

CLIP = "data/videos/intel/preview/person-bicycle-car-detection.gif"


def _workers(stack: RunningStack, word: str) -> list[psutil.Process]:
    """This stack's processes whose command line holds `word`."""
    mine = stack.env["SIGHTLINE_DATA_DIR"]
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIGHTLINE_DATA_DIR") == mine and word in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _upload(stack: RunningStack, file: Path) -> str:
    with file.open("rb") as body:
        answer = httpx.post(
            f"{stack.url}/query/v1/videos",
            params={"name": file.name},
            content=body.read(),
            headers={"Content-Type": "application/octet-stream"},
            timeout=60,
        )
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


def test_a_video_analysed_twice_gives_the_same_rows(stack: RunningStack, shared: Path, tmp_path: Path) -> None:
    first = analyze(stack, tmp_path, shared / CLIP, "--fps", "0")
    second = analyze(stack, tmp_path, shared / CLIP, "--fps", "0")
    assert first["task_id"] != second["task_id"]
    assert first["tracks"], "the clip shows a car"
    assert comparable(first) == comparable(second)


def _without_ids(value: Any) -> Any:
    """`value` without ids, media keys and wall-clock times, at any depth."""
    if isinstance(value, dict):
        return {
            key: _without_ids(inner)
            for key, inner in value.items()
            if not key.endswith(("_id", "_time", "_ms")) and key not in ("image", "task_id")
        }
    return [_without_ids(inner) for inner in value] if isinstance(value, list) else value


def _rows(stack: RunningStack) -> dict[str, int]:
    return {
        kind: len(httpx.get(f"{stack.url}/query/v1/{kind}", params={"limit": 1000}).json()["items"])
        for kind in ("events", "tracks", "tasks", "streams")
    }


def test_an_immediate_analysis_equals_a_deferred_one_and_leaves_nothing(
    stack: RunningStack, shared: Path, tmp_path: Path
) -> None:
    deferred = analyze(stack, tmp_path, shared / CLIP, "--fps", "0")
    before = _rows(stack)
    url = _upload(stack, shared / CLIP)
    answer = httpx.post(
        f"{stack.url}/1/videosdk",
        json={"video": {"url": url, "fps": 0}, "analytics": [{"analytic_name": "object_detection", "parameters": {}}]},
        timeout=300,
    )
    assert answer.status_code == 200, answer.text
    immediate = answer.json()
    assert immediate["analytics"][0]["events"]
    assert _without_ids(immediate["analytics"]) == _without_ids(deferred["analytics"])
    assert _without_ids(immediate["video_data"]) == _without_ids(deferred["video_data"])
    assert _rows(stack) == before


def test_a_deleted_task_leaves_nothing_to_find(stack: RunningStack, shared: Path, tmp_path: Path) -> None:
    result = analyze(stack, tmp_path, shared / CLIP, "--fps", "0")
    task = result["task_id"]
    image = next(event["image"] for event in result["events"] if event["image"])
    picture = httpx.get(f"{stack.url}/query/v1/media/{image}")
    assert picture.status_code == 200
    with av.open(io.BytesIO(picture.content)) as container:
        assert next(container.decode(video=0)).width > 0
    query = {"type": "image", "query": base64.b64encode(picture.content).decode(), "limit": 100}
    found = httpx.post(f"{stack.url}/smart-search", json=query, timeout=60).json()["results"]
    short = task.replace("-", "")[-16:]
    assert found[0]["similarity"] > 0.9
    assert short in {hit["stream_id"] for hit in found}

    assert httpx.delete(f"{stack.url}/query/v1/tasks/{task}", timeout=60).status_code == 204
    for _ in range(2):  # also after the sweep
        found = httpx.post(f"{stack.url}/smart-search", json=query, timeout=60).json()["results"]
        assert short not in {hit["stream_id"] for hit in found}
        assert httpx.get(f"{stack.url}/query/v1/media/{image}").status_code == 404
        assert httpx.get(f"{stack.url}/query/v1/tasks/{task}").status_code == 404
        for kind in ("events", "tracks", "detections"):
            items = httpx.get(f"{stack.url}/query/v1/{kind}", params={"stream_ids": task}).json()["items"]
            assert items == []
        time.sleep(8)


def test_only_the_model_server_loads_tensorflow(stack: RunningStack) -> None:
    loaded = set()
    for process in _workers(stack, "-m"):
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        if "libtensorflow" in maps:
            loaded.add(" ".join(process.cmdline()))
    assert loaded
    assert all("inference.server" in command for command in loaded), loaded


def test_the_stack_stays_within_its_memory(stack: RunningStack) -> None:
    mine = stack.env["SIGHTLINE_DATA_DIR"]
    used = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIGHTLINE_DATA_DIR") == mine:
                used += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    assert 0 < used < 6 * 1024**3


def test_status_shows_every_process(stack: RunningStack) -> None:
    shown = sightline(stack, "status")
    assert shown.returncode == 0
    for name in ("kafka", "clickhouse", "models", "control", "ingest", "detect", "analyse", "query"):
        assert name in shown.stdout
