"""The small parts of watching: pairing, shapes, offsets, readers that are attended to, tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from core.ids import Run, Seq, StreamId
from core.messages import Frame, FrameTracks
from core.settings import Settings
from query_api.refusals import Gone
from query_api.services.signing import Signing
from query_api.watching.attended import Attended
from query_api.watching.closing import MOST_REASON, Closing, closing_of
from query_api.watching.offsets import positions_of, token_of
from query_api.watching.page import page_of, policy_of
from query_api.watching.pairing import MOST_FRAMES, Pairing
from query_api.watching.recent import Recent
from query_api.watching.shapes import Shape, shapes_of
from query_api.watching.tails import Heard
from tests.unit.query_api.conftest import NOW, frame
from tests.unit.query_api.fakes import FakeTail, Parts
from tests.unit.query_api.watching import STREAM, TOPICS
from warehouse.control import ControlStore


def tracks(seq: int, run: int = 1) -> FrameTracks:
    return FrameTracks(STREAM, Run(run), Seq(seq), seq, 0.0, 0, 40, 30, ())


class Told:
    """What a pairing has told."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int, bool]] = []

    def __call__(self, frame: Frame, tracks: FrameTracks | None) -> None:
        self.pairs.append((frame.run, frame.seq, tracks is not None))


def test_frames_and_tracks_meet_in_whatever_order_they_come() -> None:
    told = Told()
    pairing = Pairing(told, wait_s=2.0)
    pairing.frame(frame(STREAM, 0), 0.0)
    pairing.tracks(tracks(0))
    pairing.tracks(tracks(1))
    pairing.frame(frame(STREAM, 1), 0.1)
    assert told.pairs == [(1, 0, True), (1, 1, True)]
    assert pairing.due is None


def test_a_frame_waits_so_long_and_no_longer() -> None:
    told = Told()
    pairing = Pairing(told, wait_s=2.0)
    for seq in range(3):
        pairing.frame(frame(STREAM, seq), float(seq))
    assert pairing.due == 2.0
    pairing.expire(1.9)
    assert told.pairs == []
    pairing.expire(3.0)
    assert told.pairs == [(1, 1, False)], "the newest of the late ones"
    pairing.tracks(tracks(1))
    assert told.pairs == [(1, 1, False)], "too late"
    pairing.tracks(tracks(2))
    assert told.pairs[-1] == (1, 2, True)


def test_a_frame_whose_tracks_were_never_made_is_passed_over() -> None:
    told = Told()
    pairing = Pairing(told)
    pairing.frame(frame(STREAM, 0), 0.0)
    pairing.frame(frame(STREAM, 1), 0.0)
    pairing.tracks(tracks(1))
    assert told.pairs == [(1, 1, True)]
    assert pairing.due is None
    pairing.frame(frame(STREAM, 0, run=2), 0.0)
    pairing.tracks(tracks(0, run=2))
    assert told.pairs[-1] == (2, 0, True), "a new run begins at 0"


def test_so_many_wait_and_no_more() -> None:
    pairing = Pairing(Told())
    for seq in range(1000):
        pairing.frame(frame(STREAM, seq, jpeg=b"x"), 0.0)
        pairing.tracks(tracks(seq + 5000))
    assert len(pairing._frames) == MOST_FRAMES
    assert len(pairing._tracks) <= 256
    pairing.clear()
    assert pairing.due is None


@pytest.mark.parametrize(
    ("parameters", "shapes"),
    [
        ({"min_score": 0.4, "labels": ["car"]}, ()),
        ({"roi": None}, ()),
        (
            {"roi": {"x": 10, "y": 20, "width": 80, "height": 40, "mode": "percent"}},
            (Shape(((0.1, 0.2), (0.9, 0.2), (0.9, 0.6), (0.1, 0.6)), True),),
        ),
        (
            {"droi": "POLYGON ((0 0, 640 0, 320 480))"},
            (Shape(((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)), True),),
        ),
        (
            {"lines": [{"name": "gate", "points": [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}], "bidirection": True}]},
            (Shape(((0.1, 0.2), (0.3, 0.4)), False, "gate"),),
        ),
        (
            {"zones": {"door": {"polygon": [[0, 0], [1, 0], [1, 1]]}}},
            (Shape(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)), True, "door"),),
        ),
        ({"line": [[320, 0], [320, 480]]}, (Shape(((0.5, 0.0), (0.5, 1.0)), False),)),
        ({"areas": [{"x": 0, "y": 0, "width": 320, "height": 240}]},
         (Shape(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)), True),)),
        ({"areas": ["north", 7, [None], [[1, 2, 3]], {"points": "x"}]}, ()),
    ],
)  # fmt: skip
def test_lines_and_areas_are_found_in_parameters(parameters: dict[str, object], shapes: tuple[Shape, ...]) -> None:
    assert shapes_of(parameters, 640, 480) == shapes


def test_an_offset_is_read_as_it_was_written() -> None:
    assert positions_of(token_of({2: 5, 0: 10**15}), 4) == {0: 10**15, 2: 5}
    for wrong in ("", "p0", "p0:", "p0:-1", "p4:0", "0:1", "p0:1;p1:2", "p0:1,", f"p0:{10**18}", "latest"):
        with pytest.raises(InvalidInput) as refused:
            positions_of(wrong, 4)
        assert refused.value.field == "from"


