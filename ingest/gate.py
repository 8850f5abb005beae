"""The motion gate: whether a frame differs enough from those before it to be looked at.

As camera recorders do it, by background subtraction: each cell of a small luma picture is compared
with a reference that follows the scene slowly. Cells that differ by the threshold have changed; where
enough of the picture has, there is motion. Frames are let through

* from the first one on, and from each with motion on, for the hold time: so a thing that comes to
  rest is seen at rest, and one that has left is seen to be gone;
* singly, when the light has changed: most of the picture differs at once, and the scene is then learned
  anew; or all of it is lighter or darker by the threshold, as when a camera sets its exposure, which is
  taken over at once, as every smaller change of it is;
* singly, when none was for the re-check interval.

The decision is a matter of the frames and their times alone: the same frames, given in the same order
from the same first one, get the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from core.messages import Analytic, Gate, StreamSpec
from ingest.luma import Cells, Grid
from ingest.probe import Probe

FOLLOW_S = 3.0
"""The reference takes what is new over within about so many seconds. Light that changes more slowly than the
threshold in that time is no motion; a thing that has come to rest is a part of the scene after some of them."""

LIGHT_SHARE = 0.6
"""Where so many of all cells, and of those that count, change at once, it is the light and not a thing."""

LEAST_GAP_S = 1.5
"""A visit lasts on while its thing is missed for so long, where an analytic does not say otherwise."""

FRAMES_BEYOND = 5
"""Let through beyond that gap, so that whoever follows things has seen by then that one is gone, at any rate."""

SUBPIXEL_BITS = 8


@dataclass(slots=True)
class _Scene:
    """What is known of what the camera sees.

    Attributes:
        counted: cells outside of every mask, ``bool[rows, columns]``.
        reference: their luma as it has been, ``float32[rows, columns]``.
        seen_s, moved_s, let_s: media second of the newest frame, of that with motion, of that let through.
    """

    grid: Grid
    counted: NDArray[np.bool_]
    reference: NDArray[np.float32]
    seen_s: Fraction
    moved_s: Fraction
    let_s: Fraction


class MotionGate:
    """Decides about one source's frames, in their order.

    Args:
        gate: the stream's own settings.
        rotation: clockwise degrees that turn a decoded frame upright, as the masks are.
        hold_s: media seconds for which frames are let through after the last motion.
    """

    def __init__(self, gate: Gate, rotation: int, hold_s: Fraction) -> None:
        self._gate = gate
        self._rotation = rotation
        self._hold_s = hold_s
        self._recheck_s = Fraction(repr(gate.recheck_s))
        self._scene: _Scene | None = None

    @classmethod
    def of(cls, spec: StreamSpec, probe: Probe) -> MotionGate | None:
        """The gate of a stream's source; None where every frame is looked at."""
        if spec.gate is None:
            return None
        step_s = probe.frame_s
        if spec.source.fps > 0:
            step_s = max(step_s, 1 / Fraction(repr(float(spec.source.fps))))
        return cls(spec.gate, probe.rotation, hold_s(spec.analytics, step_s))

    def lets(self, cells: Cells, time_s: Fraction) -> bool:
        """Whether the frame at media second `time_s` is to be looked at; times rise from call to call."""
        luma = cells.luma.astype(np.float32)
        scene = self._scene
        if scene is None or scene.grid != cells.grid:
            counted = outside(self._gate.masks, cells.grid, self._rotation)
            self._scene = _Scene(cells.grid, counted, luma, time_s, time_s, time_s)
            return True
        exposure = _exposure(luma - scene.reference, scene.counted, self._gate.threshold)
        scene.reference += np.float32(exposure)
        differs = np.abs(luma - scene.reference) >= self._gate.threshold
        changed = int(np.count_nonzero(differs & scene.counted))
        least = max(1, math.ceil(self._gate.min_area * luma.size))
        light = changed >= LIGHT_SHARE * int(np.count_nonzero(scene.counted)) and changed >= least
        light = light and int(np.count_nonzero(differs)) >= LIGHT_SHARE * luma.size
        if light:
            scene.reference = luma
        else:
            part = min(1.0, float(time_s - scene.seen_s) / FOLLOW_S)
            scene.reference += (luma - scene.reference) * np.float32(part)
        scene.seen_s = time_s
        if changed >= least and not light:
            scene.moved_s = time_s
        light = light or abs(exposure) >= self._gate.threshold
        lets = light or time_s - scene.moved_s <= self._hold_s or time_s - scene.let_s >= self._recheck_s
        if lets:
            scene.let_s = time_s
        return lets


def _exposure(difference: NDArray[np.float32], counted: NDArray[np.bool_], threshold: float) -> float:
    """By how much the whole picture is lighter, as when a camera sets its exposure; 0 where only a part of it is.

    What fills all that is not masked is a thing, and what goes on behind masks is nobody's concern: both sides must
    have changed by about as much.
    """
    seen = difference[counted]
    if not seen.size:
        return 0.0
    everywhere, here = float(np.median(difference)), float(np.median(seen))
    return here if abs(everywhere - here) < threshold / 2 else 0.0


def hold_s(analytics: Sequence[Analytic], step_s: Fraction) -> Fraction:
    """How long frames are let through after the last motion: until a thing that has gone is known to be.

    Args:
        step_s: media seconds from one frame that is read to the next.
    """
    return Fraction(repr(max((LEAST_GAP_S, *_gaps(analytics))))) + FRAMES_BEYOND * step_s


def _gaps(analytics: Sequence[Analytic]) -> Iterator[float]:
    for analytic in analytics:
        gap = analytic.parameters.get("max_gap_s")
        if isinstance(gap, int | float):
            yield float(gap)


def outside(masks: Sequence[Sequence[tuple[float, float]]], grid: Grid, rotation: int) -> NDArray[np.bool_]:
    """The cells that no mask touches, ``bool[rows, columns]``.

    Args:
        masks: polygons of (x, y) in 0..1 of the upright picture.
        rotation: clockwise degrees that turn a decoded frame upright.
    """
    covered = np.zeros((grid.cells.height, grid.cells.width), np.uint8)
    scale = np.array([grid.coded.width / grid.side, grid.coded.height / grid.side])
    for mask in masks:
        corners = np.array([decoded_point(x, y, rotation) for x, y in mask]) * scale - 0.5
        points = np.rint(corners * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(covered, [points], 1, shift=SUBPIXEL_BITS)
    return np.asarray(covered == 0, dtype=np.bool_)


def decoded_point(x: float, y: float, rotation: int) -> tuple[float, float]:
    """Where a point of the upright picture lies in the picture as it is decoded; both 0..1.

    >>> decoded_point(1.0, 0.0, 90)
    (0.0, 0.0)
    """
    match rotation % 360:
        case 90:
            return y, 1.0 - x
        case 180:
            return 1.0 - x, 1.0 - y
        case 270:
            return 1.0 - y, x
        case _:
            return x, y
