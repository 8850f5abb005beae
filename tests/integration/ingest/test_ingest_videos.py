"""Every video and every hostile file, through a real host and a real broker."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from core.messages import Frame, RunBegin, RunEnd

pytestmark = pytest.mark.kafka


def counted(path: Path) -> int:
    """Frames of the first video stream, as ffprobe decodes them."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-count_frames", "-show_entries"]
    done = subprocess.run(
        [*command, "stream=nb_read_frames", "-of", "json", str(path)], capture_output=True, text=True, check=True
    )
    return int(json.loads(done.stdout)["streams"][0]["nb_read_frames"])


def files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.timeout(600)
def test_a_video_gives_the_frames_that_ffprobe_counts(bench: Any, shared: Path) -> None:
    # long ones of one kind are left to tests/integration/stack, where every video is read
    videos = [v for v in files_under(shared / "data" / "videos") if v.parent.name not in ("iscc", "asl_gestures")]
    assert len(videos) > 25
    specs = {path: bench.spec(path) for path in videos}
    bench.publish(*specs.values())
    bench.host()
    bench.wait_ended(*specs.values(), timeout_s=560)
    wrong = {}
    for path, spec in specs.items():
        frames, end, truth = bench.frames(spec), bench.end(spec), counted(path)
        messages = bench.messages[spec.stream_id]
        assert isinstance(messages[0], RunBegin)
        assert isinstance(messages[-1], RunEnd)
        assert [f.seq for f in frames] == [f.index for f in frames] == list(range(len(frames)))
        assert all(a.media_s < b.media_s for a, b in pairwise(frames))
        assert frames[0].media_s == 0.0
        assert {(f.width, f.height) for f in frames} == {(frames[0].width, frames[0].height)}
        assert end.counts.decoded == end.counts.read == end.counts.published == len(frames)
        assert end.video is not None
        assert end.video.frames == len(frames)
        assert (end.video.width / end.video.height) == pytest.approx(frames[0].width / frames[0].height, rel=0.02)
        bench.expect_states(spec, "pending", "in_progress", "done")
        if abs(len(frames) - truth) > 1:
            wrong[str(path)] = (len(frames), truth)
    assert wrong == {}
    damaged = bench.end(specs[shared / "data/videos/decord/corrupted.mp4"])
    assert damaged.state == "done"
    assert "cannot be decoded" in damaged.problems[0].reason
    assert 20 < damaged.problems[0].at_frame < 50


@pytest.mark.timeout(600)
def test_every_hostile_file_ends_cleanly_and_the_host_lives(bench: Any, shared: Path) -> None:
    files = files_under(shared / "data" / "hostile")
    assert len(files) > 40
    specs = [bench.spec(path) for path in files]
    host = bench.host()
    bench.publish(*specs)
    bench.wait_ended(*specs, timeout_s=560)
    for path, spec in zip(files, specs, strict=True):
        end = bench.end(spec)
        frames = bench.frames(spec)
        assert end.counts.published == len(frames), path
        if end.state == "failure":
            assert end.error, path
            assert not frames, path
        else:
            assert end.state == "done", path
            assert frames, path
            for frame in frames:
                height, width = simplejpeg.decode_jpeg(frame.jpeg).shape[:2]
                assert (width, height) == (frame.width, frame.height)
    after = bench.spec(shared / "data/videos/decord/video_0.mov")
    bench.publish(after)
    bench.wait_ended(after)
    assert len(bench.frames(after)) == 3
    assert host is bench.hosts[0][0]


def picture(frame: Frame) -> np.ndarray:
    return simplejpeg.decode_jpeg(frame.jpeg).astype(int)


def test_rotated_clips_come_out_upright(bench: Any, shared: Path) -> None:
    """The four clips hold one scene, each turned on the disk and turned back by its own orientation."""
    folder = shared / "data/videos/decord"
    specs = {degrees: bench.spec(folder / f"video_{degrees}.mov") for degrees in (0, 90, 180, 270)}
    forced = bench.spec(folder / "video_90.mov", rotation=0)
    bench.publish(*specs.values(), forced)
    bench.host()
    bench.wait_ended(*specs.values(), forced)
    for degrees, spec in specs.items():
        frames, end = bench.frames(spec), bench.end(spec)
        assert end.video.rotation == degrees
        command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", str(folder / f"video_{degrees}.mov")]
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-frames:v", "1", "-"]
        reference = subprocess.run([*command, *raw], capture_output=True, check=True).stdout
        expected = np.frombuffer(reference, np.uint8).reshape(end.video.height, end.video.width, 3).astype(int)
        assert (frames[0].height, frames[0].width) == expected.shape[:2], "FFmpeg's own upright picture"
        assert np.abs(picture(frames[0]) - expected).mean() < 4
        if degrees:
            assert np.abs(picture(frames[0]) - expected[::-1, ::-1]).mean() > 20, "a wrong turn would be seen"
    turned = picture(bench.frames(forced)[0])
    upright = picture(bench.frames(specs[90])[0])
    assert turned.shape[:2] == upright.shape[1::-1]
    assert np.abs(np.rot90(turned, -1) - upright).mean() < 6
