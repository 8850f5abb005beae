"""Stop, delete, redefine, wait; and what live does when nobody reads."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.messages import RunBegin

pytestmark = pytest.mark.kafka


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=6"]
    subprocess.run([*command, "-c:v", "libx264", str(path)], check=True)
    return path


def camera(bench: Any, clip: Path, **more: Any) -> Any:
    return bench.spec(clip, lane="live", realtime=True, loop=True, **more)


def test_a_stop_ends_the_run_and_a_new_number_begins_another(bench: Any, clip: Path) -> None:
    spec = camera(bench, clip)
    bench.host()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 5)
    bench.publish(msgspec.structs.replace(spec, desired="stop"))
    bench.wait_ended(spec)
    assert bench.end(spec).state == "stop"
    bench.expect_states(spec, "pending", "in_progress", "stop")
    counts = bench.end(spec).counts
    assert counts.read == counts.published + sum(counts.dropped.values())
    assert counts.published == len(bench.frames(spec))
    again = msgspec.structs.replace(spec, run=2)
    bench.publish(again)
    bench.until(lambda: len(bench.frames(again)) >= 3)
    assert bench.frames(again)[0].seq == 0


def test_a_redefinition_ends_the_old_run_before_the_new_one_begins(bench: Any, clip: Path) -> None:
    spec = camera(bench, clip)
    again = msgspec.structs.replace(spec, run=2, model="other")
    bench.host()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 5)
    bench.publish(again)
    bench.until(lambda: len(bench.frames(again)) >= 5)
    assert bench.end(spec).state == "stop"
    runs = [message.run for message in bench.messages[spec.stream_id]]
    assert runs == sorted(runs)
    assert {frame.model for frame in bench.frames(again)} == {"other"}


def test_a_deleted_stream_ends_and_leaves_no_checkpoint(bench: Any, clip: Path) -> None:
    spec = camera(bench, clip)
    bench.host()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 5)
    bench.delete(spec)
    bench.until(lambda: bench.checkpoints[spec.stream_id][-1] is None)
    assert bench.end(spec).state == "stop"
    seen = len(bench.messages[spec.stream_id])
    bench.stop_hosts()
    bench.host()
    bench.read(2.0)
    assert len(bench.messages[spec.stream_id]) == seen, "nothing comes back"


def test_a_stream_deleted_or_stopped_while_no_host_ran_is_closed_by_the_next(bench: Any, clip: Path) -> None:
    deleted, stopped = camera(bench, clip), camera(bench, clip)
    host = bench.host_process()
    bench.publish(deleted, stopped)
    bench.until(lambda: len(bench.frames(deleted)) >= 5 and len(bench.frames(stopped)) >= 5)
    host.kill()
    host.wait()
    bench.processes.remove(host)
    bench.delete(deleted)
    bench.publish(msgspec.structs.replace(stopped, desired="stop"))
    bench.host()
    bench.wait_ended(deleted, stopped)
    for spec in (deleted, stopped):
        end = bench.end(spec)
        assert end.state == "stop"
        assert end.counts.published == len(bench.frames(spec))


def test_a_run_stopped_before_it_began_has_a_begin_and_an_end(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip, desired="stop")
    bench.publish(spec)
    bench.host()
    bench.wait_ended(spec)
    assert isinstance(bench.messages[spec.stream_id][0], RunBegin)
    assert bench.end(spec).state == "stop"
    bench.expect_states(spec, "stop")


def test_files_wait_their_turn_and_cameras_do_not(make_bench: Any, clip: Path) -> None:
    bench = make_bench(batch_readers=1, kafka={"frames_batch_bytes": 50_000})
    files = [bench.spec(clip) for _ in range(3)]
    live = camera(bench, clip)
    bench.host()
    bench.publish(*files, live)
    bench.until(lambda: len(bench.frames(live)) >= 10)
    bench.until(lambda: any(bench.frames(spec) for spec in files))
    begun = [spec for spec in files if "in_progress" in bench.states(spec)]
    assert len(begun) == 1, "one at a time, and it waits for detect"
    assert all("pending" in bench.states(spec) for spec in files)

    def stands_still() -> bool:
        before = len(bench.frames(begun[0]))
        bench.read(1.5)
        return len(bench.frames(begun[0])) == before

    bench.until(stands_still)
    assert 0 < len(bench.frames(begun[0])) < 60
    assert stands_still()

    def drained() -> bool:
        bench.commit_for_detect()
        return bool(bench.ended(*files))

    bench.until(drained, 120)
    for spec in files:
        assert [f.seq for f in bench.frames(spec)] == list(range(60)), "batch drops nothing"


def test_live_drops_the_oldest_and_counts_it_when_nobody_reads(make_bench: Any, clip: Path) -> None:
    bench = make_bench(live_queue_bytes=40_000, kafka={"frames_live_bytes": 60_000})
    spec = bench.spec(clip, lane="live", realtime=True)
    bench.host()
    bench.publish(spec)
    bench.wait_ended(spec)
    end, frames = bench.end(spec), bench.frames(spec)
    assert end.state == "done"
    assert end.counts.decoded == end.counts.read == 60
    assert end.counts.dropped["backlog"] == 60 - len(frames) > 0
    assert end.counts.published == len(frames)
    assert [f.seq for f in frames] == list(range(len(frames)))


def test_an_unreadable_definition_stops_nothing(bench: Any, clip: Path) -> None:
    bench.producer.produce(bench.topics.streams, key=b"nonsense", value=b"{")
    spec = bench.spec(clip, fps=2)
    bench.host()
    bench.publish(spec)
    bench.wait_ended(spec)
    assert len(bench.frames(spec)) == 12
    beats = [s for s in bench.statuses[spec.stream_id] if s.heartbeat]
    assert all(s.total_frames == 60 for s in beats)


def test_what_may_not_be_read_fails_with_its_reason(bench: Any, tmp_path: Path) -> None:
    wanted = {
        "file:/etc/passwd": "not in a folder",
        "media:../../etc/passwd": "not in a folder",
        f"file:{tmp_path}/none.mp4": "no such file",
        "http://169.254.169.254/latest": "may not be opened",
        "ftp://example.org/a.mp4": "schemes",
    }
    specs = {url: bench.spec(url) for url in wanted}
    bench.host()
    bench.publish(*specs.values())
    bench.wait_ended(*specs.values())
    for url, spec in specs.items():
        assert bench.end(spec).state == "failure"
        assert wanted[url] in (bench.end(spec).error or ""), url
