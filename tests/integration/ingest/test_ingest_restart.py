"""Kills in the middle: nothing is lost, and no sequence number stands for two pictures."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.ids import StreamId, new_stream_id
from core.messages import Frame, RunBegin, RunEnd, StreamSpec
from core.partitions import partition_of

pytestmark = pytest.mark.kafka


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twenty seconds of a moving test picture: long enough to be killed within."""
    path = tmp_path / "clip.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=20"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", str(path)], check=True)
    return path


def content(frames: list[Frame]) -> list[tuple[int, int, float, int, bytes]]:
    return [(f.seq, f.index, f.media_s, f.ts_ms, f.jpeg) for f in frames]


def without_repeats(frames: list[Frame]) -> list[Frame]:
    """As every consumer reads: a frame not above the highest seen is a replay, and must be an equal one."""
    kept: dict[int, Frame] = {}
    for frame in frames:
        if frame.seq in kept:
            assert content([kept[frame.seq]]) == content([frame]), "one number, two contents"
            continue
        assert not kept or frame.seq == max(kept) + 1, "a gap, or out of order"
        kept[frame.seq] = frame
    return list(kept.values())


def counted_once(frames: list[Frame]) -> list[Frame]:
    """As every consumer counts: the first record of a number is the frame, a later one is passed over."""
    kept: list[Frame] = []
    for frame in frames:
        if not kept or frame.seq > kept[-1].seq:
            kept.append(frame)
    return kept


def reader_pids() -> list[int]:
    """Readers that this test process started, or that its hosts did."""
    out = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in out.splitlines()[1:]]
    parents = {int(pid): int(ppid) for pid, ppid, *_ in rows}

    def ours(pid: int) -> bool:
        while pid > 1:
            pid = parents.get(pid, 0)
            if pid == os.getpid():
                return True
        return False

    return [int(pid) for pid, _, name in rows if name == "reader" and ours(int(pid))]


def progressed(bench: Any, spec: StreamSpec, frames: int) -> Callable[[], bool]:
    return lambda: len(bench.frames(spec)) >= frames or bench.ended(spec)


def test_a_killed_reader_gives_the_records_of_an_undisturbed_run(bench: Any, clip: Path) -> None:
    disturbed, quiet = bench.spec(clip), bench.spec(clip)
    bench.host()
    bench.publish(disturbed)
    killed = 0
    for share in (100, 300):
        bench.until(progressed(bench, disturbed, share))
        for pid in reader_pids():  # none when the reader was so far ahead of us that it has ended
            os.kill(pid, signal.SIGKILL)
            killed += 1
    assert killed, "nothing was disturbed"
    bench.wait_ended(disturbed)
    bench.publish(quiet)
    bench.wait_ended(quiet)
    assert len(bench.frames(quiet)) == 600
    assert content(without_repeats(bench.frames(disturbed))) == content(bench.frames(quiet))
    assert bench.end(disturbed).counts == bench.end(quiet).counts
    assert bench.end(disturbed).state == "done"
    assert isinstance(bench.messages[disturbed.stream_id][0], RunBegin)
    assert isinstance(bench.messages[disturbed.stream_id][-1], RunEnd)


def test_a_killed_host_takes_its_readers_along_and_the_next_goes_on(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip)
    host = bench.host_process()
    bench.publish(spec)
    bench.until(progressed(bench, spec, 100))
    ((before, place),) = bench.members()
    host.kill()
    host.wait()
    assert not bench.ended(spec)
    bench.processes.remove(host)
    bench.host_process()
    bench.wait_ended(spec)
    ((after, same),) = bench.members()
    assert (after != before, same) == (True, place), "it takes the place of the one before, and waits for nobody"
    assert place == f"ingest-{socket.gethostname()}-1"
    assert [f.seq for f in without_repeats(bench.frames(spec))] == list(range(600))
    assert bench.end(spec).counts.published == 600


def test_a_second_host_in_the_same_place_is_refused_and_the_first_reads_on(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip, lane="live", realtime=True, loop=True, fps=5)
    bench.host_process()
    bench.publish(spec)
    bench.until(progressed(bench, spec, 5))
    second = bench.host_process()
    assert second.wait(60) == 1
    bench.processes.remove(second)
    before = len(bench.frames(spec))
    bench.until(progressed(bench, spec, before + 20))
    assert [f.seq for f in bench.frames(spec)] == list(range(len(bench.frames(spec)))), "never two readers"


def test_a_host_told_to_end_leaves_the_run_to_be_continued_without_a_repeat(bench: Any, clip: Path) -> None:
    spec = bench.spec(clip)
    host = bench.host_process()
    bench.publish(spec)
    bench.until(progressed(bench, spec, 100))
    host.terminate()
    assert host.wait(30) == 0
    bench.read(1.0)
    assert not bench.ended(spec)
    assert reader_pids() == []
    bench.processes.remove(host)
    bench.host_process()
    bench.wait_ended(spec)
    assert [f.seq for f in bench.frames(spec)] == list(range(600)), "all was acknowledged before it ended"


def test_a_finished_run_is_not_run_again(bench: Any, shared: Path) -> None:
    spec = bench.spec(shared / "data/videos/decord/video_0.mov")
    bench.publish(spec)
    bench.host()
    bench.wait_ended(spec)
    bench.stop_hosts()
    later = bench.spec(shared / "data/videos/decord/video_90.mov")
    bench.publish(spec, later)
    bench.host()
    bench.wait_ended(later)
    bench.read(1.0)
    assert len(bench.frames(spec)) == 3
    bench.end(spec)


