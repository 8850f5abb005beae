"""`sightline migrate`."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console

from core.settings import load
from infra.cli.exits import StackDown, exits
from infra.cli.steps import Steps


def migrate() -> None:
    """Bring topics and stores to this version; `sightline up` does it on its way."""
    screen = Console(stderr=True)
    with exits(screen), closing(Steps(screen)) as steps:
        from infra.stack.lifecycle import migrate as bring  # noqa: PLC0415 - heavy
        from infra.stack.readiness import silent_stores  # noqa: PLC0415

        settings = load()
        silent = silent_stores(settings)
        if silent:
            raise StackDown(f"nothing answers at {' and '.join(silent)}")
        bring(settings, steps)
