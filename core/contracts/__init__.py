"""The published form of every topic's value: a JSON Schema and an example each.

`schemas/` is generated from `core.messages` by ``python -m core.contracts`` and is what consumers
in other languages read; `baseline/` is what was first published and never changes. A schema may
add optional fields to its baseline; `add_only` tells what else it did.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from core import messages as m

FOLDER = Path(__file__).parent
TYPES: dict[str, Any] = {
    "streams": m.StreamSpec,
    "frames": m.FramesMessage,
    "detections": m.DetectionsMessage,
    "tracks": m.TracksMessage,
    "events": m.EventsMessage,
    "stream-status": m.StreamStatus,
    "nodes": m.NodesMessage,
    "stream-changes": m.StreamChange,
    "task-ends": m.TaskEnd,
    "notifications": m.Notification,
}
"""Value type by topic. `frames` stands for both lanes; its values are MessagePack of the same shape."""


def schema(topic: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a topic's value, from the code."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Value of the topic {topic}",
        **msgspec.json.schema(TYPES[topic]),
    }
    for definition in made["$defs"].values():
        definition["description"] = inspect.cleandoc(definition.get("description", ""))
    document: dict[str, Any] = json.loads(json.dumps(made))
    return document


def published(topic: str, folder: str = "schemas") -> dict[str, Any]:
    """The schema as it lies in the package; `folder` is ``schemas`` or ``baseline``."""
    document: dict[str, Any] = json.loads((FOLDER / folder / f"{topic}.json").read_text())
    return document


def examples(topic: str) -> list[dict[str, Any]]:
    """Every published example of a topic's value."""
    values: list[dict[str, Any]] = json.loads((FOLDER / "examples" / f"{topic}.json").read_text())
    return values


def add_only(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What `new` does to `old` beyond adding optional fields and types; empty when nothing.

    Args:
        old: the published schema.
        new: the schema that is to replace it.
    """
    faults: list[str] = []
    for name, before in old.get("$defs", {}).items():
        after = new.get("$defs", {}).get(name)
        if after is None:
            faults.append(f"{name}: removed")
        else:
            faults += [f"{name}{fault}" for fault in _compare(before, after)]
    return faults


def _compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old_fields, new_fields = before.get("properties", {}), after.get("properties", {})
    faults = [f".{field}: removed" for field in old_fields if field not in new_fields]
    faults += [
        f".{field}: changed from {old_fields[field]} to {new_fields[field]}"
        for field in old_fields
        if field in new_fields and not _widens(old_fields[field], new_fields[field])
    ]
    wanted = set(after.get("required", ())) - set(before.get("required", ()))
    return faults + [f".{field}: required now" for field in sorted(wanted)]


def _widens(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether every value that `old` allows, `new` allows too, as far as our schemas can say."""
    old_types, new_types = _alternatives(old), _alternatives(new)
    return all(kind in new_types for kind in old_types)


def _alternatives(field: dict[str, Any]) -> list[str]:
    kinds = field.get("anyOf", [{key: value for key, value in field.items() if key != "default"}])
    values: list[str] = []
    for kind in kinds:
        if "enum" in kind:
            values += [json.dumps(value) for value in kind["enum"]]
        else:
            values.append(json.dumps(kind, sort_keys=True))
    return values
