"""`zone_dwell`: an event for each stay in a zone."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import HYSTERESIS, LABELS, WHOLE_PICTURE, following, min_score, object_of, seconds, zones

ZONE_DWELL = Declaration(
    id="zone_dwell",
    version=1,
    description="One event for each thing that stays in a zone: when it came in, when it went out, how long it stayed.",
    event_types=("zone_dwell",),
    type="dwelling",
    parameters=object_of(
        "Which zones are watched for what, and how long a stay must last. A thing is where the middle of its box's "
        "lower edge is, its contact with the ground.",
        {
            "zones": zones([WHOLE_PICTURE]),
            "min_dwell_s": seconds("seconds a thing must have been inside before it is an event", 5.0, 86_400.0),
            "labels": LABELS,
            "hysteresis": HYSTERESIS,
            **following(min_score("a thing")),
        },
    ),
    presets={
        "loitering": {"labels": ["person"], "min_dwell_s": 60},
        "parking": {"labels": ["car", "motorcycle", "bus", "truck"], "min_dwell_s": 300, "max_gap_s": 10},
    },
    decided_by=("zones", "min_dwell_s", "labels", "hysteresis", "min_score", "roi", "droi"),
)
