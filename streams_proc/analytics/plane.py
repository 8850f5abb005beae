"""The picture as a plane on which a step to the right is as long as one downwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.analytics.shapes import Point


@dataclass(frozen=True, slots=True)
class Plane:
    """Its unit is the picture's long side.

    Attributes:
        across, down: width and height of the picture.
    """

    across: float = 1.0
    down: float = 1.0

    @classmethod
    def of(cls, width: int, height: int) -> Plane:
        """Of a picture of so many pixels; a square where they are unknown."""
        long = max(width, height)
        return cls(width / long, height / long) if width > 0 and height > 0 else cls()

    def at(self, point: Point) -> Point:
        """A point that is given in 0..1 of the picture's width and height."""
        return point[0] * self.across, point[1] * self.down

    def all(self, points: Iterable[Point]) -> tuple[Point, ...]:
        """Several of them."""
        return tuple(map(self.at, points))
