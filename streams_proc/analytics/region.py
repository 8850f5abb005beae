"""Parts of the picture in which things count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.analytics.shapes import REGIONS, Point, region_corners, relative
from streams_proc.analytics.geometry import holds


@dataclass(frozen=True, slots=True)
class Region:
    """A polygon; its border belongs to it.

    Attributes:
        corners: in 0..1 of the picture's width and height.
    """

    corners: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Whether `point` (0..1 of the picture's width and height) lies in the region."""
        return holds(self.corners, point)


def regions(parameters: Mapping[str, Any], width: int, height: int) -> tuple[Region, ...]:
    """What valid parameters say with `roi` and `droi`: a thing counts where it lies in all of them.

    Args:
        width, height: pixels of the upright video.
    """
    found = (region_corners(parameters.get(name)) for name in REGIONS)
    return tuple(Region(relative(corners, mode, width, height)) for corners, mode in filter(None, found))
