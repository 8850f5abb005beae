"""`face_detection`: an event for each face's visit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import analytics as declared
from streams_proc.analytics.analytic import Need, Subject
from streams_proc.analytics.visits import Visits
from streams_proc.tracking.rules import Rules


def face_detection(subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> Visits:
    """Faces have a score of their own; `score` is not used."""
    need = Need(kind="face", rules=Rules.of(parameters, score), views=bool(parameters["embeddings"]))
    return Visits(subject, need, declared.FACE_DETECTION.id, declared.FACE_DETECTION.event_type)
