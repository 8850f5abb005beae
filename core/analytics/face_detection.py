"""`face_detection`: an event for each face's visit."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import following, fraction, object_of

FACE_DETECTION = Declaration(
    id="face_detection",
    version=1,
    minor=1,
    description="One event for each face's visit, with its best picture and a searchable embedding.",
    event_types=("face",),
    faces=True,
    objects=False,
    parameters=object_of(
        "What makes a face's visit.",
        following(fraction("score a face must be seen with once to be a visit", 0.6)),
    ),
    presets={
        "sure": {"min_score": 0.8, "min_boxes": 5},
        "passing_by": {"min_duration_s": 0.0, "min_boxes": 1},
    },
    decided_by=("min_score", "min_duration_s", "min_boxes", "max_gap_s", "roi", "droi"),
)
