"""Tables for people at a terminal and, without cut cells, for programs behind a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

UNBOUNDED = 4096


def table(first: str, *others: str) -> Table:
    """A plain table whose first column is never cut."""
    made = Table(box=None, pad_edge=False)
    made.add_column(first, no_wrap=True)
    for name in others:
        made.add_column(name, overflow="fold")
    return made


def output() -> Console:
    """Standard output; as wide as it takes where nobody looks."""
    console = Console()
    return console if console.is_terminal else Console(width=UNBOUNDED)
