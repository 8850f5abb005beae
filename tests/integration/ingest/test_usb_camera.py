"""A USB camera, read through FFmpeg's own V4L2 input from a driver that a library plays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

DRIVER = ROOT / "tests/v4l2/fake_camera.c"
READ = """
import json, sys
from itertools import islice
from pathlib import Path
from core.settings import Ingest, Settings
from ingest.live_source import LiveSource
url, device, many = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
source = LiveSource.open(url, Settings(ingest=Ingest(devices=(device,))), None)
found = []
for frame in islice(source.frames(lambda _: None), many):
    picture = frame.rgb()
    found.append([*picture.shape[:2], float(picture.mean())])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("driver") / "fake_camera.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(DRIVER), "-ldl"]
    subprocess.run(command, check=True)
    return library


def pictures(driver: Path, device: Path, query: str, many: int) -> list[Any]:
    """Height, width and mean of each picture."""
    env = {**os.environ, "LD_PRELOAD": str(driver), "FAKE_CAMERA": str(device)}
    command = [sys.executable, "-c", READ, f"v4l2:{device}{query}", str(device), str(many)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("query", "size"), [("", (480, 640)), ("?video_size=320x240&framerate=10", (240, 320))])
def test_a_usb_camera_gives_its_pictures_one_after_the_other(
    driver: Path, tmp_path: Path, query: str, size: tuple[int, int]
) -> None:
    device = tmp_path / "video0"
    device.touch()
    found = pictures(driver, device, query, 10)
    assert [tuple(each[:2]) for each in found] == [size] * 10
    means = [each[2] for each in found]
    assert means == sorted(means)
    assert means[0] < means[-1], "each picture of this camera is brighter than the one before"
