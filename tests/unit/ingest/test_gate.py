"""When a frame is let through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_fakes import FakeSource, spec
from numpy.typing import NDArray

from core.messages import Analytic, Gate
from ingest.gate import MotionGate, decoded_point, hold_s, outside
from ingest.luma import Grid, of_plane
from ingest.picture import Size

FPS = 10
HOLD = 20
"""Frames."""

Plane = NDArray[np.uint8]


def gate(rotation: int = 0, **more: Any) -> MotionGate:
    return MotionGate(Gate(**more), rotation, Fraction(HOLD, FPS))


def let(decides: MotionGate, planes: Iterable[Plane]) -> list[int]:
    """Numbers of the frames that are let through, at ten a second."""
    return [i for i, plane in enumerate(planes) if decides.lets(of_plane(plane), Fraction(i, FPS))]


def still(luma: int = 100) -> Plane:
    """80 x 60 cells."""
    return np.full((240, 320), luma, np.uint8)


def thing(x: int, y: int = 100, size: int = 16, luma: int = 200) -> Plane:
    plane = still()
    plane[y : y + size, x : x + size] = luma
    return plane


def test_the_first_frame_is_let_through_and_a_still_scene_is_not_but_for_a_look_at_times() -> None:
    assert let(gate(), [still()] * 350) == [*range(HOLD + 1), 120, 220, 320]
    assert let(gate(recheck_s=0.5), [still()] * 40) == [*range(HOLD + 1), 25, 30, 35]
    assert let(gate(recheck_s=0.0), [still()] * 40) == list(range(40))


def test_noise_is_no_motion() -> None:
    chance = np.random.default_rng(7)
    noisy = (np.clip(chance.normal(100, 8, (240, 320)), 0, 255).astype(np.uint8) for _ in range(125))
    assert let(gate(), noisy) == [*range(HOLD + 1), 120]


def test_light_that_changes_slowly_is_no_motion() -> None:
    dawn = [still(60 + i // 5) for i in range(400)]
    assert let(gate(), dawn) == [*range(HOLD + 1), 120, 220, 320]


def test_light_that_jumps_lets_one_frame_through() -> None:
    switched = [still(100) if i < 50 else still(180) for i in range(110)]
    assert let(gate(), switched) == [*range(HOLD + 1), 50]


def test_motion_is_let_through_and_so_is_a_while_after_it() -> None:
    passing = [thing(16 * (i - 50)) if 50 <= i < 60 else still() for i in range(110)]
    assert let(gate(), passing) == [*range(HOLD + 1), *range(50, 60 + HOLD)]


def test_a_thing_that_comes_to_rest_is_seen_at_rest_and_then_it_belongs_to_the_scene() -> None:
    parking = [still()] * 50 + [thing(16 * i) for i in range(10)] + [thing(144)] * 150
    seen = let(gate(), parking)
    assert set(range(50, 60 + HOLD)) <= set(seen)
    assert max(seen) < 160
    assert seen[HOLD + 1 :] == list(range(50, max(seen) + 1)), "without a gap"


def test_a_thing_that_leaves_is_motion_where_it_was() -> None:
    leaving = [thing(144)] * 60 + [still()] * 10
    assert let(gate(), leaving)[HOLD + 1 :] == list(range(60, 70))


def test_a_small_thing_is_let_through_where_so_little_is_asked_for() -> None:
    scene = [still()] * 50 + [thing(100, size=8)]
    assert 50 not in let(gate(), scene), "4 of 4800 cells are less than a thousandth"
    assert 50 in let(gate(min_area=0.0008), scene)
    assert 50 in let(gate(min_area=0.0), scene)
    assert let(gate(min_area=0.0), [still()] * 50) == list(range(HOLD + 1)), "something must have changed"


def test_a_cell_has_changed_from_the_threshold_on() -> None:
    for luma, seen in ((124, False), (125, True), (75, True), (76, False)):
        assert (50 in let(gate(), [still()] * 50 + [thing(100, size=40, luma=luma)])) is seen
    assert 50 in let(gate(threshold=3.0), [still()] * 50 + [thing(100, size=40, luma=103)])


def brighter(planes: Sequence[Plane], by: Callable[[int], float]) -> list[Plane]:
    """The same, the n-th of them with so much more light."""
    return [np.clip(plane + by(n), 0, 255).astype(np.uint8) for n, plane in enumerate(planes)]


def test_exposure_that_is_set_anew_is_no_motion() -> None:
    scene = brighter([still()] * 120, lambda n: 20.0 * (n >= 50) - 20.0 * (n >= 80))
    assert let(gate(), scene) == list(range(HOLD + 1)), "each step stays below the threshold"


def test_a_thing_is_seen_while_exposure_changes() -> None:
    scene = brighter([still()] * 50 + [thing(100, size=60)] * 5 + [still()] * 60, lambda n: 15.0 * (50 <= n < 55))
    seen = let(gate(), scene)
    assert set(range(50, 55 + HOLD)) <= set(seen)
    assert seen[-1] <= 55 + HOLD + 1, "the light that went with the thing holds nothing open"


def upright(x: float, y: float, degrees: int) -> Plane:
    """A frame as decoded, in which a thing is seen at a place (0..1) once it has been turned upright."""
    height, width = (240, 320) if degrees % 180 == 0 else (320, 240)
    plane = np.full((height, width), 100, np.uint8)
    top, left = round(y * height), round(x * width)
    plane[top : top + 24, left : left + 24] = 200
    return np.ascontiguousarray(np.rot90(plane, degrees // 90))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_masks_are_of_the_upright_picture(degrees: int) -> None:
    corner = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.4), (0.0, 0.4))
    nothing = np.full((240, 320), 100, np.uint8)
    for x, y, seen in ((0.2, 0.15, False), (0.7, 0.15, True), (0.2, 0.7, True), (0.7, 0.7, True)):
        decides = gate(degrees, masks=(corner,))
        assert (50 in let(decides, [nothing] * 50 + [upright(x, y, degrees)])) is seen, (x, y)


def test_a_mask_takes_every_cell_that_it_touches_and_no_other() -> None:
    free = outside([((0.25, 0.25), (0.75, 0.25), (0.5, 0.75))], Grid.of(Size(320, 240)), 0)
    assert free.shape == (60, 80)
    assert not free[16:18, 22:58].any()
    assert not free[40, 40]
    assert free[:14].all()
    assert free[47:].all()
    assert free[40, 20:28].all()
    assert outside((), Grid.of(Size(320, 240)), 90).all()


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([0, 90, 180, 270]))
def test_a_point_that_is_turned_on_until_it_is_upright_again_is_where_it_was(x: float, y: float, degrees: int) -> None:
    back = decoded_point(*decoded_point(x, y, degrees), -degrees)
    assert back == pytest.approx((x, y))


def test_where_all_is_masked_only_time_lets_frames_through() -> None:
    whole = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    scene = [thing(16 * (i % 15)) for i in range(130)]
    assert let(gate(masks=(whole,)), scene) == [*range(HOLD + 1), 120]


def test_a_thing_that_fills_what_is_not_masked_is_a_thing_and_no_light() -> None:
    all_but_a_door = ((0.0, 0.0), (0.9, 0.0), (0.9, 1.0), (0.0, 1.0))
    scene = [still()] * 50 + [thing(280, 0, 240)] * 3 + [still()] * 60
    seen = let(gate(masks=(all_but_a_door,)), scene)
    assert set(range(50, 53 + HOLD)) <= set(seen)


def test_much_that_moves_behind_a_mask_is_no_light_either() -> None:
    most = ((0.0, 0.0), (0.7, 0.0), (0.7, 1.0), (0.0, 1.0))
    road = [np.hstack([np.full((240, 220), 40 + 150 * (i % 2), np.uint8), still()[:, :100]]) for i in range(70)]
    assert let(gate(masks=(most,)), road) == list(range(HOLD + 1))


def test_a_picture_of_another_size_begins_anew() -> None:
    scene = [still()] * 50 + [np.full((120, 160), 100, np.uint8)] * 40
    assert let(gate(), scene) == [*range(HOLD + 1), *range(50, 51 + HOLD)]


scenes = st.lists(st.tuples(st.integers(0, 19), st.sampled_from([90, 100, 112, 200])), min_size=1, max_size=60)


@settings(max_examples=25, deadline=None)
@given(scenes)
def test_the_same_frames_get_the_same_answers(scene: list[tuple[int, int]]) -> None:
    planes = [thing(16 * x, luma=luma) for x, luma in scene]
    whole = let(gate(recheck_s=1.5), planes)
    assert whole == let(gate(recheck_s=1.5), planes)
    assert whole[0] == 0
    assert all(b - a <= 15 for a, b in pairwise(whole)), "the re-check interval holds"


def test_frames_are_let_through_for_as_long_as_it_takes_to_see_that_a_thing_has_gone() -> None:
    assert hold_s((), Fraction(1, 5)) == Fraction("2.5")
    patient = (Analytic("people_count"), Analytic("object_detection", {"max_gap_s": 4}))
    assert hold_s(patient, Fraction(1, 10)) == Fraction("4.5")
    assert hold_s((Analytic("object_detection", {"max_gap_s": "no number"}),), Fraction(0)) == Fraction("1.5")


@pytest.mark.parametrize(("fps", "own", "held_from"), [(0.0, 10, 21), (20.0, 10, 21), (5.0, 10, 26), (5.0, 2, 41)])
def test_a_stream_has_a_gate_for_the_rate_at_which_it_is_read(fps: float, own: int, held_from: int) -> None:
    probe = FakeSource(fps=own).probe
    assert MotionGate.of(spec(fps=fps), probe) is None
    made = MotionGate.of(spec(fps=fps, gate=Gate()), probe)
    assert made is not None
    assert let(made, [still()] * 60) == list(range(held_from))
