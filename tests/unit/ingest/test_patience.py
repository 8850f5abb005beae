"""How long a camera is waited for, and how often it is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from ingest_fakes import FakeClock, spec

from core.messages import Autorestart
from core.settings import Ingest
from ingest.patience import Patience, is_file, most_attempts, own, pause_s, stall_s

CAMERA = "rtsp://camera/1"


def camera(**more: Any) -> Any:
    return spec("live", url=more.pop("url", CAMERA), **more)


def test_a_picture_is_waited_for_no_longer_however_many_bytes_drip_in() -> None:
    clock = FakeClock()
    patience = Patience(10.0, 30.0, clock)
    assert patience.left() == 10.0, "nothing at all is waited for less long than for the first picture"
    clock.now += 25
    assert patience.left() == 5.0
    clock.now += 5
    with pytest.raises(TimeoutError, match="within 30 s"):
        patience.left()
    patience.renew()
    clock.now += 9
    assert patience.left() == 1.0
    clock.now += 1
    with pytest.raises(TimeoutError, match="within 10 s"):
        patience.left()


def test_silence_is_told_from_a_picture_that_does_not_come() -> None:
    clock = FakeClock()
    patience = Patience(10.0, 30.0, clock)
    clock.now += 10
    with pytest.raises(TimeoutError, match="sent nothing for 10 s"):
        patience.end()
    clock.now += 20
    with pytest.raises(TimeoutError, match="within 30 s"):
        patience.end()


def test_a_list_of_segments_may_take_its_time() -> None:
    clock = FakeClock()
    patience = Patience(3.0, 5.0, clock)
    patience.allow(18.0)
    clock.now += 17
    assert patience.left() == 1.0
    patience.renew()
    assert patience.left() == 18.0
    patience.allow(1.0)
    assert patience.left() == 18.0


def test_a_streams_own_time_out_takes_the_place_of_both() -> None:
    assert own(Ingest(), None) == Ingest()
    mine = own(Ingest(), 3.0)
    assert (mine.connect_timeout_s, mine.read_timeout_s) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("definition", "seconds"),
    [
        (spec("batch"), 60.0),
        (spec("live"), 60.0),
        (camera(url="v4l2:/dev/video0"), 30.0),
        (camera(url="usb:0", timeout_s=3.0), 23.0),
        (camera(url="usb:0", timeout_s=300.0), 60.0),
        (camera(), 90.0),
        (camera(timeout_s=3.0), 76.0),
        (camera(timeout_s=300.0), 1230.0),
    ],
)
def test_a_reader_is_ended_when_it_gets_no_further_than_one_attempt_may_take(definition: Any, seconds: float) -> None:
    assert stall_s(definition, Ingest()) == seconds


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("file:/a", True),
        ("media:a/b", True),
        ("http://nas/clip.MP4?x=1", True),
        ("https://nas/clip.mkv", True),
        ("http://camera/live.flv", False),
        ("http://camera/list.m3u8", False),
        ("http://camera/mjpg/video.cgi", False),
        ("rtsp://vod/clip.mp4", False),
        ("http://[x/clip.mp4", False),
    ],
)
def test_a_file_is_known_by_its_address(url: str, file: bool) -> None:
    assert is_file(camera(url=url).source) is file


def test_only_cameras_are_tried_again_and_only_where_it_is_wished() -> None:
    again = Autorestart(attempts=7)
    assert most_attempts(camera(autorestart=again)) == 7
    assert most_attempts(camera()) == 0
    assert most_attempts(camera(autorestart=Autorestart(restart=False))) == 0
    assert most_attempts(camera(autorestart=again, url="http://nas/clip.mp4")) == 0
    assert most_attempts(spec("live", autorestart=again)) == 0
    assert most_attempts(spec("batch", url="https://nas/x", autorestart=again)) == 0


def test_the_first_attempt_comes_at_once_and_later_ones_as_the_definition_says() -> None:
    assert [pause_s(60.0, n, 0.5, steady=True) for n in (1, 2, 3)] == [0.5, 60.0, 60.0]
    assert pause_s(60.0, 1, 0.5, steady=False) == 60.0, "a camera that drops at once is not asked at once"


def test_without_a_pause_of_its_own_a_camera_is_asked_less_and_less_often() -> None:
    assert [pause_s(0.0, n, 0.5, steady=True) for n in (1, 2, 3, 4, 8, 1000)] == [0.5, 1.0, 2.0, 4.0, 30.0, 30.0]


def test_cameras_that_were_lost_together_are_not_asked_together() -> None:
    assert pause_s(60.0, 2, 0.0, steady=True) == 45.0
    assert pause_s(60.0, 2, 1.0, steady=True) == 75.0
