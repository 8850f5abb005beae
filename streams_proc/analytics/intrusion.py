"""`intrusion`: an event for each thing that enters a zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import analytics as declared
from streams_proc.analytics.analytic import Subject
from streams_proc.analytics.presence import Presence


def intrusion(subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> Presence:
    """A stay is told at once, or when it has lasted `min_inside_s`."""
    least_s = float(parameters["min_inside_s"])
    return Presence(subject, parameters, score, declaration=declared.INTRUSION, least_s=least_s, lasted="inside_s")
