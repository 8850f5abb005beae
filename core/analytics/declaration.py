"""What an analytic says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from core.analytics import shapes
from core.analytics.schema import COMMON, DRAFT
from core.errors import InvalidInput

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

PUBLISHER = "Sightline"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)  # without slots: the validator is made when it is first needed
class Declaration:
    """One analytic of the registry.

    Attributes:
        id: its name in `Analytic.name`, in events' `type` and in their CloudEvents type.
        version: raised when the same parameters would find something else.
        minor: raised when there is more to configure.
        description: one sentence for people.
        parameters: JSON Schema (draft 2020-12) of `Analytic.parameters`; every default in it is
            filled in by `complete`. What all analytics have in common is added here.
        event_types: what may stand in `Event.event_type` of its events.
        name: what people call it; made of the id where none is given.
        publisher: who answers for it.
        type: what kind of finding it makes, in a word.
        targets: what may stand in `Analytic.targets`.
        presets: named configurations.
        decided_by: the parameters that decide what is an event.
        faces: it needs faces looked for in each frame.
        objects: it needs objects looked for in each frame.

    Raises:
        ValueError: it contradicts itself; which a test, or the loading of a plugin, shows.
    """

    id: str
    version: int
    description: str
    parameters: Mapping[str, Any]
    event_types: tuple[str, ...]
    minor: int = 0
    name: str = ""
    publisher: str = PUBLISHER
    type: str = "detection"
    targets: tuple[str, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decided_by: tuple[str, ...] = ()
    faces: bool = False
    objects: bool = True

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} is no analytic's id: letters, digits, and _ . - between them")
        if not self.event_types:
            raise ValueError(f"{self.id} names no type of event")
        own = self.parameters.get("properties", {})
        if self.parameters.get("type") != "object":
            raise ValueError(f"the parameters of {self.id} are no object")
        if taken := sorted(COMMON.keys() & own.keys()):
            raise ValueError(f"{self.id} declares {', '.join(taken)}, which all analytics have in common")
        object.__setattr__(self, "parameters", {**self.parameters, "properties": {**own, **COMMON}})
        object.__setattr__(self, "name", self.name or self.id.replace("_", " ").capitalize())
        if unknown := [name for name in self.decided_by if name not in self.parameters["properties"]]:
            raise ValueError(f"{self.id} is decided by {', '.join(unknown)}, which it does not have")

    @property
    def event_type(self) -> str:
        """The first type of event, which most analytics have alone."""
        return self.event_types[0]

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters that an empty configuration stands for."""
        return _filled(self.parameters, {})

    @property
    def rules(self) -> dict[str, Any]:
        """JSON Schema of what decides that there is an event."""
        properties = self.parameters["properties"]
        return {
            "$schema": DRAFT,
            "type": "object",
            "description": self.parameters.get("description", self.description),
            "properties": {name: properties[name] for name in self.decided_by},
        }

    @cached_property
    def validator(self) -> Draft202012Validator:
        """Of the parameters. Raises jsonschema's SchemaError for a schema that is none."""
        # a process that only wants to know what is declared, such as a reader, does not load the library
        from jsonschema import Draft202012Validator  # noqa: PLC0415

        Draft202012Validator.check_schema(dict(self.parameters))
        return Draft202012Validator(dict(self.parameters))

    def complete(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """`parameters` with their defaults.

        Raises:
            InvalidInput: one of them is unknown or wrong; the field is a dotted path.
        """
        from jsonschema.exceptions import best_match  # noqa: PLC0415

        error = best_match(self.validator.iter_errors(dict(parameters)))
        if error is not None:
            raise InvalidInput(_sentence(error), _path(error))
        whole = _filled(self.parameters, parameters)
        shapes.check(whole)
        return whole

    def known(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """`parameters` whose objects have no fields but those of the schema; unknown parameters stay."""
        properties = self.parameters["properties"]
        return {name: _known(properties.get(name), value) for name, value in parameters.items()}


def _known(schema: Any, value: Any) -> Any:
    if not isinstance(schema, Mapping) or not isinstance(value, dict):
        return value
    if schema.get("additionalProperties") is not False or "patternProperties" in schema:
        return value
    properties = schema.get("properties", {})
    return {name: _known(properties[name], inner) for name, inner in value.items() if name in properties}


def _path(error: ValidationError) -> str:
    return ".".join(["parameters", *map(str, error.absolute_path)])


def _sentence(error: ValidationError) -> str:
    """The validator's own words, but for what is forbidden together, which the schema says better."""
    rule = error.validator_value
    return str(rule["description"]) if error.validator == "not" and isinstance(rule, dict) else error.message


def _filled(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the defaults of `schema` at every level that is present."""
    whole = dict(given)
    for name, sub in schema.get("properties", {}).items():
        if name not in whole:
            if "default" in sub:
                whole[name] = msgspec.to_builtins(sub["default"])
        else:
            whole[name] = _completed(sub, whole[name])
    return whole


def _completed(schema: Any, value: Any) -> Any:
    """A value of `schema`, with the defaults of the objects in it."""
    for variant in _variants(schema):
        if variant.get("type") == "object" and isinstance(value, dict):
            value = _filled(variant, value)
        elif variant.get("type") == "array" and isinstance(value, list):
            value = [_completed(variant.get("items", {}), item) for item in value]
    return value


def _variants(schema: Any) -> Iterator[Mapping[str, Any]]:
    """What a value of `schema` may be of; a schema may also be a bare true or false."""
    for variant in (schema, *schema.get("anyOf", ())) if isinstance(schema, Mapping) else ():
        if isinstance(variant, Mapping):
            yield variant
