"""`sightline config`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console

from core.settings import load, masked
from infra.cli.exits import exits


def config() -> None:
    """Show every setting as TOML, with its variable and what it is for; secrets are masked."""
    with exits(Console(stderr=True)):
        settings = load()
        for line in toml(settings, masked(settings)):
            typer.echo(line)


def toml(model: BaseModel, values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of a section, its own values first; what is unset is a comment."""
    if path:
        yield ""
        if model.__doc__:
            yield f"# {model.__doc__.splitlines()[0]}"
        yield f"[{'.'.join(path)}]"
    fields = type(model).model_fields
    sections = [name for name in fields if isinstance(getattr(model, name), BaseModel)]
    for name, field in fields.items():
        if name in sections:
            continue
        variable = "SIGHTLINE_" + "__".join((*path, name)).upper()
        about = f"; {field.description}" if field.description else ""
        assigned = f"{name} = {_value(values[name])}" if values[name] is not None else f"# {name} ="
        yield f"{assigned}  # {variable}{about}"
    for name in sections:
        yield from toml(getattr(model, name), values[name], (*path, name))


def _value(value: Any) -> str:
    """A TOML value; strings, numbers and booleans are written as in JSON."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return json.dumps(value)
