"""When a thing is followed, believed and given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.analytics import ANY

BEGIN_SHARE = 0.75
"""A thing is followed from this share of the score that it must reach to be believed."""

CONTINUE_SHARE = 0.4
"""And recognised again from this share."""

SAME_LABEL_IOU = 0.55
"""Boxes of one label that overlap more than this are one thing twice."""

OTHER_LABEL_IOU = 0.7
"""So are boxes of two labels above this: a car that is also seen as a truck."""

ANY_LABEL_IOU = 0.3
"""And where labels mean nothing, all boxes above this."""

CLEAR_MOVE = 0.5
"""What has moved by this share of its own size needs only the lower score: wrong detections stand still."""

DOUBTFUL_GAP_S = 0.3
"""A thing that is not a visit yet is given up when it is missed for longer than this."""

LEAST_FRAMES_MISSED = 2.5
"""Rare frames stretch every gap to this many of them: one miss never ends a visit."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one follower follows.

    Attributes:
        min_score: a thing must once be seen with, to be believed (to be a visit).
        min_duration_s, min_boxes: and for this long, in so many frames.
        max_gap_s: a visit lasts on while its thing is missed for less than this.
        any_label: labels mean nothing: one thing for boxes of whatever label.
    """

    min_score: float
    min_duration_s: float
    min_boxes: int
    max_gap_s: float
    any_label: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any], min_score: float) -> Rules:
        """The rules in an analytic's parameters; `min_score` where they name none."""
        return cls(
            min_score=float(parameters.get("min_score", min_score)),
            min_duration_s=float(parameters["min_duration_s"]),
            min_boxes=int(parameters["min_boxes"]),
            max_gap_s=float(parameters["max_gap_s"]),
            any_label=parameters.get("labels") == ANY,
        )

    @property
    def begin_score(self) -> float:
        """Detections from this on are followed."""
        return self.min_score * BEGIN_SHARE

    @property
    def continue_score(self) -> float:
        """Detections below this are not looked at."""
        return self.min_score * CONTINUE_SHARE

    @property
    def doubles(self) -> tuple[float, float]:
        """Overlap above which boxes are one thing: of the same label, of any two."""
        return (ANY_LABEL_IOU, ANY_LABEL_IOU) if self.any_label else (SAME_LABEL_IOU, OTHER_LABEL_IOU)
