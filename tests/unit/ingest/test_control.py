"""Orders, leases, lines, and what a run has on its topic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from ingest_fakes import STREAM, FakeClock, FakeSource, spec

from core.errors import Backlogged, BadMessage
from core.ids import Run
from core.messages import IngestCounts, RunEnd
from core.settings import Settings
from ingest import progress
from ingest.closing import settled
from ingest.control import LEASE_S, Control
from ingest.ledger import Ledger
from ingest.progress import Checkpoint
from ingest.protocol import Report, Start, decode_report, decode_start, encode, settings_for_reader
from ingest.reader import Reader, lines_of
from ingest.reader_process import Program, ReaderProcess
from ingest.reading import Resume
from ingest.recover import BeginMark, FrameMark, Standing


def left(control: Control) -> bool:
    """Whether the lease has ended, for whoever waits and for whoever asks."""
    ending = threading.Thread(target=control.until_left, daemon=True)
    ending.start()
    ending.join(0.05)
    assert ending.is_alive() == control.leased
    return not control.leased


def test_a_lease_lapses_however_the_orders_stand() -> None:
    clock = FakeClock()
    control = Control(clock)
    control.tell("stop")
    clock.now += LEASE_S - 1
    assert not left(control)
    clock.now += 1
    assert left(control)


def test_a_reader_that_is_to_leave_does_so_at_once() -> None:
    control = Control(FakeClock())
    waiting = threading.Thread(target=control.until_left, daemon=True)
    waiting.start()
    control.hear(["leave\n", "alive\n"])
    waiting.join(10)
    assert not waiting.is_alive()


def test_the_hosts_words_renew_stop_and_suspend() -> None:
    clock = FakeClock()

    def words():
        for _ in range(5):
            clock.now += LEASE_S - 1
            yield "alive\n"
            assert not left(control)
        yield "nonsense\n"
        yield "stop\n"
        assert control.order == "stop"
        yield "suspend\n"

    control = Control(clock)
    control.hear(words())
    assert control.order == "stop", "a stop is not taken back, not even by the end of the words"


@pytest.mark.parametrize("words", [["suspend\n"], []])
def test_a_host_that_suspends_or_is_gone_leaves_the_run(words: list[str]) -> None:
    control = Control(FakeClock())
    control.hear(words)
    assert control.order == "suspend"
    assert not control.wait(100.0), "no waiting against an order"


def test_waiting_is_getting_on() -> None:
    control = Control(FakeClock())
    assert control.wait(0.0)
    assert control.beat == 1


def test_lines_are_cut_wherever_the_pipe_cut_them() -> None:
    source, sink = os.pipe()
    for part in (b"one\ntw", b"o\n", b"three"):
        os.write(sink, part)
    os.close(sink)
    assert list(lines_of(source)) == [b"one", b"two"]
    os.close(source)


def test_start_and_report_survive_the_pipe() -> None:
    start = Start(spec(), 2, "host", settings_for_reader(Settings()), Checkpoint(STREAM, Run(1), "live", next_seq=4))
    assert decode_start(encode(start)) == start
    assert Settings(**start.settings).ingest == Settings().ingest
    report = Report(7, 3, "done")
    assert decode_report(encode(report)) == report
    assert decode_report(b"a library's own print\n") is None


def test_settings_for_a_reader_hold_no_database() -> None:
    assert set(settings_for_reader(Settings())) == {"data_dir", "kafka", "media", "ingest", "telemetry"}


def test_checkpoints_survive_and_other_bytes_are_refused() -> None:
    checkpoint = Checkpoint(
        STREAM, Run(3), "batch", "done", 7, 8, 9, 1.5, IngestCounts(decoded=3), error="why", gated=4, reached_s=1.75
    )
    assert progress.decode(progress.encode(checkpoint)) == checkpoint
    with pytest.raises(BadMessage):
        progress.decode(b"{")


def test_a_standing_is_the_checkpoint_and_every_record_after_it() -> None:
    fresh = Standing.of(Checkpoint(STREAM, Run(1), "batch", offset=5))
    assert (fresh.begun, fresh.next_seq, fresh.offset) == (False, 0, 5)
    begun = fresh.with_mark(BeginMark(STREAM, Run(1)))
    assert (begun.begun, begun.next_seq) == (True, 0)
    third = begun.with_mark(FrameMark(STREAM, Run(1), 2, 20, 2.0))
    repeated = third.with_mark(FrameMark(STREAM, Run(1), 1, 10, 1.0))
    assert (repeated.next_seq, repeated.last) == (3, third.last), "a repeat does not set it back"
    end = RunEnd(STREAM, Run(1), "done", IngestCounts(), 0)
    assert repeated.with_mark(end).end == end
    later = Standing.of(Checkpoint(STREAM, Run(1), "batch", next_seq=3, index=20, media_s=2.0))
    assert (later.begun, later.next_seq, later.last) == (True, 3, FrameMark(STREAM, Run(1), 2, 20, 2.0))


def test_counts_are_settled_by_what_is_on_the_topic() -> None:
    before = IngestCounts(decoded=100, sampled_out=50, read=50, published=40, dropped={"backlog": 4})
    counts = settled(before, Standing.of(Checkpoint(STREAM, Run(1), "live", next_seq=45)))
    assert counts == IngestCounts(decoded=99, sampled_out=50, read=49, published=45, dropped={"backlog": 4})


def stood(next_seq: int, index: int, gated: int = 0) -> Standing:
    return Standing.of(Checkpoint(STREAM, Run(1), "live", next_seq=next_seq, index=index, gated=gated))


def test_what_was_passed_by_since_the_last_checkpoint_is_counted() -> None:
    every = IngestCounts(decoded=10, read=10, published=10)
    assert settled(every, stood(12, 19)) == IngestCounts(decoded=20, read=20, published=12, dropped={"backlog": 8})
    third = IngestCounts(decoded=9, sampled_out=6, read=3, published=3)
    assert settled(third, stood(5, 14)) == IngestCounts(decoded=15, sampled_out=10, read=5, published=5)


def test_what_is_read_again_is_not_counted_twice() -> None:
    told = IngestCounts(decoded=30, read=30, published=20, dropped={"backlog": 10})
    kept = IngestCounts(decoded=25, read=25, published=20, dropped={"backlog": 5})
    assert settled(told, stood(20, 24), again=True) == kept
    assert settled(told, stood(20, 24)) == told, "a camera's frames do not come again"
    third = IngestCounts(decoded=9, sampled_out=6, read=3, published=3)
    assert settled(third, stood(3, 6), again=True) == IngestCounts(decoded=7, sampled_out=4, read=3, published=3)
    assert settled(told, Standing(), again=True) == IngestCounts()


def test_what_was_held_back_up_to_the_newest_frame_is_told_by_the_frames() -> None:
    stands = Standing.of(Checkpoint(STREAM, Run(1), "live", next_seq=3, index=9, media_s=0.9, gated=7, reached_s=1.3))
    assert (stands.gated, stands.reached_s) == (7, 1.3)
    fourth = stands.with_mark(FrameMark(STREAM, Run(1), 3, 19, 1.9, held=9))
    assert (fourth.gated, fourth.reached_s, fourth.next_seq) == (16, 1.9, 4)
    assert fourth.with_mark(FrameMark(STREAM, Run(1), 3, 19, 1.9, held=9)) == fourth, "sent again"
    assert not FrameMark(STREAM, Run(1), 3, 19, 1.9, held=20).possible


def test_frames_held_back_since_the_last_checkpoint_are_counted_as_what_they_are() -> None:
    every = IngestCounts(decoded=10, read=10, gated=5, published=5)
    stands = stood(5, 9, gated=5).with_mark(FrameMark(STREAM, Run(1), 5, 19, 1.9, held=9))
    assert settled(every, stands) == IngestCounts(decoded=20, read=20, gated=14, published=6)
    third = IngestCounts(decoded=30, sampled_out=20, read=10, gated=5, published=5)
    stands = stood(5, 29, gated=5).with_mark(FrameMark(STREAM, Run(1), 5, 59, 5.9, held=9))
    assert settled(third, stands) == IngestCounts(decoded=60, sampled_out=40, read=20, gated=14, published=6)


def test_frames_held_back_behind_the_newest_one_are_a_cameras_and_come_again_from_a_file() -> None:
    counts = IngestCounts(decoded=20, read=20, gated=14, published=6)
    assert settled(counts, stood(6, 15, gated=10)) == counts
    again = IngestCounts(decoded=16, read=16, gated=10, published=6)
    assert settled(counts, stood(6, 15, gated=10), again=True) == again


@pytest.mark.parametrize(("gated", "held", "held_s"), [(14, 4, Fraction("0.4")), (10, 0, Fraction(0))])
def test_a_camera_goes_on_behind_all_that_it_gave(gated: int, held: int, held_s: Fraction) -> None:
    told = Checkpoint(STREAM, Run(1), "live", next_seq=6, index=15, media_s=1.5, gated=10, reached_s=1.9)
    stands = Standing.of(told)
    counts = settled(IngestCounts(decoded=6 + gated, read=6 + gated, gated=gated, published=6), stands)
    camera: Any = SimpleNamespace(_spec=spec(lane="live", url="rtsp://camera.example/1", started_ms=2**42))
    resume = Reader._resume(camera, stands, FakeSource(), counts)
    assert resume == Resume(index=6 + gated, begin=Fraction(2), held=held, held_s=held_s)


def test_a_ledger_goes_on_from_the_counts_it_is_given() -> None:
    ledger = Ledger("live", IngestCounts(decoded=3, sampled_out=1, read=2, published=1, dropped={"backlog": 1}))
    ledger.decoded(1.0, read=True)
    ledger.dropped(Backlogged)
    ledger.decoded(1.1, read=True)
    ledger.gated()
    ledger.decoded(1.2, read=False)
    assert ledger.counts == IngestCounts(decoded=6, sampled_out=2, read=4, gated=1, published=1, dropped={"backlog": 2})


START = Start(spec(), 0, "host", {})


def reader(program: Program, stall_s: float = 60.0, now: FakeClock | None = None) -> ReaderProcess:
    return ReaderProcess(START, stall_s, program, now or FakeClock())


def ends_well(orders: int) -> int:
    next(lines_of(orders))
    print('{"beat":1,"decoded":5,"ended":"done"}')
    return 0


def is_suspended(_: int) -> int:
    return 3


def wants_another_try(_: int) -> int:
    return 75


def raises(_: int) -> int:
    raise ValueError("a decoder's")


def crashes(_: int) -> int:
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def hangs(_: int) -> int:
    time.sleep(600)
    return 0


def test_a_death_says_whether_the_run_ended_and_what_ended_the_process() -> None:
    death = reader(ends_well).end(30)
    assert (death.ended, death.crash, death.decoded) == (True, None, 5)
    assert reader(is_suspended).end(30).crash is None
    assert reader(wants_another_try).end(30).crash is None
    assert reader(raises).end(30).crash == "ended with exit code 1"
    assert reader(crashes).end(30).crash == "was ended by signal 11"


def test_orders_to_a_reader_that_is_gone_hurt_nobody() -> None:
    gone = reader(is_suspended)
    gone.end(30)
    gone.alive()
    gone.order("stop")
    gone.order("suspend")
    assert gone.ordered == "stop"
    assert gone.poll() is not None


def test_a_reader_that_does_not_end_in_time_is_ended() -> None:
    deaf = reader(hangs)
    assert deaf.poll() is None
    deaf.order("suspend")
    assert deaf.end(0.01).crash == "was ended by signal 9"


def test_a_reader_without_a_beat_is_ended() -> None:
    clock = FakeClock()
    hung = reader(hangs, 5.0, clock)
    clock.now += 4
    hung.alive()
    assert hung.poll() is None
    clock.now += 2
    hung.alive()
    assert hung.end(30).crash == "got no further for 5 s"


HOST_OF_ONE = """
import sys
sys.path[:0] = {path!r}
from test_control import START, hangs
from ingest.reader_process import Program, ReaderProcess
print(ReaderProcess(START, 60.0, hangs).pid, flush=True)
sys.stdin.read()
"""


def test_readers_end_with_their_host_however_that_ended() -> None:
    script = HOST_OF_ONE.format(path=sys.path)
    host = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert host.stdout is not None
    assert host.stdin is not None
    with host.stdin, host.stdout:
        reader = psutil.Process(int(host.stdout.readline()))
        template = reader.parent()
        assert template is not None
        while reader.name() != "reader":  # from then on it does not look whether it has a host
            time.sleep(0.01)
        host.kill()
        host.wait()
        psutil.wait_procs([reader, template], 10)
    assert not reader.is_running()
    assert not template.is_running()
