"""`object_detection`: an event for each object's visit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import analytics as declared
from streams_proc.analytics.analytic import Need, Subject
from streams_proc.analytics.labels import wanted_labels
from streams_proc.analytics.visits import Visits
from streams_proc.tracking.rules import Rules


def object_detection(subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> Visits:
    """`score` is what begins a visit where the parameters do not say."""
    need = Need(
        kind="object",
        rules=Rules.of(parameters, score),
        labels=wanted_labels(parameters),
        views=bool(parameters["embeddings"]),
    )
    return Visits(subject, need, declared.OBJECT_DETECTION.id, declared.OBJECT_DETECTION.event_type)
