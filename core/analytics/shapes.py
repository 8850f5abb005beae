"""Lines, zones and regions as parameters give them, and as parts of the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from core.analytics.schema import NUMBER
from core.errors import InvalidInput

Point: TypeAlias = tuple[float, float]
"""x to the right, y downwards."""

Mode: TypeAlias = Literal["relative", "abs", "percent"]
SHAPES = ("lines", "zones")
REGIONS = ("roi", "droi")
LIMITS: Mapping[str, float] = {"relative": 1.0, "percent": 100.0}
SIDES: Mapping[str, tuple[str, str]] = {
    "up_down": ("up", "down"),
    "left_right": ("left", "right"),
    "in_out": ("in", "out"),
}
"""The two directions of each way to call them."""

_WKT_NUMBER = re.compile(NUMBER)


def points_of(given: Sequence[Any]) -> tuple[Point, ...]:
    """Points that are pairs, or objects with x and y."""
    return tuple(
        (float(point["x"]), float(point["y"])) if isinstance(point, Mapping) else (float(point[0]), float(point[1]))
        for point in given
    )


def relative(points: Sequence[Point], mode: str, width: int, height: int) -> tuple[Point, ...]:
    """The same points in 0..1 of the picture's width and height.

    Args:
        width, height: pixels of the upright video; where they are unknown, so is where its pixels are.
    """
    across, down = (float(width or 1), float(height or 1)) if mode == "abs" else (LIMITS[mode], LIMITS[mode])
    return tuple((x / across, y / down) for x, y in points)


def region_corners(parameter: Mapping[str, Any] | str | None) -> tuple[tuple[Point, ...], Mode] | None:
    """Corners of a valid `roi` or `droi`, and what they are measured in; None is the whole picture."""
    if parameter is None:
        return None
    if isinstance(parameter, str):
        numbers = [float(number) for number in _WKT_NUMBER.findall(parameter)]
        return _open(tuple(zip(numbers[::2], numbers[1::2], strict=True))), "abs"
    x, y, width, height = (float(parameter[name]) for name in ("x", "y", "width", "height"))
    if not width and not height:
        return None
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return corners, "percent" if parameter["mode"] == "percent" else "abs"


def located(parameters: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    """Valid parameters with the points of their lines and zones in 0..1 of the picture, as pairs."""
    whole = dict(parameters)
    for name in SHAPES:
        if name in whole and all(map(_is_shape, whole[name])):
            whole[name] = [
                {
                    **shape,
                    "points": relative(points_of(shape["points"]), shape["mode"], width, height),
                    "mode": "relative",
                }
                for shape in whole[name]
            ]
    return whole


def check(parameters: Mapping[str, Any]) -> None:
    """What a schema cannot say of lines, zones and regions.

    Raises:
        InvalidInput: a shape has no extent, lies outside of what it is measured in, or has another's name.
    """
    for name in REGIONS:
        if parameters.get(name) is not None:
            _check_region(parameters[name], f"parameters.{name}")
    for name in SHAPES:
        names: set[str] = set()
        for field, shape in _shapes(parameters, name):
            if shape["name"] in names:
                raise InvalidInput(f"there are two {name} {shape['name']!r}", f"{field}.name")
            names.add(shape["name"])
            points = points_of(shape["points"])
            _check_limits(points, shape["mode"], f"{field}.points")
            if name == "zones":
                _check_area(points, f"{field}.points")
            else:
                _check_line(shape, points, field)


def _shapes(parameters: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for i, shape in enumerate(parameters.get(name, ())):
        if _is_shape(shape):
            yield f"parameters.{name}.{i}", shape


def _is_shape(value: Any) -> bool:
    """Whether it is of the schemas of `core.analytics.schema`: a plugin may use such a name otherwise."""
    return isinstance(value, Mapping) and {"name", "points", "mode"} <= value.keys()


def _check_region(parameter: Any, field: str) -> None:
    found = region_corners(parameter)
    if found is None:
        return
    corners, mode = found
    _check_area(corners, field)
    if mode == "percent" and max(parameter["x"], parameter["y"], parameter["width"], parameter["height"]) > 100:
        raise InvalidInput("hundredths are at most 100", field)


def _check_limits(points: Sequence[Point], mode: str, field: str) -> None:
    most = LIMITS.get(mode)
    if most is not None and not all(0.0 <= number <= most for point in points for number in point):
        raise InvalidInput(f"points with mode {mode!r} are within 0 to {most:g}; pixels have mode 'abs'", field)


def _check_area(points: Sequence[Point], field: str) -> None:
    following = (*points[1:], points[0])
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, following, strict=True))
    if abs(twice) < 1e-9:
        raise InvalidInput("it has no area", field)


def _check_line(line: Mapping[str, Any], points: Sequence[Point], field: str) -> None:
    if any(a == b for a, b in pairwise(points)):
        raise InvalidInput("two points of a line that follow each other are the same", f"{field}.points")
    if "sides" not in line:
        return
    (x, y), (last_x, last_y) = points[0], points[-1]
    sides = line["sides"]
    if (sides == "up_down" and x == last_x) or (sides == "left_right" and y == last_y):
        raise InvalidInput(
            f"a line that begins and ends {'below' if sides == 'up_down' else 'beside'} itself "
            f"has no {' and '.join(SIDES[sides])}; sides 'in_out' fit any line",
            f"{field}.sides",
        )
    for word in line.get("count", ()):
        if word not in SIDES[sides]:
            raise InvalidInput(f"the directions of sides {sides!r} are {' and '.join(SIDES[sides])}", f"{field}.count")


def _open(ring: tuple[Point, ...]) -> tuple[Point, ...]:
    """A ring without its first point at the end."""
    return ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring
