"""Points, lines and polygons."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams_proc.analytics.geometry import crossings, distance, ground, holds, middle, to_border
from streams_proc.analytics.plane import Plane
from streams_proc.analytics.region import regions

SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
LEVEL = ((0.0, 0.5), (1.0, 0.5))
numbers = st.integers(-20, 20).map(float)  # whole, so that arithmetic is exact
points = st.tuples(numbers, numbers)


def test_a_box_stands_on_the_middle_of_its_lower_edge() -> None:
    assert middle((0.2, 0.4, 0.6, 1.0)) == (0.4, 0.7)
    assert ground((0.2, 0.4, 0.6, 1.0)) == (0.4, 1.0)


@pytest.mark.parametrize("point", [(0.4, 0.4), (0.2, 0.4), (0.6, 0.6), (0.2, 0.2), (0.4, 0.6)])
def test_a_polygon_holds_its_inside_and_its_border(point: tuple[float, float]) -> None:
    assert holds(SQUARE, point)
    assert holds(tuple(reversed(SQUARE)), point)


@pytest.mark.parametrize("point", [(0.1, 0.4), (0.61, 0.4), (0.4, 0.19), (0.9, 0.2), (0.0, 0.6)])
def test_a_polygon_holds_nothing_else(point: tuple[float, float]) -> None:
    assert not holds(SQUARE, point)


def test_a_polygon_may_be_hollow_and_cross_itself() -> None:
    hook = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.8, 1.0), (0.8, 0.2), (0.0, 0.2))
    assert holds(hook, (0.9, 0.9))
    assert not holds(hook, (0.4, 0.6))
    tie = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
    assert holds(tie, (0.1, 0.5))
    assert not holds(tie, (0.5, 0.1))


def test_distances_are_to_the_nearest_part() -> None:
    bent = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert distance(bent, (0.5, 0.25)) == pytest.approx(0.25)
    assert distance(bent, (-0.3, -0.4)) == pytest.approx(0.5)
    assert distance(bent, (1.2, 0.7)) == pytest.approx(0.2)
    assert to_border(SQUARE, (0.4, 0.55)) == pytest.approx(0.05)
    assert to_border(SQUARE, (0.1, 0.4)) == pytest.approx(0.1)


def test_a_way_crosses_to_the_right_or_to_the_left() -> None:
    assert crossings(LEVEL, (0.5, 0.4), (0.5, 0.6)) == 1, "downwards is to the right of whoever goes right"
    assert crossings(LEVEL, (0.5, 0.6), (0.5, 0.4)) == -1
    assert crossings(LEVEL, (0.5, 0.1), (0.9, 0.4)) == 0
    assert crossings(LEVEL, (1.1, 0.4), (1.1, 0.6)) == 0, "past the line's end"
    assert crossings(LEVEL, (0.5, 0.5), (0.5, 0.9)) == 0, "who stands on the line is beyond it already"
    assert crossings(LEVEL, (0.5, 0.4), (0.5, 0.5)) == 1


def test_a_way_through_a_corner_crosses_once_or_only_touches() -> None:
    roof = ((0.0, 1.0), (0.5, 0.5), (1.0, 1.0))
    assert crossings(roof, (0.5, 0.4), (0.5, 0.9)) == 1
    assert crossings(roof, (0.0, 0.5), (1.0, 0.5)) == 0
    assert crossings(roof, (0.0, 0.8), (1.0, 0.8)) == 0, "in on one side and out on the other"


@given(line=st.lists(points, min_size=2, max_size=4), way=st.lists(points, min_size=2, max_size=2))
def test_the_way_back_crosses_as_often(line: list[tuple[float, float]], way: list[tuple[float, float]]) -> None:
    before, after = way
    assert crossings(line, before, before) == 0
    there, back = crossings(line, before, after), crossings(line, after, before)
    if min(distance(line, p) for p in way) > 1e-9 and not _touches(line, before, after):
        assert there == -back


def _touches(line: list[tuple[float, float]], before: tuple[float, float], after: tuple[float, float]) -> bool:
    """Whether a corner of the line lies on the way: then the ways differ in which side it is counted to."""
    return before == after or any(distance((before, after), corner) < 1e-9 for corner in line)


def test_a_plane_is_as_wide_as_its_picture() -> None:
    assert Plane.of(1920, 1080).at((0.5, 0.5)) == (0.5, 0.28125)
    assert Plane.of(1080, 1920).at((0.5, 0.5)) == (0.28125, 0.5)
    assert Plane.of(0, 0).all([(0.5, 0.5)]) == ((0.5, 0.5),)
    assert math.hypot(*Plane.of(300, 400).at((1.0, 1.0))) == pytest.approx(1.25)


def test_regions_are_measured_in_parts_of_the_picture() -> None:
    pixels = {"x": 192, "y": 108, "width": 192, "height": 108, "mode": "abs"}
    percent = {"x": 10, "y": 10, "width": 10, "height": 10, "mode": "percent"}
    wkt = "POLYGON ((192 108, 384 108, 384 216, 192 216, 192 108))"
    for parameters in ({"roi": pixels}, {"roi": percent}, {"droi": percent}, {"droi": wkt}):
        (region,) = regions(parameters, 1920, 1080)
        assert [round(n, 9) for corner in region.corners for n in corner] == [0.1, 0.1, 0.2, 0.1, 0.2, 0.2, 0.1, 0.2]
        assert region.holds((0.1, 0.1))
        assert region.holds((0.2, 0.2))
        assert not region.holds((0.21, 0.2))
    assert regions({"roi": None, "droi": {"x": 0, "y": 0, "width": 0, "height": 0, "mode": "abs"}}, 1920, 1080) == ()
    assert len(regions({"roi": pixels, "droi": wkt}, 1920, 1080)) == 2
