"""Commands whose modules are loaded only when they are used, so that the command line starts at once."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(TyperCommand):
    """A command that is known by name and help; its function is loaded when it is called.

    Args:
        target: ``module:function``.
    """

    def __init__(self, name: str, short_help: str, target: str) -> None:
        super().__init__(name, help=short_help, short_help=short_help)
        self._target = target

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The real command's context: from here on it is the one that runs."""
        module, function = self._target.split(":")
        app = typer.Typer(add_completion=False)
        app.command(self.name)(getattr(import_module(module), function))
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """A group with lazy commands: a subclass names them in `lazy` as name, help and target."""

    lazy: tuple[tuple[str, str, str], ...] = ()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        known = dict(self.commands)
        self.commands = {**{name: LazyCommand(name, text, target) for name, text, target in self.lazy}, **known}
