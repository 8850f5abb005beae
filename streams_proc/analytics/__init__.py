"""What each analytic of `core.analytics` does, under the same ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from core import analytics as declared
from core.analytics.shapes import located
from core.errors import InvalidInput
from core.messages import Analytic as Asked
from streams_proc.analytics.analytic import Analytic, Subject
from streams_proc.analytics.face_detection import face_detection
from streams_proc.analytics.guard import Guarded
from streams_proc.analytics.human_tracking import HumanTracking
from streams_proc.analytics.intrusion import intrusion
from streams_proc.analytics.line_crossing import LineCrossing
from streams_proc.analytics.object_detection import object_detection
from streams_proc.analytics.people_count import PeopleCount
from streams_proc.analytics.zone_dwell import zone_dwell

Make = Callable[[Subject, Mapping[str, Any], tuple[str, ...], float], Analytic]

IMPLEMENTATIONS: Mapping[str, Make] = MappingProxyType(
    {
        declared.OBJECT_DETECTION.id: object_detection,
        declared.PEOPLE_COUNT.id: PeopleCount,
        declared.FACE_DETECTION.id: face_detection,
        declared.LINE_CROSSING.id: LineCrossing,
        declared.ZONE_DWELL.id: zone_dwell,
        declared.INTRUSION.id: intrusion,
        declared.HUMAN_TRACKING.id: HumanTracking,
    }
)
"""By id: `(subject, parameters with their defaults, targets, score)` to a new analytic; plugins have their own."""


def start(subject: Subject, asked: Asked, min_score: float) -> Analytic:
    """A new analytic of a run.

    Raises:
        InvalidInput: it is not in the registry, its parameters are not valid, or its plugin cannot make it.
    """
    whole = declared.accepted(asked)
    parameters = located(whole.parameters, subject.width, subject.height)
    make = IMPLEMENTATIONS.get(whole.name)
    if make is not None:
        return make(subject, parameters, whole.targets, min_score)
    registry = declared.REGISTRY
    try:
        analytic = registry.plugin(whole.name).make(subject, parameters, whole.targets, min_score)
        return Guarded(subject, whole.name, registry.package(whole.name), analytic)
    except Exception as error:  # whatever it is, it is the plugin's
        raise InvalidInput(f"the plugin of {whole.name!r} cannot make it: {error!r}", "name") from error
