"""Real cameras, and such that drip, say nothing, drop, change their size and their clock, or lead elsewhere."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from core.errors import Forbidden, UnsupportedMedia
from core.messages import Autorestart, Frame, RunBegin
from core.settings import Settings
from ingest.live_source import LiveSource
from ingest.sampling import Timeline
from tests.fixtures_cameras import (
    FFMPEG,
    Peer,
    RtspCamera,
    hls_camera,
    mjpeg,
    packets_file,
    part,
    peer,
    rtmp_camera,
    rtsp_camera,
    transport_stream,
)

OFTEN = Autorestart(attempts=1000, delay_s=0.2)


def made(path: Path, size: str = "320x180", seconds: int = 4, *more: str) -> Path:
    """A clip of a moving test picture, ten frames a second, with a key frame each second."""
    picture = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=10:duration={seconds}"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10"]
    subprocess.run([*FFMPEG, "-y", *picture, *coded, *more, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    made(folder / "wide.mp4")
    made(folder / "tall.mp4", "160x240")
    made(folder / "now.ts")
    made(folder / "later.ts", "320x180", 4, "-output_ts_offset", "7200")
    for name in ("wide", "tall"):
        packets_file(folder / f"{name}.mp4", folder / name)
    return folder


@pytest.fixture
def rtsp(clips: Path) -> Iterator[RtspCamera]:
    with rtsp_camera(clips / "wide", clips / "tall") as camera:
        yield camera


def settings(**ingest: Any) -> Settings:
    return Settings(ingest={"allow_loopback": True, **ingest})


def opened(url: str, **more: Any) -> LiveSource:
    return LiveSource.open(url, settings(), None, **more)


def shapes(source: LiveSource, count: int) -> list[tuple[int, ...]]:
    """Of the first frames; then the connection is closed."""
    frames = source.frames(print)
    try:
        return [frame.rgb().shape for frame in islice(frames, count)]
    finally:
        frames.close()  # type: ignore[attr-defined]
        source.close()


# -- each kind, as it should be


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_rtsp_camera_is_watched(rtsp: RtspCamera, transport: Any) -> None:
    assert shapes(opened(rtsp.url, transport=transport), 25) == [(180, 320, 3)] * 25


def test_a_clip_of_the_test_data_is_shown_as_it_is(shared: Path, tmp_path: Path) -> None:
    packets = packets_file(shared / "data/videos/intel/car-detection.mp4", tmp_path / "cars")
    with rtsp_camera(packets) as camera:
        source = opened(camera.url)
        assert (source.probe.codec, source.probe.duration_s) == ("h264", None)
        assert len(set(shapes(source, 10))) == 1


@pytest.mark.parametrize("way", [[], ["--basic"]], ids=["digest", "basic"])
def test_a_camera_that_asks_who_watches_is_told(clips: Path, way: list[str]) -> None:
    with rtsp_camera(clips / "wide", options=["--user", "viewer:s3 cret", *way]) as camera:
        known = camera.url.replace("rtsp://", "rtsp://viewer:s3%20cret@")
        assert shapes(opened(known), 5) == [(180, 320, 3)] * 5
        for wrong in (camera.url, camera.url.replace("rtsp://", "rtsp://viewer:guess@")):
            with pytest.raises(UnsupportedMedia) as refused:
                opened(wrong)
            assert "401" in str(refused.value)
            assert "guess" not in str(refused.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed by itself, as cameras' are, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    asked = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=camera"]
    subprocess.run(["openssl", "req", *asked, "-keyout", folder / "key", "-out", folder / "certificate"], check=True)
    both = folder / "both.pem"
    both.write_text((folder / "certificate").read_text() + (folder / "key").read_text())
    return both


def test_a_camera_that_speaks_tls_is_watched(clips: Path, certificate: Path) -> None:
    secured = ["--tls", str(certificate), "--user", "viewer:secret"]
    with rtsp_camera(clips / "wide", options=secured) as camera:
        assert shapes(opened(camera.url.replace("rtsp://", "rtsps://viewer:secret@")), 10) == [(180, 320, 3)] * 10
        with pytest.raises(UnsupportedMedia):
            opened(camera.url.replace("rtsp://", "rtsp://viewer:secret@"), timeout_s=2.0)


def test_an_rtmp_camera_is_watched(clips: Path) -> None:
    with rtmp_camera(clips / "wide.mp4") as url:
        assert shapes(opened(url), 15) == [(180, 320, 3)] * 15


def test_an_hls_camera_is_watched_from_near_its_end(clips: Path, tmp_path: Path) -> None:
    with hls_camera(clips / "wide.mp4", tmp_path / "hls") as url:
        source = opened(url)
        assert source.times == "live"
        assert shapes(source, 25) == [(180, 320, 3)] * 25


def test_an_mjpeg_camera_is_watched_as_its_pictures_come() -> None:
    with peer(mjpeg(fps=5)) as port:
        begun = time.monotonic()
        source = opened(f"http://127.0.0.1:{port}/video")
        assert source.times == "missing", "FFmpeg would count 25 to a second"
        assert shapes(source, 10) == [(48, 64, 3)] * 10
        assert time.monotonic() - begun < 10, "small pictures are not gathered to fill a buffer"


# -- misbehaving ones


def refused_within(seconds: float, url: str, why: str, **more: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(UnsupportedMedia, match=why):
        opened(url, timeout_s=1.0, **more)
    assert time.monotonic() - begun < seconds


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "tcp"])
def test_a_camera_that_says_nothing_is_given_up(scheme: str) -> None:
    with peer(Peer.silence) as port:
        refused_within(20, f"{scheme}://127.0.0.1:{port}/a/b" if scheme != "tcp" else f"tcp://127.0.0.1:{port}", ".")


def test_a_web_camera_that_says_nothing_is_given_up() -> None:
    with peer(Peer.silence) as port:
        refused_within(5, f"http://127.0.0.1:{port}/", "sent nothing for 1 s")


def test_a_header_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.connection.FIRST_PICTURE_S", 2.0)
    header = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000
    with peer(lambda viewer: viewer.drip(header)) as port:
        refused_within(10, f"http://127.0.0.1:{port}/", "within 3 s")


def test_pictures_that_drip_are_given_up() -> None:
    def drip(viewer: Peer) -> None:
        viewer.request()
        viewer.say(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        viewer.say(part(0) + part(1) + part(2))
        viewer.drip(part(3) * 100)

    with peer(drip) as port:
        source = opened(f"http://127.0.0.1:{port}/", timeout_s=1.0)
        begun = time.monotonic()
        assert len(list(source.frames(print))) <= 4
        assert time.monotonic() - begun < 5
        assert "within 1 s" in str(source.broken)


def test_a_camera_that_falls_silent_is_lost(rtsp: RtspCamera) -> None:
    source = opened(rtsp.url, timeout_s=1.0)
    frames = source.frames(print)
    next(frames)
    rtsp.tell("stall")
    begun = time.monotonic()
    assert len(list(frames)) < 60
    assert time.monotonic() - begun < 10
    assert source.lost is not None
    assert source.broken == source.lost
    rtsp.tell("go")


def test_a_camera_that_is_set_to_another_size_is_followed(rtsp: RtspCamera) -> None:
    source = opened(rtsp.url)
    frames = source.frames(print)
    seen = {next(frames).rgb().shape}
    rtsp.tell("show 1")
    for frame in islice(frames, 60):
        seen.add(frame.rgb().shape)
        if len(seen) == 2:
            break
    frames.close()  # type: ignore[attr-defined]
    source.close()
    assert seen == {(180, 320, 3), (240, 160, 3)}


def test_a_camera_that_sets_its_clock_goes_on(clips: Path) -> None:
    now, later = (clips / "now.ts").read_bytes(), (clips / "later.ts").read_bytes()
    with peer(transport_stream(now, later, now)) as port:
        source = opened(f"http://127.0.0.1:{port}/cam")
        line, began, given = Timeline(Fraction(1, 10)), time.monotonic(), []
        for frame in source.frames(print):
            given.append(float(line.advance(frame.pts, Fraction(round((time.monotonic() - began) * 1000), 1000))))
    assert source.times == "live"
    assert len(given) > 100
    assert all(a < b for a, b in pairwise(given))
    assert given[-1] < 60, "two hours ahead are not believed"


# -- where they may not lead


def redirecting(place: str, seen: list[bytes]) -> Callable[[Peer], None]:
    def answer(viewer: Peer) -> None:
        seen.append(viewer.request())
        viewer.say(f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {place}\r\n\r\n".encode())
        viewer.silence()

    return answer


def test_a_camera_leads_nobody_to_what_may_not_be_opened() -> None:
    seen: list[bytes] = []
    with peer(redirecting("rtsp://169.254.169.254/latest", seen)) as port, pytest.raises(Forbidden, match="metadata"):
        opened(f"rtsp://127.0.0.1:{port}/camera")
    assert seen[0].startswith(b"OPTIONS ")


def test_a_camera_may_lead_to_another(rtsp: RtspCamera) -> None:
    seen: list[bytes] = []
    with peer(redirecting(rtsp.url, seen)) as port:
        assert shapes(opened(f"rtsp://user:pass@127.0.0.1:{port}/camera"), 5) == [(180, 320, 3)] * 5
    assert len(seen) == 1


def test_ffmpeg_connects_to_what_was_checked_whatever_the_name_says_by_then(
    rtsp: RtspCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads to the camera once; whoever asked again would be sent to a port where nothing is."""
    answers = itertools.chain([("127.0.0.1",)], itertools.repeat(("169.254.169.254",)))
    monkeypatch.setattr("core.addresses.resolve.__defaults__", (lambda *_: next(answers),))
    source = opened(f"rtsp://camera.example:{rtsp.port}/camera")
    assert shapes(source, 3) == [(180, 320, 3)] * 3