def test_what_crashes_at_one_place_is_given_up_with_a_reason(make_bench: Any, clip: Path) -> None:
    bench = make_bench(reader_restarts=1)
    spec = bench.spec(clip, lane="live", realtime=True, fps=0.001)
    bench.host()
    bench.publish(spec)
    killed: set[int] = set()

    def given_up() -> bool:
        if "in_progress" in bench.states(spec) and bench.frames(spec):
            for pid in set(reader_pids()) - killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        return bool(bench.ended(spec))

    bench.until(given_up, 60)
    end = bench.end(spec)
    assert end.state == "failure"
    assert "signal 9" in (end.error or "")
    assert end.problems[-1].reason == end.error
    assert len(killed) >= 2
    assert end.counts.published == len(bench.frames(spec)) == end.counts.read
    bench.publish(follow := bench.spec(clip, fps=1))
    bench.wait_ended(follow)
    assert bench.end(follow).state == "done"


def test_a_reader_that_hangs_is_ended(make_bench: Any, clip: Path) -> None:
    bench = make_bench(stall_timeout_s=12.0, reader_restarts=0)
    spec = bench.spec(clip)
    bench.host()
    bench.publish(spec)
    bench.until(progressed(bench, spec, 50))
    (pid,) = reader_pids()
    os.kill(pid, signal.SIGSTOP)
    bench.wait_ended(spec)
    assert bench.end(spec).state == "failure"
    assert "got no further for 12 s" in (bench.end(spec).error or "")


@pytest.mark.parametrize("with_readers", [False, True])
def test_a_host_that_freezes_loses_its_streams_to_another_and_its_readers_end(
    make_bench: Any, clip: Path, with_readers: bool
) -> None:
    bench = make_bench(batch_readers=4)
    specs = [bench.spec(clip, lane="live", realtime=True, loop=True, fps=5) for _ in range(6)]
    frozen = bench.host_process()
    bench.publish(*specs)
    bench.until(lambda: all(len(bench.frames(s)) >= 5 for s in specs))
    held = [psutil.Process(frozen.pid)]
    if with_readers:  # they wake before it does, with what they had in hand
        held = [*held[0].children(recursive=True), *held]
    for process in held:
        process.suspend()
    bench.host()
    before = {s.stream_id: len(bench.frames(s)) for s in specs}
    bench.until(lambda: all(len(bench.frames(s)) >= before[s.stream_id] + 60 for s in specs), 90)
    for process in held:
        process.resume()
    now = {s.stream_id: len(bench.frames(s)) for s in specs}
    bench.until(lambda: all(len(bench.frames(s)) >= now[s.stream_id] + 20 for s in specs), 90)
    for spec in specs:
        frames = counted_once(bench.frames(spec))
        in_flight = len(bench.frames(spec)) - len(frames)
        assert in_flight <= int(with_readers), "what was on its way when a reader froze, and no more"
        assert [f.seq for f in frames] == list(range(len(frames))), "never two readers of one stream"
        assert all(a.media_s < b.media_s and a.index < b.index for a, b in pairwise(frames))


def on_each_partition(bench: Any, many: int = 1) -> list[StreamId]:
    """Streams of which each partition has so many: whoever gets partitions gets streams."""
    partitions = bench.settings.kafka.partitions
    found: dict[int, list[StreamId]] = {number: [] for number in range(partitions)}
    while any(len(streams) < many for streams in found.values()):
        stream = new_stream_id()
        streams = found[partition_of(str(stream).encode(), partitions)]
        if len(streams) < many:
            streams.append(stream)
    return [stream for streams in found.values() for stream in streams]


def test_two_hosts_share_the_streams_and_each_is_read_once(bench: Any, clip: Path) -> None:
    bench.host_process(1)
    bench.host_process(2)
    bench.until(lambda: len(bench.members()) == 2, what="both hosts are members")
    specs = [bench.spec(clip, fps=5, stream_id=stream) for stream in on_each_partition(bench, 2)]
    bench.publish(*specs)
    bench.wait_ended(*specs)
    for spec in specs:
        assert [f.seq for f in bench.frames(spec)] == list(range(100))
        bench.end(spec)
    assert len({status.host for spec in specs for status in bench.statuses[spec.stream_id]}) == 2


def test_a_host_that_joins_takes_its_share_and_leaves_it_when_it_dies(bench: Any, clip: Path) -> None:
    specs = [
        bench.spec(clip, lane="live", realtime=True, loop=True, fps=5, stream_id=stream)
        for stream in on_each_partition(bench)
    ]

    def hosts() -> list[str]:
        return [bench.statuses[spec.stream_id][-1].host for spec in specs]

    def all_go_on() -> None:
        before = [len(bench.frames(spec)) for spec in specs]
        bench.until(lambda: all(len(bench.frames(s)) >= b + 10 for s, b in zip(specs, before, strict=True)), 90)

    bench.host_process(1)
    bench.publish(*specs)
    bench.until(lambda: all(len(bench.frames(spec)) >= 5 for spec in specs))
    (first,) = set(hosts())
    alone = set(reader_pids())
    second = bench.host_process(2)
    bench.until(lambda: len(set(hosts())) == 2, 90, "the second host reads as well")
    all_go_on()
    kept = hosts().count(first)
    assert 0 < kept < len(specs)
    assert len(alone & set(reader_pids())) == kept, "what stays where it is is not stopped"
    second.kill()
    second.wait()
    bench.processes.remove(second)
    bench.until(lambda: set(hosts()) == {first}, 90, "the first has them all again")
    all_go_on()
    for spec in specs:
        frames = bench.frames(spec)
        assert [f.seq for f in frames] == list(range(len(frames))), "no number twice, and none left out"
