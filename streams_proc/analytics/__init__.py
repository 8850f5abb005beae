"""What each analytic of `core.analytics` does, under the same ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from core import analytics as declared
from core.messages import Analytic as Asked
from streams_proc.analytics.analytic import Analytic, Subject
from streams_proc.analytics.face_detection import face_detection
from streams_proc.analytics.object_detection import object_detection
from streams_proc.analytics.people_count import PeopleCount

Make = Callable[[Subject, Mapping[str, Any], tuple[str, ...], float], Analytic]

IMPLEMENTATIONS: Mapping[str, Make] = MappingProxyType(
    {
        declared.OBJECT_DETECTION.id: object_detection,
        declared.PEOPLE_COUNT.id: PeopleCount,
        declared.FACE_DETECTION.id: face_detection,
    }
)
"""By id: `(subject, parameters with their defaults, targets, score)` to a new analytic."""


def start(subject: Subject, asked: Asked, min_score: float) -> Analytic:
    """A new analytic of a run.

    Raises:
        InvalidInput: it is not in the registry, or its parameters are not valid.
    """
    whole = declared.validate(asked)
    return IMPLEMENTATIONS[whole.name](subject, whole.parameters, whole.targets, min_score)
