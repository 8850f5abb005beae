"""`sightline doctor`."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.text import Text

from core.settings import load
from infra.cli.exits import FAILED, exits


def doctor() -> None:
    """Show what this machine lacks, and the command that mends it. Exit code 1 when something is missing."""
    screen, out = Console(stderr=True), Console()
    with exits(screen):
        from infra.stack import checks  # noqa: PLC0415 - heavy
        from infra.stack.places import Places  # noqa: PLC0415
        from infra.stack.supervisor import Supervisor  # noqa: PLC0415

        settings = load()
        found = list(checks.machine(settings))
        if not Supervisor(Places.of(settings)).alive():  # its own ports are taken by itself
            found += checks.ports(settings)
        for check in found:
            line = f"missing  {check.sentence}" if check.missing else f"ok       {check.what}"
            out.print(Text(line, "red" if check.missing else ""), soft_wrap=True)
        if any(check.missing for check in found):
            raise typer.Exit(FAILED)
