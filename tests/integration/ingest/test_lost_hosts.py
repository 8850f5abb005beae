"""A host that dies and that nobody stands in for: its streams are said to be lost, until a host comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from core.settings import ClickHouse, Control, Kafka
from tests.integration.ingest.conftest import Bench
from tests.integration.streams_proc.processes import workers
from tests.integration.streams_proc.test_stores import variables
from warehouse.control.store import ControlStore
from warehouse.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def test_a_dead_host_s_stream_is_lost_until_a_host_takes_it_up(
    bench: Bench, kafka: Kafka, clickhouse: ClickHouse, shared: Path, tmp_path: Path
) -> None:
    url = SecretStr(f"sqlite:///{tmp_path}/c.db")
    settings = bench.settings.model_copy(update={"clickhouse": clickhouse, "control": Control(url=url)})
    migrate(settings)
    control = ControlStore.connect(settings)
    spec = bench.spec(shared / "data/videos/intel/car-detection.mp4", lane="live", realtime=True, loop=True, fps=5)
    control.create_stream(spec)

    def stands(state: str) -> None:
        bench.until(lambda: control.stream(spec.stream_id).current.state == state, what=f"the stream is {state}")

    host = bench.host_process()
    with workers(kafka, tmp_path) as start:
        worker = start("streams_proc.__main__", "control", **variables(settings))
        stands("in_progress")
        host.kill()
        host.wait()
        bench.processes.remove(host)
        stands("handler_lost")
        assert "is gone" in (control.stream(spec.stream_id).current.error or "")
        begun = len(bench.frames(spec))
        bench.host_process()
        stands("in_progress")
        bench.until(lambda: len(bench.frames(spec)) > begun, what="frames of the other host")
        assert worker.end() == 0
    states = bench.states(spec)
    assert states.count("handler_lost") == 1, states
    assert states[-1] == "in_progress"
    control.close()
