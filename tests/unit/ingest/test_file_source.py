"""Real files, whole and damaged, through the decoders."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from core.errors import LimitExceeded, UnsupportedMedia
from ingest import decode_decord
from ingest.decoded import NotDecoded
from ingest.file_source import FileSource
from ingest.luma import Luma, of_rgb
from ingest.picture import Size

LIMIT = 8192 * 8192
FOUR_SECONDS = "testsrc2=size=160x96:rate=30:duration=4"

SLOW_READER = """
import sys, time
from pathlib import Path
from psutil import Process
from ingest.file_source import FileSource
source = FileSource.open(Path(sys.argv[1]), 8192 * 8192, None)
before = Process().memory_info().rss
for number, frame in enumerate(source.frames(print)):
    frame.rgb()
    time.sleep(0.02)
    if number == 150:
        break
print(Process().memory_info().rss - before, flush=True)
"""
"""Bytes that a process grew by when it read 150 frames of a file at a camera's pace."""


def make(path: Path, *more: str, source: str = "testsrc2=size=160x96:rate=30:duration=2") -> Path:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, *more, str(path)]
    subprocess.run(command, check=True)
    return path


def opened(path: Path) -> FileSource:
    """As a reader opens it that has seen it crash: PyAV alone."""
    return FileSource.open(path, LIMIT, None, careful=True)


def read(path: Path, rotation: int | None = None, every: int = 1) -> tuple[FileSource, list[Any], list[str]]:
    """The source, (pts, pixels or None) of each frame, and the problems."""
    problems: list[str] = []
    source = FileSource.open(path, LIMIT, rotation)
    frames = []
    for frame in source.frames(problems.append):
        pixels = None
        if len(frames) % every == 0:
            try:
                pixels = frame.rgb()
            except NotDecoded:
                continue
        frames.append((frame.pts, pixels))
    return source, frames, problems


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.mov", "a.avi", "a.webm", "a.flv", "a.gif", "a.ts", "a.3gp", "a.ogv"]
)
def test_every_container_gives_its_frames_in_order_of_time(tmp_path: Path, name: str) -> None:
    more = {"a.3gp": ["-s", "176x144", "-c:v", "h263"], "a.webm": ["-c:v", "libvpx"], "a.ogv": ["-c:v", "libtheora"]}
    _, frames, problems = read(make(tmp_path / name, *more.get(name, [])), every=3)
    assert 59 <= len(frames) <= 61
    stamps = [pts for pts, _ in frames]
    assert stamps == sorted(set(stamps))
    assert problems == []


def test_decord_and_pyav_give_equal_pixels_so_either_may_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    by_decord, one, _ = read(path)
    monkeypatch.setattr(decode_decord, "open_checked", lambda *_: None)
    by_av, two, _ = read(path)
    assert (by_decord.decoder, by_av.decoder) == ("decord", "pyav")
    assert len(one) == len(two) == 60
    for (pts, pixels), (other_pts, other) in zip(one, two, strict=True):
        assert pts == other_pts
        assert np.array_equal(pixels, other)


@pytest.mark.parametrize("every", [1, 4])
def test_when_decord_stops_pyav_goes_on_at_that_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    path = make(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    _, whole, _ = read(path, every=every)
    real = decode_decord.open_checked

    class Failing:
        def __init__(self, reader: Any) -> None:
            self.reader, self.left = reader, 21

        def _step(self) -> None:
            self.left -= 1
            if self.left <= 0:
                raise decode_decord.decord.DECORDError("torn")

        def next(self) -> Any:
            self._step()
            return self.reader.next()

        def skip_frames(self, count: int) -> None:
            self._step()
            self.reader.skip_frames(count)

    monkeypatch.setattr(decode_decord, "open_checked", lambda *args: Failing(real(*args)))
    source, frames, _ = read(path, every=every)
    assert source.decoder == "decord, then pyav"
    assert [pts for pts, _ in frames] == [pts for pts, _ in whole]
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(frames, whole, strict=True) if a[1] is not None)


