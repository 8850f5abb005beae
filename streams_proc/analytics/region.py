"""Parts of the picture, as parameters name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Region:
    """A polygon; its border belongs to it.

    Attributes:
        corners: in pixels of the upright video, or hundredths of its sides.
    """

    corners: tuple[Point, ...]
    percent: bool = False

    def holds(self, point: Point, width: int, height: int) -> bool:
        """Whether `point` (0..1 of the picture's width and height) lies in the region."""
        scale = (100.0, 100.0) if self.percent else (float(width), float(height))
        at = (point[0] * scale[0], point[1] * scale[1])
        contour = np.array(self.corners, dtype=np.float32).reshape(-1, 1, 2)
        return cv2.pointPolygonTest(contour, at, measureDist=False) >= 0


def region(parameter: Mapping[str, Any] | str | None) -> Region | None:
    """A rectangle or WKT polygon of valid parameters; None is the whole picture."""
    if parameter is None:
        return None
    if isinstance(parameter, str):
        numbers = [float(n) for n in _NUMBER.findall(parameter)]
        return Region(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    x, y = float(parameter["x"]), float(parameter["y"])
    right, bottom = x + float(parameter["width"]), y + float(parameter["height"])
    return Region(((x, y), (right, y), (right, bottom), (x, bottom)), parameter["mode"] == "percent")
