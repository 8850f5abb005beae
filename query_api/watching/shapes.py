"""Lines and areas in an analytic's parameters, whatever it calls them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Point: TypeAlias = tuple[float, float]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LINES = ("lines", "line")
AREAS = ("roi", "droi", "zones", "zone", "areas", "area", "regions", "polygon")
POINTS = ("points", "polygon", "line", "coordinates")
MOST_SHAPES = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """A line or an area.

    Attributes:
        points: (x, y) in 0..1 of the upright picture.
        closed: an area.
    """

    points: tuple[Point, ...]
    closed: bool
    name: str = ""


def shapes_of(parameters: Mapping[str, Any], width: int, height: int) -> tuple[Shape, ...]:
    """What can be drawn of an analytic's parameters; what is not understood is left out.

    Args:
        width, height: pixels of the upright video, in which absolute coordinates are given.
    """
    found: list[Shape] = []
    for keys, closed in ((AREAS, True), (LINES, False)):
        for key in keys:
            if key in parameters:
                found += _shapes(parameters[key], "", closed, (float(width), float(height)))
    return tuple(found[:MOST_SHAPES])


def _shapes(value: Any, name: str, closed: bool, size: Point) -> Iterator[Shape]:
    """The shapes that a parameter's value holds: one, a list of them, or an object of them by name."""
    points = _points(value, size)
    if points is not None:
        if len(points) >= 2:
            yield Shape(points, closed and len(points) > 2, name)
    elif isinstance(value, Mapping):
        inner = next((value[key] for key in POINTS if key in value), None)
        if inner is not None:
            yield from _shapes(inner, str(value.get("name", name)), closed, size)
        else:
            for key, one in value.items():
                if isinstance(one, Mapping | list | tuple):
                    yield from _shapes(one, str(key), closed, size)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _shapes(one, name, closed, size)


def _points(value: Any, size: Point) -> tuple[Point, ...] | None:
    """The points of one shape, scaled to 0..1; None for what is none."""
    if isinstance(value, str):
        numbers = [float(number) for number in _NUMBER.findall(value)]
        return _scaled(list(zip(numbers[::2], numbers[1::2], strict=False)), size, percent=False)
    if isinstance(value, Mapping) and "width" in value and "height" in value:
        return _rectangle(value, size)
    if isinstance(value, list | tuple) and value:
        read = [_point(one) for one in value]
        if all(one is not None for one in read):
            return _scaled([one for one in read if one is not None], size, percent=False)
    return None


def _rectangle(value: Mapping[str, Any], size: Point) -> tuple[Point, ...] | None:
    numbers = [value.get("x", 0), value.get("y", 0), value["width"], value["height"]]
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    x, y, width, height = (float(number) for number in numbers)
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return _scaled(corners, size, percent=value.get("mode") == "percent")


def _point(value: Any) -> Point | None:
    if isinstance(value, Mapping):
        value = None if "width" in value else [value.get("x"), value.get("y")]
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(one, int | float) for one in value):
        return float(value[0]), float(value[1])
    return None


def _scaled(points: list[Point], size: Point, *, percent: bool) -> tuple[Point, ...]:
    """Fractions stay as they are: no shape in pixels lies within the first of them."""
    if not points:
        return ()
    if percent:
        size = (100.0, 100.0)
    elif max(max(point) for point in points) <= 1.0:
        size = (1.0, 1.0)
    width, height = (max(1.0, side) for side in size)
    return tuple((_within(x / width), _within(y / height)) for x, y in points)


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))
