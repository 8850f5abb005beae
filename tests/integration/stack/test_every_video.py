"""Every real video is read to its end, or to the place that is named; every hostile file is survived."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.integration.stack.command import RunningStack, analyze, sightline

pytestmark = pytest.mark.stack

SHARED = Path(os.environ.get("SIGHTLINE_SHARED", "../shared")).resolve()


def _files(folder: str) -> list[str]:
    root = SHARED / "data" / folder
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def _counted_by_ffprobe(file: Path) -> int:
    counted = subprocess.run(
        [
            "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
            "-show_entries", "stream=nb_read_frames", "-of", "json", str(file),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(json.loads(counted.stdout)["streams"][0]["nb_read_frames"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a file's task ended: `refused` is the answer to its upload or submission, when that was its end."""

    task: dict[str, Any]
    refused: str = ""


@pytest.fixture(scope="module")
def outcomes(stack: RunningStack, shared: Path) -> dict[str, Outcome]:
    """Every file, real and hostile, submitted at once at one frame a second; each waited for to its end."""
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        submitted = {
            f"{folder}/{name}": _submit(client, shared / "data" / folder / name)
            for folder in ("videos", "hostile")
            for name in _files(folder)
        }
        until = time.monotonic() + 1200
        return {name: _ended(client, sent, until) for name, sent in submitted.items()}


def _submit(client: httpx.Client, file: Path) -> httpx.Response:
    octets = {"Content-Type": "application/octet-stream"}
    upload = client.post("/query/v1/videos", params={"name": file.name}, content=file.read_bytes(), headers=octets)
    if upload.status_code != 201:
        return upload
    analytics = [{"analytic_name": "object_detection", "parameters": {}}]
    body = {
        "deferred_task": {"enable": 1},
        "video": {"url": upload.json()["url"], "fps": 1},
        "analytics": analytics,
        "model": "centernet-256",
    }
    return client.post("/1/videosdk", json=body)


def _ended(client: httpx.Client, sent: httpx.Response, until: float) -> Outcome:
    if sent.status_code != 202:
        return Outcome({}, f"{sent.status_code} {sent.text}")
    while True:
        answer = client.get(f"/query/v1/tasks/{sent.json()['task_id']}")
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()
        if task["state"] in {"done", "failed", "cancelled"}:
            return Outcome(task)
        assert time.monotonic() < until, f"still {task['state']}: {task}"
        time.sleep(0.2)


@pytest.mark.parametrize("name", _files("videos"))
def test_a_video_has_the_frames_that_ffprobe_counts(outcomes: dict[str, Outcome], shared: Path, name: str) -> None:
    outcome = outcomes[f"videos/{name}"]
    assert outcome.task.get("state") == "done", outcome
    ledger = outcome.task["ledger"]
    assert ledger["decoded"] == ledger["sampled_out"] + ledger["read"]
    assert ledger["read"] == ledger["processed"]
    assert (ledger["dropped"], ledger["dead_lettered"], ledger["in_flight"]) == ({}, 0, 0)
    expected = _counted_by_ffprobe(shared / "data/videos" / name)
    if abs(ledger["decoded"] - expected) > 1:
        errors = outcome.task["errors"]
        assert errors, f"{ledger['decoded']} of {expected} frames, and no word why"
        assert all(error["reason"] for error in errors)


@pytest.mark.parametrize(
    ("name", "turned"), [("video_0.mov", 0), ("video_90.mov", 90), ("video_180.mov", 180), ("video_270.mov", 270)]
)
def test_rotated_clips_come_out_upright(
    stack: RunningStack, shared: Path, tmp_path: Path, name: str, turned: int
) -> None:
    file = shared / "data/videos/decord" / name
    drawn = tmp_path / "upright.mp4"
    result = analyze(stack, tmp_path, file, "--fps", "0", "--annotate", str(drawn))
    upright = _first_frame_as_ffmpeg_shows_it(file, tmp_path)
    height, width = upright.shape[:2]
    assert (result["video"]["width"], result["video"]["height"]) == (width, height)
    with av.open(str(drawn)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
    assert np.abs(picture[:height, :width] - upright[: picture.shape[0], : picture.shape[1]]).mean() < 12


def _first_frame_as_ffmpeg_shows_it(file: Path, folder: Path) -> np.ndarray:
    target = folder / "first.png"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(file), "-frames:v", "1", str(target)], check=True)
    with av.open(str(target)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)


@pytest.mark.parametrize("name", _files("hostile"))
def test_a_hostile_file_is_survived(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[f"hostile/{name}"]
    if outcome.refused:
        assert outcome.refused.startswith("4"), outcome.refused
        return
    ledger = outcome.task["ledger"]
    assert ledger["decoded"] == ledger["sampled_out"] + ledger["read"]
    if outcome.task["state"] == "done":
        assert ledger["in_flight"] == 0
    else:
        assert outcome.task["error"], "a refusal says why"


def test_after_all_of_them_the_service_is_ready(stack: RunningStack, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    assert httpx.get(f"{stack.url}/ready").status_code == 200


def test_the_command_says_why_a_file_cannot_be_read(stack: RunningStack, shared: Path) -> None:
    done = sightline(stack, "analyze", str(shared / "data/hostile/pillow/truncated_jpeg.jpg"))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.strip()
