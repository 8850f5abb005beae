"""The labels that parameters ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def wanted_labels(parameters: Mapping[str, Any]) -> frozenset[str] | None:
    """None for all of them, also where they mean nothing (`labels: any`)."""
    labels = parameters.get("labels")
    return frozenset(labels) if isinstance(labels, list | tuple) else None
