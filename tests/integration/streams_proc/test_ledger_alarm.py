"""The alarm of the ledger, as it is raised by the process `control` on a real broker and real stores."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamStatus, encode_json
from core.settings import ClickHouse, Control, Kafka, Settings
from core.topics import Topics
from tests.integration.streams_proc.processes import feed, wait_for, workers
from tests.integration.streams_proc.test_stores import FRAMES, frame, spec, variables
from warehouse.analytics import AnalyticsStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.store import ControlStore
from warehouse.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
COUNTS = IngestCounts(decoded=FRAMES + 5, sampled_out=5, read=FRAMES, published=FRAMES)


def shown(folder: Path) -> float:
    """The gauge, as `/metrics` gathers it from all processes of the machine."""
    script = "from core.metrics import exposition; print(exposition().decode())"
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    text = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
    found = [line.split()[-1] for line in text.splitlines() if line.startswith("sightline_ledger_imbalance ")]
    return float(found[0]) if found else -1.0


def test_a_lost_frame_raises_the_alarm_which_outlives_a_restart_and_ends_when_it_is_found(
    kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    control_url = SecretStr(f"sqlite:///{tmp_path}/c.db")
    settings = Settings(data_dir=tmp_path, kafka=kafka, clickhouse=clickhouse, control=Control(url=control_url))
    migrate(settings)
    control, analytics = ControlStore.connect(settings), AnalyticsStore.connect(settings)
    whole, torn = StreamId(uuid.uuid4()), StreamId(uuid.uuid4())
    for stream in (whole, torn):
        control.create_stream(spec(stream))
        lost = {3, 4} if stream == torn else set()
        analytics.write_frames([frame(stream, i, False) for i in range(FRAMES) if i not in lost])
        for sink, topic in EXPECTED:
            control.record_receipt(stream, Run(1), sink, topic)
        ended = StreamStatus(stream, Run(1), "done", 9, "host", COUNTS)
        feed(kafka, Topics.of(kafka).stream_status, [(str(stream).encode(), encode_json(ended))])
    (metrics := tmp_path / "metrics").mkdir()
    env = {**variables(settings), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    with workers(kafka, tmp_path) as start:
        first = start("streams_proc.__main__", "control", **env)
        wait_for(lambda: shown(metrics) == 2.0, "the alarm")
        (said,) = [line for line in first.log.splitlines() if "the ledger does not sum" in line]
        assert str(torn) in said and "is off by +2" in said
        assert control.run(whole, Run(1)).imbalance == 0
        assert first.end() == 0
        second = start("streams_proc.__main__", "control", **env)
        second.until("joined")
        wait_for(lambda: shown(metrics) == 2.0, "the alarm stands")
        assert second.end() == 0
        assert "does not sum" not in second.log, "it was told of once"
        analytics.write_frames([frame(torn, i, False) for i in (3, 4)])
        third = start("streams_proc.__main__", "control", **env)
        third.until("the ledger sums again")
        wait_for(lambda: shown(metrics) == 0.0, "no alarm")
        assert third.end() == 0
