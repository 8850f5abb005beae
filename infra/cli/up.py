"""`sightline up`."""

from __future__ import annotations

import signal
import sys
from contextlib import closing

from rich.console import Console
from rich.text import Text

from core.settings import load
from infra.cli.exits import exits
from infra.cli.steps import Steps


def up() -> None:
    """Start the one-machine stack, each part when what it needs is ready."""
    screen = Console(stderr=True)
    # what Ctrl-C does, `kill` does: what was begun is stopped again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with exits(screen), closing(Steps(screen)) as steps:
        from infra.stack.lifecycle import up as bring_up  # noqa: PLC0415 - heavy
        from infra.stack.readiness import query_url  # noqa: PLC0415

        settings = load()
        begun = bring_up(settings, steps)
        url = query_url(settings)
        line = (
            f"The stack is up: {url} (its description: {url}/docs/spec)" if begun else f"The stack is up already: {url}"
        )
        Console().print(Text(line), soft_wrap=True)
