"""Figures as text."""

from __future__ import annotations

from collections.abc import Mapping


def number(value: float) -> str:
    """Three digits that mean something, without an exponent.

    >>> number(1234.5), number(0.01234), number(12.34)
    ('1 234', '0.0123', '12.3')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if value == 0:
        return "0"
    return f"{value:.3g}"


def by_process(values: Mapping[str, float], scale: float, most: int = 4) -> str:
    """The sum over processes, and the largest of them by name.

    >>> by_process({"models": 0.05, "detect": 0.002}, 1000)
    '52 (models 50, detect 2)'
    """
    if not values:
        return ""
    total = number(sum(values.values()) * scale)
    if len(values) == 1:
        return total
    largest = sorted(values.items(), key=lambda each: -each[1])[:most]
    return f"{total} ({', '.join(f'{name} {number(value * scale)}' for name, value in largest)})"
