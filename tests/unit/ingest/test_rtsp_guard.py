"""What of a camera's answers FFmpeg gets to see."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rtsp_guard import MOST_HEAD, Refused, RtspGuard

OK = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
PLAIN = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"


def guard() -> RtspGuard:
    return RtspGuard("192.168.1.9")


def test_sound_answers_pass_with_their_bodies() -> None:
    passed = guard().answered(PLAIN + OK)
    assert (
        passed
        == PLAIN + b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )


@given(st.lists(st.integers(1, len(PLAIN + OK)), max_size=8))
def test_answers_pass_whole_however_they_were_cut(cuts: list[int]) -> None:
    whole, mine = PLAIN + OK, guard()
    places = [0, *sorted(set(cuts)), len(whole)]
    passed = b"".join(mine.answered(whole[a:b]) for a, b in pairwise(places))
    assert passed == guard().answered(whole)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303", b"399 x"])
def test_a_redirect_is_not_passed_on_but_told(status: bytes) -> None:
    mine = guard()
    with pytest.raises(Refused, match="elsewhere"):
        mine.answered(PLAIN + b"RTSP/1.0 " + status + b"\r\nLOCATION: rtsp://127.0.0.1/x\r\n\r\n")
    assert mine.redirect == "rtsp://127.0.0.1/x"


def test_a_redirect_to_nowhere_would_lead_ffmpeg_to_this_machine() -> None:
    mine = guard()
    with pytest.raises(Refused, match="302"):
        mine.answered(b"RTSP/1.0 302 Found\r\n\r\n")
    assert mine.redirect is None


@pytest.mark.parametrize(
    "head",
    [
        b" Location: rtsp://127.0.0.1/",
        b"Location : rtsp://127.0.0.1/",
        b"Content-Length : 400",
        b"A: b\rRTSP/1.0 302 Found",
        b"A: \x00",
        b"no field at all",
        b"Location: rtsp://127.0.0.1/",
    ],
)
def test_what_ffmpeg_could_read_otherwise_is_left_out(head: bytes) -> None:
    assert guard().answered(b"RTSP/1.0 200 OK\r\n" + head + b"\r\nCSeq: 1\r\n\r\n") == PLAIN


def test_an_answer_hidden_in_a_body_stays_there() -> None:
    hidden = b"RTSP/1.0 302 Found\r\nLocation: rtsp://127.0.0.1/\r\n\r\n"
    answer = b"RTSP/1.0 200 OK\nContent-Length: %d\n\n" % len(hidden) + hidden
    passed = guard().answered(answer)
    assert passed == b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"OPTIONS rtsp://a RTSP/1.0\r\n\r\n",
        b"RTSP/1.0 2000 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * (MOST_HEAD + 1),
    ],
)
def test_what_does_not_speak_rtsp_is_refused(answer: bytes) -> None:
    with pytest.raises(Refused, match="does not speak RTSP"):
        guard().answered(answer)


@pytest.mark.parametrize(
    "transport",
    [
        b"RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001;source=127.0.0.1",
        b"RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001; SOURCE =127.0.0.1;destination=127.0.0.1",
        b"RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001,RTP/AVP/UDP;source=127.0.0.1",
    ],
)
def test_datagrams_go_to_the_address_that_was_checked(transport: bytes) -> None:
    passed = guard().answered(b"RTSP/1.0 200 OK\r\nTransport: " + transport + b"\r\n\r\n")
    said = b"RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001;source=192.168.1.9"
    assert passed == b"RTSP/1.0 200 OK\r\nTransport: " + said + b"\r\n\r\n"


def test_pictures_that_come_before_they_are_asked_for_are_passed_over() -> None:
    early = b"$\x00\x00\x0cRTSP/1.0 302"
    mine = guard()
    assert mine.answered(early[:3]) == b""
    assert mine.answered(early[3:] + PLAIN) == PLAIN


def test_once_ffmpeg_has_asked_to_play_everything_passes_as_it_is() -> None:
    mine = guard()
    mine.asked(b"OPTIONS rtsp://a/ RTSP/1.0\r\nX: PLAY \r\n\r\nSETUP rtsp://a/ RTSP/1.0\r\n")
    assert not mine.playing
    assert mine.answered(b"RTSP/1.0 20") == b""
    mine.asked(b"\r\nPLAY rtsp://a/ RTSP/1.0\r\n\r\n")
    assert mine.playing
    assert mine.answered(b"0 OK\r\n") == b"RTSP/1.0 200 OK\r\n"
    assert mine.answered(b"$\x00\x00\x01x") == b"$\x00\x00\x01x"
