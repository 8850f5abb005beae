"""`object_detection`: an event for each visit of an object."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import LABELS, following, fraction, object_of

OBJECT_DETECTION = Declaration(
    id="object_detection",
    version=1,
    minor=1,
    description="One event for each visit of an object: when it came, when it went, its best picture.",
    event_types=("object",),
    parameters=object_of(
        "Which objects are followed, and what makes a visit.",
        {
            "labels": LABELS,
            **following(
                fraction("score a thing must be seen with once to be a visit; absent: the setting analyse.min_score")
            ),
        },
    ),
    presets={
        "people": {"labels": ["person"]},
        "vehicles": {"labels": ["bicycle", "car", "motorcycle", "bus", "truck"]},
        "seen_from_above": {"labels": "any"},
    },
    decided_by=("labels", "min_score", "min_duration_s", "min_boxes", "max_gap_s", "roi", "droi"),
)
