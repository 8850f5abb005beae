"""A short part of the fault suite (`make faults`), with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign import Campaign
from tests.faults.faults import catalogue
from tests.faults.load import CARS, STREAMS, TASKS, Service, camera
from tests.faults.rig import standing
from tests.fixtures_cameras import packets_file, rtsp_camera

SHORT = (
    "kill -9 sink-clickhouse",
    "kill -9 models",
    "network cut 8 s, analyse - kafka",
    "camera drops every connection",
    "kill -9 ingest",
    "kill -9 detect",
    "kill -9 analyse",
)


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_whatever_dies_under_load_no_row_is_lost_and_none_is_there_twice(shared: Path, tmp_path: Path) -> None:
    faults = {fault.name: fault for fault in catalogue()}
    packets = packets_file(shared / CARS, tmp_path / "cars")
    with rtsp_camera(packets) as shown, standing(tmp_path, camera=shown) as rig:
        service = Service(rig.url, shared)
        streams = (*STREAMS[1:], camera(shown.url, 60.0))
        campaign = Campaign(rig, service, 1, print, tasks=TASKS[:2], streams=streams)
        campaign.prepare(twice=False)  # test_promises compares two undisturbed runs
        verdict = campaign.round([faults[name] for name in SHORT])
        service.close()
    assert verdict.good, verdict
    assert verdict.frames > 500
    assert verdict.gated > 0, "the camera's gate held frames back, and they were counted"
    assert sum(tally.times for tally in campaign.figures.tallies.values()) >= 1
