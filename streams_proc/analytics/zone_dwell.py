"""`zone_dwell`: an event for each stay in a zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import analytics as declared
from streams_proc.analytics.analytic import Subject
from streams_proc.analytics.presence import Presence


def zone_dwell(subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> Presence:
    """A stay is told once it has lasted `min_dwell_s`."""
    least_s = float(parameters["min_dwell_s"])
    return Presence(subject, parameters, score, declaration=declared.ZONE_DWELL, least_s=least_s, lasted="dwell_s")
