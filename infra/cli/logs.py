"""`sightline logs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.errors import InvalidInput, NotFound
from core.settings import load
from infra.cli.exits import exits

POLL_S = 0.3
LONGEST_TAIL = 4 * 1024**2


def logs(
    process: Annotated[str | None, typer.Argument(metavar="[PROCESS]", help="One process; all when not given.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Last lines of each.")] = 50,
) -> None:
    """Show what the processes have logged."""
    with exits(Console(stderr=True)):
        files = _files(process)
        ends = {}
        for file in files:
            ends[file], last = tail(file, lines)
            _show(file, last, named=len(files) > 1)
        while follow:
            time.sleep(POLL_S)
            for file in files:
                ends[file], new = since(file, ends[file])
                _show(file, new, named=len(files) > 1)


def _files(process: str | None) -> list[Path]:
    folder = load().data_dir / "log"
    names = sorted(file.stem for file in folder.glob("*.log"))
    if not names:
        raise NotFound(f"nothing has been logged in {folder} yet")
    if process is not None and process not in names:
        raise InvalidInput(f"there is no log of {process!r}; there are {', '.join(names)}")
    return [folder / f"{name}.log" for name in ([process] if process else names)]


def tail(file: Path, lines: int) -> tuple[int, list[str]]:
    """Where the file ends, and its last lines."""
    size = file.stat().st_size
    _, found = since(file, max(0, size - LONGEST_TAIL))
    return size, found[-lines:] if lines else []


def since(file: Path, position: int) -> tuple[int, list[str]]:
    """Whole lines from `position` on, and where the next begins; from the start when the file was begun anew."""
    with file.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(position if position <= size else 0)
        begin = log.tell()
        data = log.read()
    whole = data[: data.rfind(b"\n") + 1]
    return begin + len(whole), whole.decode(errors="replace").splitlines()


def _show(file: Path, lines: list[str], *, named: bool) -> None:
    for line in lines:
        typer.echo(f"{file.stem}: {line}" if named else line)
