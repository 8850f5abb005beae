"""`line_crossing`: an event for each crossing of a line."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import HYSTERESIS, LABELS, following, lines, min_score, object_of

LINE_CROSSING = Declaration(
    id="line_crossing",
    version=1,
    description="One event for each time that a thing crosses a line, with its direction, and counts by direction.",
    event_types=("line_crossing",),
    type="counting",
    parameters=object_of(
        "Which lines are watched for what. A thing crosses where the middle of its box's lower edge, its contact "
        "with the ground, goes from one side to the other between the line's ends.",
        {
            "lines": lines(
                [{"name": "middle", "points": [[0, 0.5], [1, 0.5]], "mode": "relative", "sides": "up_down"}]
            ),
            "labels": LABELS,
            "hysteresis": HYSTERESIS,
            **following(min_score("a thing")),
        },
    ),
    presets={
        "people": {"labels": ["person"]},
        "vehicles": {"labels": ["bicycle", "car", "motorcycle", "bus", "truck"]},
        "seen_from_above": {"labels": "any"},
    },
    decided_by=(
        "lines",
        "labels",
        "hysteresis",
        "min_score",
        "min_duration_s",
        "min_boxes",
        "max_gap_s",
        "roi",
        "droi",
    ),
)
