"""`sightline down`."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console

from core.settings import load
from infra.cli.exits import exits
from infra.cli.steps import Steps


def down() -> None:
    """Stop the stack in the order that loses nothing, and whatever is left of one that was cut off."""
    screen = Console(stderr=True)
    with exits(screen), closing(Steps(screen)) as steps:
        from infra.stack.lifecycle import down as bring_down  # noqa: PLC0415 - heavy

        stopped = bring_down(load(), steps)
        Console().print("The stack is down." if stopped else "The stack was down already.")
