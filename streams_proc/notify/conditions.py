"""Whether what is told is what a callback was asked for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from core.profile import Comparison, Condition

_MISSING: Final = object()
_ORDER: Mapping[Comparison, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def all_hold(conditions: Sequence[Condition], body: Mapping[str, Any]) -> bool:
    """Whether every condition holds; without any they do."""
    return all(holds(condition, body) for condition in conditions)


def holds(condition: Condition, body: Mapping[str, Any]) -> bool:
    """Whether a condition holds of a body as it would be sent.

    Its field is a dotted path into the body or, where there is none, into the body's `event`; a number in the path
    is a place in a list. A field that is not there, and values that cannot be compared, meet no condition.
    """
    found = _at(body, condition.field)
    if found is _MISSING:
        found = _at(body.get("event"), condition.field)
    if found is _MISSING:
        return False
    asked = condition.value
    match condition.is_:
        case "eq":
            return _equal(found, asked)
        case "ne":
            return not _equal(found, asked)
        case "in":
            return isinstance(asked, list | tuple) and any(_equal(found, one) for one in asked)
        case _:
            return _comparable(found, asked) and _ORDER[condition.is_](found, asked)


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list | tuple) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return _MISSING
    return value


def _equal(one: Any, other: Any) -> bool:
    """As JSON has it: true is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _comparable(one: Any, other: Any) -> bool:
    if isinstance(one, str):
        return isinstance(other, str)
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return numbers and not isinstance(one, bool) and not isinstance(other, bool)