def test_a_file_read_slowly_is_not_decoded_ahead_without_bound(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.mp4",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        source="testsrc2=size=640x360:rate=30:duration=30",
    )
    grown = subprocess.run([sys.executable, "-c", SLOW_READER, str(path)], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 100 << 20


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.webm", "a.ts", "a.mjpg.mov"])
@pytest.mark.parametrize("until", ["0.3", "2.5", "3.97", "99"])
def test_a_file_is_entered_behind_what_is_not_needed(tmp_path: Path, name: str, until: str) -> None:
    more = {"a.webm": ["-c:v", "libvpx", "-g", "30"], "a.mjpg.mov": ["-c:v", "mjpeg"]}.get(
        name, ["-c:v", "libx264", "-g", "30", "-bf", "2"]
    )
    path = make(tmp_path / name, "-pix_fmt", "yuvj420p" if "mjpg" in name else "yuv420p", *more, source=FOUR_SECONDS)
    whole = [(f.pts, f.rgb()) for f in opened(path).frames(print)]
    first, *rest = [(f.pts, f.rgb()) for f in opened(path).frames(print, lambda: whole[0][0] + Fraction(until))]
    assert first[0] == whole[0][0]
    second = min(3, int(float(until)))  # there is a key frame each second, or more
    assert len(rest) <= len(whole) - max(1, 30 * second)
    assert sum(pts - first[0] > Fraction(until) for pts, _ in rest) == sum(
        pts - first[0] > Fraction(until) for pts, _ in whole
    )
    for (pts, pixels), (other_pts, other) in zip(rest[::-1], whole[::-1], strict=False):
        assert pts == other_pts
        assert np.array_equal(pixels, other)


def test_a_file_that_decord_began_is_not_entered_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5")
    whole = [frame.pts for frame in opened(path).frames(print)]
    real = decode_decord.decode
    monkeypatch.setattr(decode_decord, "decode", lambda *args: islice(real(*args), 20))
    source = FileSource.open(path, LIMIT, None)
    assert [frame.pts for frame in source.frames(print, lambda: whole[30])] == whole
    assert source.decoder == "decord, then pyav"


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", "-vf", "select='not(mod(n,7))+not(mod(n,5))'", "-fps_mode", "vfr")
    _, frames, _ = read(path)
    numbers = [n for n in range(60) if n % 7 == 0 or n % 5 == 0]
    assert [round(float(pts) * 30) for pts, _ in frames] == numbers


def test_audio_that_goes_on_longer_adds_no_frame(tmp_path: Path) -> None:
    sound = ["-f", "lavfi", "-i", "sine=duration=9", "-c:a", "aac"]
    source, frames, _ = read(make(tmp_path / "a.mp4", *sound))
    assert len(frames) == 60
    assert source.probe.duration_s == pytest.approx(2.0, abs=0.1)


def test_pixels_that_are_not_square_are_widened(tmp_path: Path) -> None:
    source, _, _ = read(make(tmp_path / "a.mp4", "-vf", "setsar=2/1"))
    assert source.probe.coded == Size(160, 96)
    assert source.probe.shown == Size(320, 96)


def tagged(path: Path, turn: str) -> Path:
    """A Matroska file with the older ``rotate`` tag, which FFmpeg's own command writes no more."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.metadata["rotate"] = turn
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((96, 160, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


def test_the_older_rotate_tag_turns_too_and_a_forced_turn_wins(tmp_path: Path) -> None:
    path = tagged(tmp_path / "a.mkv", "90")
    probe = FileSource.open(path, LIMIT, None).probe
    assert (probe.rotation, probe.shown) == (90, Size(96, 160))
    assert FileSource.open(path, LIMIT, 180).probe.rotation == 180
    assert FileSource.open(tagged(tmp_path / "b.mkv", "left"), LIMIT, None).probe.rotation == 0


def test_ten_bits_are_read(tmp_path: Path) -> None:
    source, frames, _ = read(make(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p10le"))
    assert source.decoder == "pyav"
    assert len(frames) == 60
    assert {pixels.dtype for _, pixels in frames} == {np.dtype(np.uint8)}


def test_a_file_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = make(tmp_path / "a.mkv", "-c:v", "mpeg4")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    _, frames, _ = read(cut)
    assert 20 < len(frames) < 60


def test_damage_in_the_middle_costs_what_is_damaged_and_is_told(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", "-c:v", "libx264", "-g", "10", "-bf", "0")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = b"\xff" * 600
    path.write_bytes(data)
    _, frames, problems = read(path)
    assert 40 < len(frames) <= 60
    assert len(frames) == 60 or problems


def test_what_is_no_video_is_refused_with_a_sentence(tmp_path: Path) -> None:
    cases = {"empty.mp4": b"", "text.mp4": b"hello" * 100, "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nfile:/etc/passwd\n"}
    cases["concat.txt"] = b"ffconcat version 1.0\nfile /etc/passwd\n"
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnsupportedMedia, match="not a video"):
            FileSource.open(tmp_path / name, LIMIT, None)
    sound = tmp_path / "sound.mp4"
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", str(sound)], check=True
    )
    with pytest.raises(UnsupportedMedia, match="no video"):
        FileSource.open(sound, LIMIT, None)


def test_frames_larger_than_the_limit_are_refused_before_one_is_decoded(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4")
    with pytest.raises(LimitExceeded, match="160x96"):
        FileSource.open(path, 160 * 96 - 1, None)
    assert FileSource.open(path, 160 * 96, None).probe.fps == Fraction(30)


def test_what_decord_gives_can_be_looked_at_before_it_is_taken_or_left(tmp_path: Path) -> None:
    source = FileSource.open(make(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p"), LIMIT, None)
    luma = Luma()
    stamps = []
    for number, frame in enumerate(source.frames(pytest.fail)):
        looked = number % 3 and frame.cells(luma)
        if number % 2:
            pixels = frame.rgb()
            assert not looked or np.array_equal(looked.luma, of_rgb(pixels).luma)
        stamps.append(frame.pts)
    assert source.decoder == "decord"
    assert len(stamps) == len(set(stamps)) == 60
    assert stamps == sorted(stamps)
