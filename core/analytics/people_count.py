"""`people_count`: an event while the number of people is as described."""

from __future__ import annotations

from core.analytics.declaration import Declaration
from core.analytics.schema import count, min_score, object_of, seconds

PEOPLE_COUNT = Declaration(
    id="people_count",
    version=1,
    description="An event while the number of people in the picture, or a part of it, is as described.",
    event_types=("crowd",),
    type="counting",
    targets=("coordinates", "overview"),
    parameters=object_of(
        "When a number of people is an event: more than `people_count_threshold`; or, in the other form, at most "
        "`people_count__lte`, at least `people_count__gte`, or with both: within them where gte <= lte, "
        "outside of them where lte < gte.",
        {
            "people_count_threshold": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100_000,
                "description": "an event is while more people than this are seen; 0 where no form is given",
            },
            "people_count__lte": {"type": "integer", "minimum": 0, "maximum": 100_000},
            "people_count__gte": {"type": "integer", "minimum": 0, "maximum": 100_000},
            "probe_count": count("consecutive estimations that begin, or end, an event", 3, 1, 1000),
            "event_delay": seconds("seconds the number must hold before the event begins", 0.0, 86_400.0),
            "rate": {
                "type": "object",
                "properties": {
                    "period": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400},
                    "unit": {"enum": ["frame", "second"], "default": "second"},
                },
                "required": ["period"],
                "additionalProperties": False,
                "default": {"period": 1, "unit": "frame"},
                "description": "how often the people are counted",
            },
            "min_score": min_score("a person"),
            "image_retain_policy": {
                "type": "object",
                "properties": {
                    "mimetype": {"enum": ["PNG", "JPEG"], "default": "JPEG"},
                    "quality": {"type": "number", "minimum": 0, "maximum": 1, "description": "of a JPEG"},
                    "max_size": {
                        "type": "integer",
                        "minimum": 0,
                        "default": 0,
                        "description": "pixels of the longer side; 0: the frame's own",
                    },
                    "ttl": {
                        "type": "integer",
                        "minimum": -1,
                        "description": "not obeyed: the configuration of the database says how long",
                    },
                },
                "additionalProperties": False,
                "description": "how the overview's picture is kept; as the frame is where nothing is said",
            },
        },
        **{
            "not": {
                "description": "people_count_threshold may not stand beside people_count__lte or people_count__gte",
                "anyOf": [
                    {"required": ["people_count_threshold", "people_count__lte"]},
                    {"required": ["people_count_threshold", "people_count__gte"]},
                ],
            }
        },
    ),
    presets={
        "somebody": {"people_count_threshold": 0},
        "nobody": {"people_count__lte": 0, "event_delay": 60},
        "crowd": {"people_count__gte": 10, "event_delay": 5},
    },
    decided_by=(
        "people_count_threshold",
        "people_count__lte",
        "people_count__gte",
        "probe_count",
        "event_delay",
        "rate",
        "min_score",
        "roi",
        "droi",
    ),
)
