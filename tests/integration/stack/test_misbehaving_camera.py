"""A camera that drops, stands still and comes back at another size: what was read of it is accounted for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import RunningStack
from tests.fixtures_cameras import packets_file, rtsp_camera
from tests.integration.stack.test_rtsp_like_a_file import CLIP, Client, Item

pytestmark = pytest.mark.stack

OTHER = "data/videos/intel/bottle-detection.mp4"
EVERY_S = 10
DROPS = 3


@pytest.fixture
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.timeout(300)
def test_every_frame_of_a_camera_that_drops_and_stands_still_is_accounted_for_in_one_run(
    http: httpx.Client, shared: Path, tmp_path: Path
) -> None:
    client = Client(http)
    clips = [packets_file(shared / clip, tmp_path / f"{n}.packets") for n, clip in enumerate((CLIP, OTHER))]

    def shown() -> Item:
        found: Item = http.get(f"/query/v1/streams/{stream}").raise_for_status().json()
        return found

    with rtsp_camera(*clips) as camera:
        stream = client.watch(camera.url)
        try:
            client.wait(lambda: client.ledger(stream)["processed"] >= 10, "it is looked at")
            for drops in range(1, DROPS + 1):
                time.sleep(EVERY_S)
                camera.tell("drop")
                client.wait(lambda least=drops: len(shown()["errors"]) >= least, "the loss is noticed")  # type: ignore[misc]
                client.wait(lambda: shown()["state"] == "in_progress", "it is connected to again")
            told = len(shown()["errors"])
            camera.tell("stall")
            client.wait(lambda: len(shown()["errors"]) > told, "its silence is noticed")
            read = client.ledger(stream)["read"]
            camera.tell("show 1")  # another clip, of another size
            camera.tell("go")
            client.wait(lambda: client.ledger(stream)["read"] >= read + 20, "it is looked at again")
            client.stop(stream)
            ledger, last = client.ledger(stream), shown()
        finally:
            client.remove(stream)
    assert (last["run"], last["state"]) == (1, "stop")
    dropped = sum(ledger["dropped"].values())
    assert ledger["read"] == ledger["processed"] + dropped, ledger
    assert (ledger["imbalance"], ledger["dead_lettered"], ledger["gated"]) == (0, 0, 0)
    assert ledger["processed"] > DROPS * EVERY_S
    assert (last["video"]["width"], last["video"]["height"]) != (768, 432), "of its new size"