# -- through a host


def states(bench: Any, spec: Any) -> list[str]:
    found: list[str] = bench.states(spec)
    return found


def told(bench: Any, spec: Any, state: str) -> int:
    return states(bench, spec).count(state)


def in_order(frames: list[Frame]) -> None:
    assert [f.seq for f in frames] == list(range(len(frames)))
    assert all(a.media_s < b.media_s and a.index < b.index for a, b in pairwise(frames))


@pytest.mark.kafka
def test_a_camera_that_drops_again_and_again_is_one_run(bench: Any, rtsp: RtspCamera) -> None:
    spec = bench.spec(rtsp.url, lane="live", fps=5, autorestart=OFTEN, timeout_s=3.0)
    bench.host()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 5)
    rtsp.tell("every 3")
    bench.until(lambda: told(bench, spec, "restart") >= 3 and states(bench, spec)[-1] == "in_progress", 60)
    bench.publish(replace(spec, desired="stop"))
    bench.wait_ended(spec)
    end, frames = bench.end(spec), bench.frames(spec)
    in_order(frames)
    assert end.state == "stop"
    assert end.counts.published == len(frames) == end.counts.read - sum(end.counts.dropped.values())
    assert end.counts.decoded == end.counts.read + end.counts.sampled_out
    assert len(end.problems) >= 3
    assert sum(isinstance(m, RunBegin) for m in bench.messages[spec.stream_id]) == 1
    found = states(bench, spec)
    assert found[:2] == ["pending", "in_progress"]
    assert {(a, b) for a, b in pairwise(found) if a == "restart"} == {("restart", "pending")}
    attempts = {s.attempt for s in bench.statuses[spec.stream_id] if s.state == "restart"}
    assert min(attempts) == 1 and max(attempts) <= 3, "the count begins anew with the frames between"


