"""The commands of docs/quickstart.md, run as they stand, but for ports and names of files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.stack.command import RunningStack, analyze

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[3]
CLIP = "data/videos/intel/preview/worker-zone-detection.gif"


def _commands() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "docs/quickstart.md").read_text(), re.DOTALL)


def test_every_command_answers(stack: RunningStack, shared: Path, tmp_path: Path) -> None:
    analyze(stack, tmp_path, shared / CLIP, "--fps", "0")
    kafka, clickhouse = stack.env["SIGHTLINE_KAFKA__PORT"], stack.env["SIGHTLINE_CLICKHOUSE__HTTP_PORT"]
    answers = []
    for command in _commands():
        mine = (
            command.replace("http://127.0.0.1:4004", stack.url)
            .replace("127.0.0.1:9092", f"127.0.0.1:{kafka}")
            .replace("port=8123", f"port={clickhouse}")
            .replace(".venv/bin/python", sys.executable)
            .replace(".venv/bin/sightline", f"{Path(sys.executable).parent}/sightline")
            .replace("/tmp/now.jpg", str(tmp_path / "now.jpg"))
            .replace("var/demo/bikes.mp4", str(shared / CLIP))
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", mine],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=stack.env,
        )
        assert done.returncode == 0, f"{mine}\n{done.stdout}{done.stderr}"
        answers.append(done.stdout)
    events, by_minute, csv, similar, submitted, watched = answers
    assert "ce_id=" in events
    assert '"message":"run_end"' in events
    assert "person" in by_minute
    assert "person" in csv
    assert '"similarity"' in similar
    assert '"task_id"' in submitted
    assert "is removed." in watched
    assert (tmp_path / "now.jpg").read_bytes().startswith(b"\xff\xd8")
