"""The analytics that a stream may ask for: what each is called and what may be configured.

Only declarations live here, a file each, so that a submission can be checked where it enters; what
an analytic does with a frame is `streams_proc.analytics`, under the same ids (a test compares the
two). Third parties add theirs through the entry-point group ``sightline.analytics``
(docs/analytics.md).
"""

from __future__ import annotations

import msgspec

from core import schedules
from core.analytics.declaration import Declaration
from core.analytics.face_detection import FACE_DETECTION
from core.analytics.human_tracking import HUMAN_TRACKING
from core.analytics.intrusion import INTRUSION
from core.analytics.line_crossing import LINE_CROSSING
from core.analytics.object_detection import OBJECT_DETECTION
from core.analytics.people_count import PEOPLE_COUNT
from core.analytics.registry import Plugin, Registry
from core.analytics.schema import ANY
from core.analytics.zone_dwell import ZONE_DWELL
from core.errors import InvalidInput
from core.messages import Analytic

__all__ = [
    "ANY",
    "BUILT_IN",
    "FACE_DETECTION",
    "HUMAN_TRACKING",
    "INTRUSION",
    "LINE_CROSSING",
    "OBJECT_DETECTION",
    "PEOPLE_COUNT",
    "REGISTRY",
    "ZONE_DWELL",
    "Declaration",
    "Plugin",
    "Registry",
    "accepted",
    "needs_faces",
    "validate",
]

BUILT_IN = (
    OBJECT_DETECTION,
    PEOPLE_COUNT,
    FACE_DETECTION,
    LINE_CROSSING,
    ZONE_DWELL,
    INTRUSION,
    HUMAN_TRACKING,
)
"""The analytics that come with Sightline."""

REGISTRY = Registry(BUILT_IN)
"""Every analytic, by its id: the built-in ones, then those of plugins."""


def validate(analytic: Analytic) -> Analytic:
    """`analytic` with its defaults filled in.

    Raises:
        InvalidInput: no such analytic, target or parameter, or a value that is not allowed; the
            field is a dotted path such as ``parameters.roi.width`` or ``schedules.0.begin``.
    """
    declared = REGISTRY.get(analytic.name)
    if declared is None:
        raise InvalidInput(f"no analytic {analytic.name!r}; there are {', '.join(REGISTRY)}", "name")
    for target in analytic.targets:
        if target not in declared.targets:
            allowed = ", ".join(declared.targets) or "none"
            raise InvalidInput(f"no target {target!r}; {analytic.name} has {allowed}", "targets")
    parameters = declared.complete(analytic.parameters)
    schedules.check(analytic.schedules)
    return msgspec.structs.replace(analytic, parameters=parameters)


def accepted(analytic: Analytic) -> Analytic:
    """As `validate`, for one that was accepted when it was asked for, perhaps by an older version.

    Objects in it may have fields that nobody knows, which were not refused then; and whom an `event_policy` tells is
    not asked where frames are analysed. Raises InvalidInput as `validate`.
    """
    declared = REGISTRY.get(analytic.name)
    parameters = {name: value for name, value in analytic.parameters.items() if name != "event_policy"}
    if declared is not None:
        parameters = declared.known(parameters)
    return validate(msgspec.structs.replace(analytic, parameters=parameters))


def needs_faces(analytics: tuple[Analytic, ...]) -> bool:
    """Whether any of `analytics` looks at faces; unknown ones do not."""
    return any(a.name in REGISTRY and REGISTRY[a.name].faces for a in analytics)