@pytest.mark.kafka
def test_a_camera_that_falls_silent_comes_back_in_its_run_and_at_its_new_size(bench: Any, rtsp: RtspCamera) -> None:
    spec = bench.spec(rtsp.url, lane="live", fps=5, autorestart=OFTEN, timeout_s=2.0)
    bench.host()
    bench.publish(spec)
    bench.until(lambda: len(bench.frames(spec)) >= 5)
    rtsp.tell("stall")
    bench.until(lambda: told(bench, spec, "restart") >= 1, 60)
    rtsp.tell("show 1")
    rtsp.tell("go")
    bench.until(lambda: bench.frames(spec)[-1].height == 240, 60)
    frames = bench.frames(spec)
    in_order(frames)
    assert {(f.width, f.height) for f in frames} == {(320, 180), (160, 240)}
    gap = max(b.media_s - a.media_s for a, b in pairwise(frames))
    assert gap > 1.5, "time that passed without pictures has passed"


@pytest.mark.kafka
def test_a_camera_that_never_answers_fails_when_its_attempts_are_over(bench: Any) -> None:
    again = Autorestart(attempts=2, delay_s=0.1)
    camera = bench.spec("rtsp://127.0.0.1:1/a", lane="live", autorestart=again)
    file = bench.spec("http://127.0.0.1:1/a.mp4", lane="live", autorestart=again)
    alone = bench.spec("rtsp://user:secret@127.0.0.1:1/a", lane="live")
    bench.host()
    bench.publish(camera, file, alone)
    bench.wait_ended(camera, file, alone)
    assert states(bench, camera) == ["pending", "restart", "pending", "restart", "pending", "failure"]
    assert states(bench, file) == states(bench, alone) == ["pending", "failure"]
    for spec in (camera, file, alone):
        assert bench.end(spec).state == "failure"
        assert "secret" not in str(bench.end(spec).error)
        assert isinstance(bench.messages[spec.stream_id][0], RunBegin)


