"""What people counted by eye in real clips is what the whole pipeline finds, with one set of defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stack.command import RunningStack, analyze

pytestmark = pytest.mark.stack

NOTHING = [
    "decord/corrupted.mp4",
    "firefox/no-cues.webm",
    "torchcodec/av1_video.mkv",
    "torchcodec/bt709_full_range.mp4",
    "torchcodec/h264_10bits.mp4",
    "torchcodec/h265_10bits.mp4",
    "torchcodec/h265_video.mp4",
]


@pytest.fixture(scope="module")
def truth(shared: Path) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads((shared / "data/gt/counts.json").read_text())
    return counts


def _foot(box: list[float]) -> float:
    return box[3]


def test_four_cars_two_up_two_down(stack: RunningStack, shared: Path, tmp_path: Path, truth: dict[str, Any]) -> None:
    expected = truth["car-detection.mp4"]
    result = analyze(stack, tmp_path, shared / "data/videos/intel/car-detection.mp4", "--fps", "0", "--labels", "any")
    tracks = sorted(result["tracks"], key=lambda track: track["first_frame"])
    assert len(tracks) == expected["total"]
    assert len([event for event in result["events"] if event["type"] == "object_detection"]) == expected["total"]
    for track, counted in zip(tracks, expected["tracks"], strict=True):
        assert abs(track["first_frame"] - counted["frames"][0]) <= 15, (track["track_id"], counted)
        assert abs(track["last_frame"] - counted["frames"][1]) <= 15, (track["track_id"], counted)
        first, last = track["boxes"][0]["box"], track["boxes"][-1]["box"]
        centre = [(box[1] + box[3]) / 2 for box in (first, last)]
        assert ("down" if centre[1] > centre[0] else "up") == counted["dir"]
        assert min(centre) < 0.5 < max(centre), "the visit crosses the middle"


def test_bottles_on_the_belt(stack: RunningStack, shared: Path, tmp_path: Path, truth: dict[str, Any]) -> None:
    expected = truth["bottle-detection.mp4"]["simultaneous_at_frame"]
    result = analyze(stack, tmp_path, shared / "data/videos/intel/bottle-detection.mp4", "--fps", "0")
    seen = dict.fromkeys(expected, 0)
    for track in result["tracks"]:
        if track["label"] == "bottle":
            for box in track["boxes"]:
                if str(box["frame"]) in seen:
                    seen[str(box["frame"])] += 1
    wrong = {frame: (seen[frame], count) for frame, count in expected.items() if abs(seen[frame] - count) > 1}
    assert wrong == {}


def test_one_worker_is_one_visit(stack: RunningStack, shared: Path, tmp_path: Path) -> None:
    result = analyze(stack, tmp_path, shared / "data/videos/intel/preview/worker-zone-detection.gif", "--fps", "0")
    people = [track for track in result["tracks"] if track["label"] == "person"]
    assert len(people) == 1
    assert result["objects"]["person"]["most_at_once"] == 1
    assert people[0]["last_frame"] - people[0]["first_frame"] + 1 >= 66


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_where_nothing_is(stack: RunningStack, shared: Path, tmp_path: Path, name: str) -> None:
    result = analyze(stack, tmp_path, shared / "data/videos" / name, "--fps", "0")
    assert result["events"] == []
    assert result["tracks"] == []
