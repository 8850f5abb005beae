"""What a sink's Kafka client asks of the broker: to gather records, and then to answer with all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import Kafka
from tests.conftest import ROOT

pytestmark = pytest.mark.kafka

# in a process of its own, as Faust runs: it leaves loops behind that only the process's end takes away
ASKED = """
import asyncio, json, sys
from pathlib import Path
from core.settings import Kafka, Settings
from core.topics import Topics
from streams_proc.host import FaustHost
kafka = Kafka(**json.loads(sys.argv[1]))
settings = Settings(data_dir=Path(sys.argv[2]), kafka=kafka)

async def asked():
    host = FaustHost(settings, "gulps", (Topics.of(kafka).events,), None, float(sys.argv[3]))
    await host.start(None)
    fetcher = host.app.consumer._thread._consumer._fetcher
    found = fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms
    await host.stop()
    return found

print(json.dumps(asyncio.run(asked())))
"""


@pytest.mark.parametrize(("gulp_s", "wanted"), [(0.7, [1024**2, 700]), (0.0, [1, 1500])])
def test_the_broker_is_asked_to_gather_for_so_long(
    kafka: Kafka, tmp_path: Path, gulp_s: float, wanted: list[int]
) -> None:
    settings = json.dumps({"port": kafka.port, "prefix": kafka.prefix})
    command = [sys.executable, "-c", ASKED, settings, str(tmp_path), str(gulp_s)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == wanted
