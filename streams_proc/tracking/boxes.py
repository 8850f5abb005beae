"""Overlaps of boxes, and which of several boxes of one thing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.messages import Box

Boxes = NDArray[np.float64]
"""Corners, shape `[N, 4]`: x_min, y_min, x_max, y_max."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that a detector saw in one frame.

    Attributes:
        position: in the frame's list of detections.
    """

    label: str
    score: float
    box: Box
    position: int


def corners(boxes: Sequence[Box]) -> Boxes:
    """`boxes` as one array; `[0, 4]` when there are none."""
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def overlaps(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """Intersection over union, `[len(one), len(other)]`; 0 where both are without area."""
    shared = _shared(one, other)
    union = _areas(one)[:, None] + _areas(other)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def best_of_overlapping(seen: Sequence[Seen], same_label: float, any_label: float) -> list[Seen]:
    """The highest score of each heap of boxes that overlap more than what their labels allow.

    Equal scores keep the earlier position, so the same detections always keep the same boxes.

    Args:
        same_label, any_label: intersection over union from which two boxes are one thing.
    """
    ranked = sorted(seen, key=lambda s: (-s.score, s.position))
    matrix = overlaps(corners([s.box for s in ranked]), corners([s.box for s in ranked]))
    kept: list[int] = []
    for i, one in enumerate(ranked):
        if all(matrix[i, k] <= (same_label if one.label == ranked[k].label else any_label) for k in kept):
            kept.append(i)
    return [ranked[i] for i in kept]


def _areas(boxes: Boxes) -> NDArray[np.float64]:
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None)
    return np.asarray(sides[:, 0] * sides[:, 1])


def _shared(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    sides = np.clip(high - low, 0.0, None)
    return np.asarray(sides[..., 0] * sides[..., 1])
