"""Points, lines and polygons on a plane; plain arithmetic, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from core.analytics.shapes import Point
from core.messages import Box

Polygon: TypeAlias = Sequence[Point]
"""Its corners in order; the last is joined to the first."""

EDGE = 1e-9
"""What is so near to a border lies on it."""


def middle(box: Box) -> Point:
    """Of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def ground(box: Box) -> Point:
    """Where what a box holds touches the ground: the middle of its lower edge."""
    return (box[0] + box[2]) / 2, box[3]


def holds(polygon: Polygon, point: Point) -> bool:
    """Whether a point lies in a polygon, borders included; where it overlaps itself, evenly often is outside."""
    x, y = point
    within = False
    for (ax, ay), (bx, by) in pairwise((*polygon, polygon[0])):
        if _to_segment(point, (ax, ay), (bx, by)) <= EDGE:
            return True
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            within = not within
    return within


def distance(line: Sequence[Point], point: Point) -> float:
    """From a point to the nearest of a line of two or more points."""
    return min(_to_segment(point, a, b) for a, b in pairwise(line))


def to_border(polygon: Polygon, point: Point) -> float:
    """From a point to the nearest of a polygon's border."""
    return distance((*polygon, polygon[0]), point)


def crossings(line: Sequence[Point], before: Point, after: Point) -> int:
    """How often the way from `before` to `after` goes over a line to its right, less how often to its left.

    Right is where it is for whoever goes along the line. A point on the line lies to its right, so a way
    that is cut anywhere crosses as often as the whole.
    """
    found = 0
    for a, b in pairwise(line):
        was, now = _right(a, b, before), _right(a, b, after)
        if was != now and _right(before, after, a) != _right(before, after, b):
            found += 1 if now else -1
    return found


def _right(a: Point, b: Point, point: Point) -> bool:
    """Whether a point lies to the right of whoever goes from `a` to `b`; y grows downwards."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) >= 0.0


def _to_segment(point: Point, a: Point, b: Point) -> float:
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    along = ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / square if square > 0.0 else 0.0
    along = min(1.0, max(0.0, along))
    return math.hypot(point[0] - a[0] - along * dx, point[1] - a[1] - along * dy)
