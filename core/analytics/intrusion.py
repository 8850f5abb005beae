"""`intrusion`: an event for each thing that enters a zone."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import HYSTERESIS, LABELS, WHOLE_PICTURE, following, min_score, object_of, seconds, zones

INTRUSION = Declaration(
    id="intrusion",
    version=1,
    description="One event for each thing that enters a zone, told at once, with its end.",
    event_types=("intrusion",),
    type="alert",
    parameters=object_of(
        "Which zones nothing may enter. A thing is where the middle of its box's lower edge is, its contact with "
        "the ground.",
        {
            "zones": zones([WHOLE_PICTURE]),
            "min_inside_s": seconds("seconds a thing must have been inside before it is told", 0.0, 3600.0),
            "labels": LABELS,
            "hysteresis": HYSTERESIS,
            **following(min_score("a thing")),
        },
    ),
    presets={
        "people": {"labels": ["person"]},
        "people_and_vehicles": {"labels": ["person", "bicycle", "car", "motorcycle", "bus", "truck"]},
    },
    decided_by=("zones", "min_inside_s", "labels", "hysteresis", "min_score", "roi", "droi"),
)
