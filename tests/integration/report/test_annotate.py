"""Real files drawn on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from core.errors import UnsupportedMedia
from infra.report.annotate import annotate
from infra.report.result import Ledger, Result, Track, TrackBox, Video
from tests.unit.report.results import make_result


def _result(width: int, height: int, rotation: int = 0, tracks: tuple[Track, ...] = ()) -> Result:
    return Result("t", Video("v", width, height, 30.0, rotation=rotation), Ledger(30, 0, 30, 30), tracks=tracks)


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [
        ("firefox/street.mp4", (640, 480), 109),
        ("firefox/resolution-change.webm", (60, 40), 197),
        ("iscc/demo.gif", (176, 144), 120),
        ("iscc/demo.ogv", (176, 144), 366),
        ("decord/corrupted.mp4", (1280, 720), 49),
        ("torchcodec/h265_10bits.mp4", (200, 200), 30),
    ],
)
def test_as_many_frames_come_out_as_go_in(
    shared: Path, tmp_path: Path, name: str, size: tuple[int, int], frames: int
) -> None:
    told: list[int] = []
    result = msgspec.structs.replace(make_result(5, frames=frames), video=Video(name, *size, 30.0, frames))
    written = annotate(shared / "data/videos" / name, result, tmp_path / "o.mp4", told.append)
    pictures = _frames(tmp_path / "o.mp4")
    assert written == len(pictures) == frames == told[-1]
    assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)}


def test_the_video_keeps_its_own_time(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/videos/firefox/street.mp4"
    annotate(source, _result(640, 480), tmp_path / "o.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "o.mp4")) as after:
        times = [[float(frame.time) for frame in file.decode(video=0)] for file in (before, after)]
    assert np.diff(times[1]) == pytest.approx(np.diff(times[0]), abs=0.002)


@pytest.mark.parametrize(
    ("name", "rotation", "size"), [("video_90.mov", 90, (320, 568)), ("video_0.mov", 0, (568, 320))]
)
def test_a_turned_video_is_upright(
    shared: Path, tmp_path: Path, name: str, rotation: int, size: tuple[int, int]
) -> None:
    annotate(shared / "data/videos/decord" / name, _result(*size, rotation), tmp_path / "o.mp4")
    with av.open(str(shared / "data/videos/decord" / name)) as container:
        coded = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
    drawn = _frames(tmp_path / "o.mp4")[0].astype(float)
    assert np.abs(drawn - np.rot90(coded, -rotation // 90)).mean() < 12


def test_odd_sizes_are_made_even(shared: Path, tmp_path: Path) -> None:
    annotate(shared / "data/videos/decord/unordered.mov", _result(51, 33), tmp_path / "o.mp4")
    assert _frames(tmp_path / "o.mp4")[0].shape == (32, 50, 3)


def test_a_box_is_drawn_where_the_track_is(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/videos/firefox/street.mp4"
    boxes = tuple(TrackBox(f, f / 30, (0.25, 0.25, 0.75, 0.75), 0.9) for f in range(10))
    track = Track(1, "car", 0.9, 0, 9, 0.0, 0.3, boxes)
    annotate(source, _result(640, 480), tmp_path / "plain.mp4")
    annotate(source, _result(640, 480, tracks=(track,)), tmp_path / "drawn.mp4")
    plain, drawn = _frames(tmp_path / "plain.mp4"), _frames(tmp_path / "drawn.mp4")
    changed = np.abs(drawn[5].astype(int) - plain[5]).max(axis=2) > 60
    assert changed[200:280, 157:164].mean() > 0.3  # its left edge
    assert changed[:80].mean() < 0.01
    assert (np.abs(drawn[40].astype(int) - plain[40]).max(axis=2) > 60).mean() < 0.01


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_cannot_be_read_leaves_no_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(UnsupportedMedia, match=r"v\.mp4"):
        annotate(tmp_path / "v.mp4", _result(64, 64), tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()


def test_a_file_without_pictures_or_size_is_refused(shared: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(UnsupportedMedia, match="no video"):
        annotate(tmp_path / "sound.wav", _result(64, 64), tmp_path / "o.mp4")
    with pytest.raises(UnsupportedMedia):
        annotate(shared / "data/videos/firefox/street.mp4", _result(0, 0), tmp_path / "o.mp4")


def test_a_header_without_a_frame_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "v.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        for i in range(5):
            packet = av.Packet(b"this is no picture" * 20)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, stream.time_base or Fraction(1, 10)
            container.mux(packet)
    with pytest.raises(UnsupportedMedia, match="no frame of it can be decoded"):
        annotate(tmp_path / "v.avi", _result(64, 64), tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()
