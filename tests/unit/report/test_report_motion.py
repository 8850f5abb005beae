from __future__ import annotations

import pytest

from infra.report.motion import Motion
from infra.report.result import Ledger, Result, Track, TrackBox, Video


def _motion(*frames: int, decoded: int = 30, read: int = 10) -> Motion:
    boxes = tuple(TrackBox(f, f / 30, (f / 100, 0.0, f / 100 + 0.1, 0.5), 0.5) for f in frames)
    track = Track(1, "car", 0.5, frames[0], frames[-1], 0.0, 1.0, boxes)
    return Motion(Result("t", Video("a", 10, 10, 30.0), Ledger(decoded, decoded - read, read), tracks=(track,)))


def test_boxes_move_on_a_line_between_analysed_frames() -> None:
    motion = _motion(0, 3, 6)
    assert [motion.at(frame)[0].box[0] for frame in range(7)] == pytest.approx([f / 100 for f in range(7)])


def test_the_last_box_is_held_for_one_sampling_step() -> None:
    motion = _motion(0, 3)
    assert [len(motion.at(frame)) for frame in range(3, 8)] == [1, 1, 1, 0, 0]


def test_a_long_gap_is_not_bridged() -> None:
    motion = _motion(0, 30, decoded=60, read=20)
    assert [len(motion.at(frame)) for frame in (2, 3, 29, 30)] == [1, 0, 0, 1]


def test_every_frame_analysed_holds_nothing() -> None:
    motion = _motion(4, 5, decoded=10, read=10)
    assert [len(motion.at(frame)) for frame in (3, 4, 5, 6)] == [0, 1, 1, 0]
