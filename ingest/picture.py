"""Pixels: the size frames are sent at, turning them upright, and JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]
"""``uint8[height, width, 3]``, red first."""


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels across and down."""

    width: int
    height: int

    def turned(self, degrees: int) -> Size:
        """The size after a clockwise turn by `degrees` (multiple of 90)."""
        return Size(self.height, self.width) if degrees % 180 else self

    def fitted(self, long_side: int) -> Size:
        """Scaled down so that neither side is longer than `long_side`; never up, never below 1."""
        longest = max(self.width, self.height)
        if longest <= long_side:
            return self
        return Size(
            max(1, round(self.width * long_side / longest)),
            max(1, round(self.height * long_side / longest)),
        )


def squared(size: Size, pixel_aspect: Fraction | None) -> Size:
    """The size with square pixels; the squeezed side is widened so that no detail is lost."""
    if not pixel_aspect or pixel_aspect <= 0 or pixel_aspect == 1:
        return size
    if pixel_aspect > 1:
        return Size(max(1, round(size.width * pixel_aspect)), size.height)
    return Size(size.width, max(1, round(size.height / pixel_aspect)))


def upright(image: Rgb, degrees: int) -> Rgb:
    """`image` turned clockwise by `degrees` (0, 90, 180, 270)."""
    if degrees % 360 == 0:
        return image
    return np.ascontiguousarray(np.rot90(image, -(degrees // 90)))


def scaled(image: Rgb, size: Size) -> Rgb:
    """`image` at `size`, by area where it shrinks."""
    height, width = image.shape[:2]
    if (width, height) == (size.width, size.height):
        return image
    shrinks = size.width <= width and size.height <= height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size.width, size.height), interpolation=method), dtype=np.uint8)


def to_jpeg(image: Rgb, quality: int) -> bytes:
    """JPEG of `image`, 4:2:0; the same pixels give the same bytes."""
    encoded: bytes = simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB", colorsubsampling="420")
    return encoded
