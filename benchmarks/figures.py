"""Numbers out of many numbers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, between two of them on a line.

    >>> percentile([1.0, 2.0, 3.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(rounds: Sequence[float]) -> float:
    """How far rounds lie apart, as a part of their median."""
    middle = median(rounds)
    return (max(rounds) - min(rounds)) / middle if middle else 0.0


def ratio(rounds: Sequence[float], reference: Sequence[float]) -> float:
    """Median of each round's quotient with the reference's round beside it.

    The same code runs twice as fast minutes later on shared machines, so only neighbours compare.
    """
    return median(mine / other for mine, other in zip(rounds, reference, strict=True))
