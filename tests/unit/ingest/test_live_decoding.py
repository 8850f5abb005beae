"""What is made of a camera's packets: pictures, problems, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from ingest_fakes import FakeClock, FakeSource

from ingest.connection import Connection
from ingest.live_source import Decoding, LiveSource
from ingest.patience import Patience
from ingest.probe import Probe
from ingest.relay import CLOSED

VIDEO, SOUND = 0, 1


class Packet:
    """One that gives a picture, or an error when it is decoded."""

    def __init__(self, stream: int = VIDEO, number: int = 0, error: Exception | None = None) -> None:
        self.stream_index = stream
        self.number = number
        self.error = error

    def decode(self) -> list[av.VideoFrame]:
        assert self.stream_index == VIDEO
        if self.error is not None:
            raise self.error
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
        frame.pts, frame.time_base = self.number, Fraction(1, 10)
        return [frame]


class Container:
    """Gives what it is told, an exception where it fails; `demux` goes on behind one."""

    def __init__(self, clock: FakeClock, *things: Any, step_s: float = 0.1) -> None:
        self.clock, self.things, self.step_s = clock, list(things), step_s
        self.closed = False

    def demux(self) -> Iterator[Any]:
        while self.things:
            self.clock.now += self.step_s
            thing = self.things.pop(0)
            if isinstance(thing, Exception):
                raise thing
            yield thing

    def close(self) -> None:
        self.closed = True


def decoding(*things: Any, step_s: float = 0.1, relay: Any = None, body: Any = None) -> Decoding:
    clock = FakeClock()
    container: Any = Container(clock, *things, step_s=step_s)
    stream: Any = SimpleNamespace(index=VIDEO)
    return Decoding(Connection(container, Patience(10.0, 30.0, clock), body=body, relay=relay), stream)


def source(*things: Any, duration_s: float | None = None, **more: Any) -> LiveSource:
    mine = decoding(*things, **more)
    coming = mine.frames()
    probe: Probe = FakeSource(count=round((duration_s or 0) * 10)).probe
    first = next(coming)
    return LiveSource(mine.connection, mine, coming, first, probe if duration_s else unmeasured(probe))


def unmeasured(probe: Probe) -> Probe:
    return replace(probe, duration_s=None, promised=None)


def seen(camera: LiveSource) -> tuple[int, list[str]]:
    problems: list[str] = []
    return sum(1 for _ in camera.frames(problems.append)), problems


def pictures(count: int, begin: int = 0) -> list[Packet]:
    return [Packet(number=begin + n) for n in range(count)]


def test_a_camera_whose_connection_is_closed_is_lost_and_not_broken() -> None:
    camera = source(*pictures(5))
    assert seen(camera) == (5, [])
    assert (camera.broken, camera.lost) == (None, "the connection was closed")
    assert camera.connection.container.closed  # type: ignore[attr-defined]


def test_a_file_that_came_whole_is_at_its_end() -> None:
    camera = source(*pictures(5), body=SimpleNamespace(at_end=True, close=lambda: None))
    seen(camera)
    assert (camera.broken, camera.lost) == (None, None)


def test_a_recording_that_told_its_length_is_at_its_end_when_it_has_been_shown() -> None:
    shown, cut = source(*pictures(100), duration_s=10.0), source(*pictures(50), duration_s=10.0)
    seen(shown)
    seen(cut)
    assert shown.lost is None
    assert cut.lost == "the connection was closed"


def test_a_damaged_packet_costs_itself_only() -> None:
    damage = av.error.InvalidDataError(1, "Invalid data found")
    camera = source(*pictures(2), Packet(error=damage), damage, *pictures(2, 3))
    given, problems = seen(camera)
    assert given == 4
    assert len(problems) == 2
    assert camera.broken is None


def test_what_can_nowhere_be_read_is_given_up() -> None:
    damage = [av.error.InvalidDataError(1, "Invalid data found") for _ in range(40)]
    camera = source(*pictures(2), *damage)
    given, problems = seen(camera)
    assert (given, len(problems)) == (2, 2)
    assert "cannot be read" in str(camera.broken)
    assert camera.lost == camera.broken


@pytest.mark.parametrize(
    "error",
    [
        av.error.ExitError(1, "Immediate exit requested"),
        av.error.ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("nothing that was waited for came within 10 s"),
    ],
)
def test_a_connection_that_fails_is_lost_at_once_and_not_waited_for_again(error: Exception) -> None:
    camera = source(*pictures(2), error, *pictures(9))
    given, problems = seen(camera)
    assert (given, problems) == (2, [])
    assert camera.lost == camera.broken
    assert "within 10 s" in str(camera.lost) or "reset" in str(camera.lost)


def test_sound_without_pictures_is_no_sign_of_life() -> None:
    camera = source(*pictures(2), *[Packet(SOUND) for _ in range(500)], *pictures(2))
    given, _ = seen(camera)
    assert given == 2
    assert "within 10 s" in str(camera.lost)


def test_packets_that_give_no_picture_are_no_sign_of_life() -> None:
    damage = av.error.InvalidDataError(1, "no key frame")
    mine = decoding(*[Packet(error=damage) for _ in range(500)])
    assert list(mine.frames()) == []
    assert mine.complaint == "a packet cannot be decoded: no key frame"
    assert "within 30 s" in str(mine.error), "the first picture may take longer"


def test_time_that_is_taken_to_work_on_a_picture_is_not_the_cameras() -> None:
    camera = source(*pictures(3))
    clock: Any = camera.connection.container.clock  # type: ignore[attr-defined]
    given = 0
    for _ in camera.frames(print):
        clock.now += 60
        given += 1
    assert given == 3


def test_what_the_relay_saw_is_the_reason() -> None:
    silent = SimpleNamespace(failure="it has sent nothing for 10 s", close=lambda: None)
    camera = source(*pictures(2), relay=silent)
    seen(camera)
    assert camera.broken == camera.lost == "it has sent nothing for 10 s"
    closed = SimpleNamespace(failure=CLOSED, close=lambda: None)
    camera = source(*pictures(2), relay=closed)
    seen(camera)
    assert (camera.broken, camera.lost) == (None, CLOSED)
