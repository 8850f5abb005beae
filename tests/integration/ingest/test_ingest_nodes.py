"""Hosts as others hear of them, and told to begin again."""

from __future__ import annotations

import socket
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.messages import NodeStatus, Orders, decode_node, encode_json
from core.orders import KEY
from tests.integration.streams_proc.processes import Follower, feed, follow

pytestmark = pytest.mark.kafka
NAME = f"{socket.gethostname()}-1"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Some seconds of a moving test picture."""
    path = tmp_path / "clip.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=6"]
    subprocess.run([*command, "-c:v", "libx264", str(path)], check=True)
    return path


def statuses(follower: Follower) -> list[NodeStatus]:
    read = (decode_node(message.value()) for message in follower.messages if message.key() == NAME.encode())
    return [status for status in read if isinstance(status, NodeStatus)]


def test_a_host_says_that_it_lives_and_that_it_leaves_and_keeps_its_name(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip, lane="live", realtime=True, loop=True, fps=5)
    bench.publish(spec)
    with follow(bench.settings.kafka, bench.topics.nodes) as follower:
        host = bench.host_process()
        follower.until(lambda _: any(status.streams == 1 for status in statuses(follower)), "a stream is run")
        newest = statuses(follower)[-1]
        assert (newest.host, newest.run_mode, newest.gpus, newest.ended) == (NAME, "CPU", (), False)
        assert newest.services["ingest"] >= 1
        assert newest.ram_percent > 0
        follower.until(lambda _: len(statuses(follower)) >= 4, "again and again")
        told = [status.ts_ms for status in statuses(follower)]
        assert all(1000 <= b - a <= 9000 for a, b in pairwise(told)), "every two seconds"
        host.terminate()
        assert host.wait(30) == 0
        bench.processes.remove(host)
        follower.until(lambda _: statuses(follower)[-1].ended, "it has left")
        before = len(statuses(follower))
        bench.host_process()
        follower.until(lambda _: len(statuses(follower)) > before, "it is there again, under its name")
        assert statuses(follower)[-1].started_ms > newest.started_ms
        bench.read(1.0)
        assert {status.host for status in bench.statuses[spec.stream_id]} == {NAME}, "as its runs name it"


def test_a_host_that_is_told_to_begin_again_leaves_its_streams_to_be_continued(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip, lane="live", realtime=True, loop=True, fps=5)
    host = bench.host_process()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 10)
    feed(bench.settings.kafka, bench.topics.nodes, [(KEY, encode_json(Orders(restart_ms=1)))])
    assert host.wait(30) == 0, "it ends well, and its supervisor begins it again"
    bench.processes.remove(host)
    assert not bench.ended(spec)
    bench.read(1.0)
    before = len(bench.frames(spec))
    bench.host_process()
    bench.until(lambda: len(bench.frames(spec)) >= before + 10)
    assert [frame.seq for frame in bench.frames(spec)] == list(range(len(bench.frames(spec)))), "no number twice"
    assert {status.host for status in bench.statuses[spec.stream_id]} == {NAME}
