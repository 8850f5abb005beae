"""What is held in memory, and for how long a claim is believed: bounded, whatever comes."""

from __future__ import annotations

import asyncio
import struct
from array import array
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from core import messages as m
from core.contracts import examples
from core.errors import BadMessage
from core.ids import Run, StreamId, view_id
from ingest import probe
from ingest.picture import Size
from ingest.probe import Packets, Probe, _promised
from ingest.sampling import LONGEST_S, Timeline
from streams_proc import views
from streams_proc.views import WHOLE, Embedding, ViewTaker, Wanted
from tests.unit.analyse import scenes

A = StreamId(UUID(int=1))


class Frames(scenes.FakeFrames):
    def __init__(self, picture: bytes) -> None:
        super().__init__(A)
        self.picture = picture

    async def read(self, places: Sequence[m.Place]) -> Mapping[m.Place, bytes]:
        self.calls.append(tuple(places))
        return {p: self.record(p.offset) for p in places}

    def record(self, offset: int) -> bytes:
        return m.encode_frame(m.Frame(A, Run(1), m.Seq(offset), offset, 0.0, 0, 192, 108, self.picture, "m"))


def wanted(seq: int, track: int = 1, *, embedded: bool = True) -> Wanted:
    view = view_id(A, Run(1), m.TrackId(track), m.Seq(seq), "appearance")
    return Wanted(
        stream_id=A,
        seq=m.Seq(seq),
        place=m.Place("frames.batch", 0, seq),
        view_id=view,
        track_id=m.TrackId(track),
        keyspace="appearance",
        label="car",
        score=0.5,
        box=WHOLE,
        media_key=f"{A}/1/{view}.jpg",
        quality=0.5,
        lane="batch",
        embedded=embedded,
    )


def taken(frames: Frames, asked: Sequence[Wanted], **more: Any) -> dict[Any, m.View]:
    taker = ViewTaker(frames, scenes.FakeEmbedder(), {"appearance": Embedding("appearance")}, **more)
    return asyncio.run(taker.take(asked))


def test_few_frames_are_held_at_once_and_no_view_is_left_out() -> None:
    frames = Frames(scenes.jpeg())
    asked = [wanted(seq, track) for track in (1, 2) for seq in range(50)]
    found = taken(frames, asked)
    assert found.keys() == {w.view_id for w in asked}
    assert max(len(call) for call in frames.calls) <= views.FRAMES_AT_ONCE
    assert sum(len(call) for call in frames.calls) == 50, "each frame is read once"


def test_pictures_of_one_frame_fit_into_its_message() -> None:
    picture = scenes.jpeg()
    one = len(views.cut(simplejpeg.decode_jpeg(picture), WHOLE, 0.0) or b"")
    found = taken(Frames(picture), [wanted(0, track) for track in range(1, 6)], most_bytes=5 * one)
    assert sorted(view.track_id for view in found.values()) == [1, 2]


def bomb(width: int, height: int) -> bytes:
    """A JPEG whose header claims a size; nothing was reserved for it."""
    made = bytearray(scenes.jpeg())
    at = next(i for i in range(len(made) - 1) if made[i] == 0xFF and made[i + 1] in {0xC0, 0xC2})
    made[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(made)


@pytest.mark.parametrize("picture", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", bomb(65_000, 65_000)])
def test_a_picture_that_is_none_is_not_decoded(picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(picture) > 100:
        monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_: pytest.fail("a bomb was decoded"))
    assert taken(Frames(picture), [wanted(0)]) == {}


# times


@given(st.lists(st.one_of(st.none(), st.fractions(-(10**15), 10**15)), max_size=50), st.integers(0, 10**9))
def test_a_timeline_rises_and_ends_within_years_whatever_the_container_says(
    times: list[Fraction | None], begin: int
) -> None:
    line = Timeline(Fraction(1, 25), Fraction(begin))
    told = [line.advance(time) for time in times]
    assert all(a < b for a, b in pairwise(told))
    assert all(0 <= time <= begin + LONGEST_S + len(times) for time in told)


def test_a_gap_of_days_is_kept() -> None:
    line = Timeline(Fraction(1, 25))
    assert [line.advance(Fraction(t)) for t in (0, 1, 3 * 86_400)] == [0, 1, 3 * 86_400]


# claims


def stream(frames: int = 0) -> Any:
    return SimpleNamespace(frames=frames)


@pytest.mark.parametrize(
    ("frames", "duration_s", "promised"),
    [(10, None, 10), (0, 2.0, 50), (0, None, None), (-5, None, None), (2**62, None, None), (0, -3.0, None)],
)
def test_frames_are_promised_as_far_as_they_can_be(frames: int, duration_s: float | None, promised: int | None) -> None:
    assert _promised(stream(frames), duration_s, Fraction(25)) == promised


def measured(duration_s: float | None) -> Probe:
    size = Size(64, 48)
    return Probe(size, size, 0, Fraction(10), Fraction(1, 1000), "c", "p", None, duration_s)


@pytest.mark.parametrize(
    ("packets", "frames", "duration_s", "says"),
    [
        (Packets(count=100, whole=True), 100, None, None),
        (Packets(count=97, whole=True), 100, None, None),
        (Packets(count=90, whole=True), 100, None, "names 100 frames and holds 90"),
        (Packets(count=90, whole=False), 100, None, None),
        (Packets(count=90, whole=True), 2**60, None, None),
        (Packets(count=9, whole=True, first=0, last=8000), 0, 10.0, None),
        (Packets(count=9, whole=True, first=0, last=5000), 0, 10.0, "lasts 10.0 s and holds video for 5.1 s"),
        (Packets(count=9, whole=True, first=0, last=5000), 0, None, None),
    ],
)
def test_what_a_container_lacks_is_said(
    packets: Packets, frames: int, duration_s: float | None, says: str | None
) -> None:
    said = packets.missing(stream(frames), measured(duration_s))
    assert (said is None) if says is None else (said is not None and says in said)


def test_the_times_of_a_very_long_file_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_TIMES", 3)
    packets, times = Packets(), array("q")
    kept: array[int] | None = times
    for pts in range(5):
        kept = packets._with(kept, SimpleNamespace(pts=pts, is_corrupt=False, is_discard=False))  # type: ignore[arg-type]
    assert kept is None
    assert len(times) == 3


# the motion gate

CORNER = [[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]


def with_masks(masks: list[Any]) -> m.StreamSpec:
    return m.decode_spec(msgspec.json.encode({**examples("streams")[0], "gate": {"masks": masks}}))


def test_masks_are_polygons() -> None:
    gate = with_masks([CORNER] * 100).gate
    assert gate is not None
    assert gate.masks == (((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)),) * 100


@pytest.mark.parametrize(
    "masks", [[[]], [CORNER[:2]], [[*CORNER, [1.1, 0.5]]], [[*CORNER, [0.5, -0.1]]], [CORNER] * 101, [CORNER * 400]]
)
def test_masks_that_cannot_be_are_refused(masks: list[Any]) -> None:
    with pytest.raises(BadMessage, match="mask"):
        with_masks(masks)
