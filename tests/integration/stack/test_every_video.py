"""Every real video is read to its end, or to the place that is named; every hostile file is survived."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

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


@pytest.mark.parametrize("name", _files("videos"))
def test_a_video_has_the_frames_that_ffprobe_counts(
    stack: RunningStack, shared: Path, tmp_path: Path, name: str
) -> None:
    file = shared / "data/videos" / name
    result = analyze(stack, tmp_path, file, "--fps", "1", "--model", "centernet-256")
    ledger = result["ledger"]
    assert ledger["decoded"] == ledger["sampled_out"] + ledger["read"]
    assert ledger["read"] == ledger["processed"]
    assert (ledger["dropped"], ledger["dead_lettered"], ledger["in_flight"]) == ({}, 0, 0)
    expected = _counted_by_ffprobe(file)
    if abs(ledger["decoded"] - expected) > 1:
        assert result["errors"], f"{ledger['decoded']} of {expected} frames, and no word why"
        assert all(error["reason"] for error in result["errors"])


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
def test_a_hostile_file_is_survived(stack: RunningStack, shared: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "result.json"
    done = sightline(
        stack, "analyze", str(shared / "data/hostile" / name), "--json", str(target),
        "--fps", "1", "--model", "centernet-256", timeout_s=180,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if done.returncode == 1:
        assert done.stderr.strip(), "a refusal says why"
    else:
        ledger = json.loads(target.read_text())["ledger"]
        assert ledger["in_flight"] == 0
        assert ledger["decoded"] == ledger["sampled_out"] + ledger["read"]
    assert httpx.get(f"{stack.url}/ready").status_code == 200
