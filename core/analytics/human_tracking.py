"""`human_tracking`: an event for each person's visit."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import count, min_score, object_of, seconds

HUMAN_TRACKING = Declaration(
    id="human_tracking",
    version=1,
    description="One event for each person's visit: where the body was, the whole picture, the best view of it.",
    event_types=("human_tracking",),
    type="tracking",
    targets=("body_detection", "overview", "aggregated_body_thumbnail"),
    parameters=object_of(
        "When a person's visit begins and ends. Targets: `body_detection` tells where the body was in each frame, "
        "`overview` keeps the whole picture of the frame in which the visit was known, "
        "`aggregated_body_thumbnail` the best view of the body.",
        {
            "probe_count": count("frames a person must be seen in before there is an event", 3, 1, 1000),
            "min_score": min_score("a person"),
            "min_duration_s": seconds("and for this many seconds", 0.2, 60.0),
            "max_gap_s": seconds("a visit lasts on while the person is missed for less than this", 1.5, 600.0),
        },
    ),
    presets={
        "sure": {"probe_count": 5, "min_score": 0.5, "min_duration_s": 1.0},
        "crowded": {"max_gap_s": 4.0},
    },
    decided_by=("probe_count", "min_score", "min_duration_s", "max_gap_s", "roi", "droi"),
)