@pytest.mark.kafka
def test_a_decoders_crash_costs_its_stream_alone_and_is_an_attempt(bench: Any, rtsp: RtspCamera) -> None:
    specs = [bench.spec(rtsp.url, lane="live", fps=5, autorestart=OFTEN) for _ in range(2)]
    bench.host()
    bench.publish(*specs)
    bench.until(lambda: all(len(bench.frames(s)) >= 5 for s in specs))
    readers = [p for p in psutil.Process().children(recursive=True) if p.name() == "reader"]
    assert len(readers) == 2
    os.kill(readers[0].pid, signal.SIGSEGV)
    bench.until(lambda: any("restart" in states(bench, s) for s in specs))
    before = [len(bench.frames(s)) for s in specs]
    bench.until(lambda: all(len(bench.frames(s)) >= n + 10 for s, n in zip(specs, before, strict=True)))
    assert sorted("restart" in states(bench, s) for s in specs) == [False, True]
    for spec in specs:
        in_order(bench.frames(spec))
    (crashed,) = [s for s in specs if "restart" in states(bench, s)]
    (status,) = [s for s in bench.statuses[crashed.stream_id] if s.state == "restart"]
    assert (status.attempt, status.error) == (1, "the reader was ended by signal 11")


@pytest.mark.kafka
def test_a_silent_camera_is_stopped_while_it_is_waited_for(bench: Any) -> None:
    with peer(Peer.silence) as port:
        spec = bench.spec(
            f"rtsp://127.0.0.1:{port}/a", lane="live", autorestart=Autorestart(delay_s=60.0), timeout_s=1.0
        )
        bench.host()
        bench.publish(spec)
        bench.until(lambda: told(bench, spec, "restart") >= 1)
        begun = time.monotonic()
        bench.publish(replace(spec, desired="stop"))
        bench.wait_ended(spec)
        assert time.monotonic() - begun < 15
    assert bench.end(spec).state == "stop"