def test_what_was_last_seen_is_bounded_in_bytes() -> None:
    recent = Recent("frames", most_bytes=100)

    def said(topic: str, key: bytes, value: bytes) -> Heard:
        heard = Heard(topic, 0, 0, key, value)
        recent.keep(heard)
        return heard

    old = b"\x82\xa7message\xa5frame\xa1x\xd9\x1a" + bytes(26)
    assert len(old) == 45
    said("frames", b"a", old)
    newest = said("frames", b"a", old)
    tracked = said("tracks", b"a", b'{"message":"frame_tracks"}')
    assert list(recent.of(b"a")) == [newest, tracked]
    other = said("frames", b"b", old)
    assert list(recent.of(b"a")) == [tracked], "the longest unseen went"
    said("frames", b"b", b"\x81\xa7message\xa7run_end")
    said("frames", b"b", b"no message")
    assert list(recent.of(b"b")) == [other]


def test_who_attends_has_a_reader_and_a_refusal_leaves_none() -> None:
    opened: list[FakeTail] = []
    refused = [True]

    async def opening() -> FakeTail:
        await asyncio.sleep(0)
        if refused.pop():
            raise StoreUnavailable("not now")
        refused.append(False)
        opened.append(FakeTail((), None))  # type: ignore[arg-type]
        return opened[-1]

    async def test() -> None:
        closed: list[bool] = []
        attended = Attended(opening, lambda: closed.append(True), 0)
        attended.attend()
        with pytest.raises(StoreUnavailable):
            await attended.open()
        attended.leave()
        refused.append(False)
        for _ in range(3):
            attended.attend()
        await asyncio.gather(*(attended.open() for _ in range(3)))
        assert len(opened) == 1
        for _ in range(3):
            assert not closed
            attended.leave()
        assert opened[0].closed
        assert closed == [True]
        assert not attended.running

    asyncio.run(test())


def test_why_a_socket_is_closed_can_be_read() -> None:
    def closing(error: Exception) -> tuple[int, str]:
        found = closing_of(error)
        return found.code, found.reason

    assert closing(NotFound("stream not found")) == (4404, "stream not found")
    assert closing(Conflict("stream is stopped")) == (4409, "stream is stopped")
    assert closing(Gone("stream has ended")) == (4410, "stream has ended")
    assert closing(InvalidInput("it is wrong", "from")) == (4400, "from: it is wrong")
    assert closing(StoreUnavailable("at http://me:secret@store")) == (1013, "at http://***@store")
    assert closing(RuntimeError("secret")) == (1011, "something failed inside of the service")
    assert closing(Closing(4008, "slow")) == (4008, "slow")
    assert len(closing(NotFound("ü" * 200))[1].encode()) <= MOST_REASON


def test_the_page_holds_no_secret_and_says_who_may_frame_it() -> None:
    page = page_of('<b>"gate"</b>', "../../mjpeg/0/a?fps=0&height=1")
    assert "<b>" not in page.partition("<body>")[2].replace("<body>", "")
    assert 'data-src="../../mjpeg/0/a?fps=0&amp;height=1"' in page
    assert "frame-ancestors" not in policy_of("")
    assert policy_of("https://a.example").endswith("frame-ancestors https://a.example")
    assert "unsafe" not in policy_of("")


@pytest.fixture
def signing(parts: Parts) -> Signing:
    return Signing(parts.control, 300.0, clock=lambda: NOW)


def test_a_token_is_good_for_its_stream_and_its_time(parts: Parts, signing: Signing) -> None:
    signed = signing.sign(STREAM)
    assert signed.expires_s == NOW + 300
    assert signing.verify(signed.token, STREAM)
    assert not signing.verify(signed.token, StreamId(uuid4()))
    for moment, good in ((NOW + 299, True), (NOW + 300, False), (NOW + 10**6, False)):
        then = Signing(parts.control, 300.0, clock=lambda moment=moment: moment)  # type: ignore[misc]
        assert then.verify(signed.token, STREAM) is good


def test_a_forged_token_is_not(signing: Signing) -> None:
    version, key, expires, signature = signing.sign(STREAM).token.split(".")
    other = signing.sign(StreamId(UUID(int=9))).token.split(".")[3]
    for forged in (
        "",
        "x",
        f"{version}.{key}.{int(expires) + 1}.{signature}",
        f"{version}.2.{expires}.{signature}",
        f"{version}.{key}.{expires}.{other}",
        f"{version}.{key}.{expires}.{'A' * 43}",
        f"{version}.{key}.{expires}.{signature}=",
        f"{version}.{key}.{expires}",
        f"w2.{key}.{expires}.{signature}",
    ):
        assert not signing.verify(forged, STREAM), forged


def test_all_workers_share_the_secret_and_it_is_never_shown(parts: Parts, settings: Settings, tmp_path: Path) -> None:
    first = Signing(parts.control, 300.0, clock=lambda: NOW)
    again = ControlStore.connect(settings)
    second = Signing(again, 300.0, clock=lambda: NOW)
    assert second.verify(first.sign(STREAM).token, STREAM)
    (key,) = again.signing_keys()
    assert (key,) == parts.control.signing_keys()
    assert len(key.secret) == 32
    assert "secret" not in repr(key)
    again.close()


def test_the_topics_are_those_of_the_settings() -> None:
    assert TOPICS.frames_live == "sightline.frames.live"
