"""Drawing into a picture: what an analytic follows, and its lines and areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from core.analytics import REGISTRY
from core.messages import Analytic, TrackedBox
from query_api.watching.shapes import Shape

Bgr: TypeAlias = NDArray[np.uint8]
"""``uint8[height, width, 3]``, blue first."""

Colour: TypeAlias = tuple[int, int, int]
COLOURS: tuple[Colour, ...] = (
    (80, 175, 76),
    (54, 67, 244),
    (243, 150, 33),
    (7, 193, 255),
    (176, 39, 156),
    (212, 188, 0),
    (72, 85, 121),
    (99, 30, 233),
)
SHAPE_COLOUR: Colour = (0, 255, 255)
TEXT_COLOUR: Colour = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE_EVERY = 300
"""Pixels of height for each pixel of a line's thickness."""

SMALLEST_TEXT = 0.35


def chosen(tracks: Sequence[TrackedBox], analytic: Analytic | None) -> list[TrackedBox]:
    """Those that the analytic follows; all when it is not known any more."""
    if analytic is None:
        return list(tracks)
    declared = REGISTRY.get(analytic.name)
    kinds = {"object", "face"}
    if declared is not None and declared.faces != declared.objects:
        kinds = {"face"} if declared.faces else {"object"}
    labels = _labels(analytic.parameters)
    return [
        one for one in tracks if one.kind in kinds and (labels is None or one.kind != "object" or one.label in labels)
    ]


def _labels(parameters: Mapping[str, Any]) -> frozenset[str] | None:
    given = parameters.get("labels")
    return frozenset(map(str, given)) if isinstance(given, list | tuple) else None


def draw(pixels: Bgr, tracks: Sequence[TrackedBox], shapes: Sequence[Shape]) -> None:
    """Draw into `pixels`: every shape, and every track's box with its label and number, in its own colour."""
    height, width = pixels.shape[:2]
    thickness = max(1, round(height / LINE_EVERY))
    for shape in shapes:
        points = np.array([[round(x * (width - 1)), round(y * (height - 1))] for x, y in shape.points], dtype=np.int32)
        cv2.polylines(pixels, [points], shape.closed, SHAPE_COLOUR, thickness, cv2.LINE_AA)
        if shape.name:
            _write(pixels, shape.name, (int(points[0][0]), int(points[0][1])), SHAPE_COLOUR, (0, 0, 0))
    for track in tracks:
        colour = COLOURS[track.track_id % len(COLOURS)]
        left, top = round(track.box[0] * (width - 1)), round(track.box[1] * (height - 1))
        right, bottom = round(track.box[2] * (width - 1)), round(track.box[3] * (height - 1))
        cv2.rectangle(pixels, (left, top), (right, bottom), colour, thickness)
        _write(pixels, f"{track.label} #{track.track_id}", (left, top), colour, TEXT_COLOUR)


def _write(pixels: Bgr, text: str, at: tuple[int, int], behind: Colour, colour: Colour) -> None:
    """A line of text on a ground of its own, above the point if there is room."""
    height = pixels.shape[0]
    scale = max(SMALLEST_TEXT, height / 1000)
    text = text.encode("ascii", "replace").decode()  # the font has no other letters
    (wide, high), below = cv2.getTextSize(text, FONT, scale, 1)
    left = max(0, min(at[0], pixels.shape[1] - wide))
    foot = at[1] if at[1] - high - below >= 0 else min(height, at[1] + high + below)
    cv2.rectangle(pixels, (left, foot - high - below), (left + wide, foot), behind, cv2.FILLED)
    cv2.putText(pixels, text, (left, foot - below // 2), FONT, scale, colour, 1, cv2.LINE_AA)
