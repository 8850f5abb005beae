"""`sightline stage`: one process of the running stack, on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from core.errors import InvalidInput
from core.settings import Settings, load
from infra.cli.exits import StackDown, exits
from infra.cli.steps import Steps

if TYPE_CHECKING:
    from infra.stack.processes import Process

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `sightline status` names it.")]


def stop(name: Name) -> None:
    """Stop one process; the others go on, and its records wait for it."""
    with _stack() as (settings, steps):
        from infra.stack.lifecycle import stop_some  # noqa: PLC0415 - heavy

        stop_some(settings, [_named(settings, name)], steps)
        typer.echo(f"{name} is stopped, until `sightline stage start {name}` or the next `sightline up`.")


def start(name: Name) -> None:
    """Start one process that was stopped, and wait until it is ready."""
    with _stack() as (settings, steps):
        from infra.stack.lifecycle import start_some  # noqa: PLC0415 - heavy

        start_some(settings, [_named(settings, name)], steps)


def replay(stage: Annotated[str, typer.Argument(help="Such as detect or analyse.")]) -> None:
    """Stop a stage, let it forget how far it was, and start it: it begins again with the first record that is kept.

    What it wrote before is written again under the same ids, so nothing is there twice.
    """
    with _stack() as (settings, steps):
        from core.topics import Topics  # noqa: PLC0415 - heavy
        from infra.stack.lifecycle import prepare, start_some, stop_some  # noqa: PLC0415
        from infra.stack.processes import all_processes  # noqa: PLC0415
        from streams_proc.replay import replay as forget  # noqa: PLC0415

        found = [process for process in all_processes(settings) if process.group == stage != "ingest"]
        if not found:
            stages = {process.group for process in all_processes(settings) if process.group} - {"ingest"}
            raise InvalidInput(f"there is no stage {stage!r} to read again; there are {', '.join(sorted(stages))}")
        snapshots = Topics.of(settings.kafka).snapshots_analyse if stage == "analyse" else None
        stop_some(settings, found, steps)
        try:
            prepare("forgetting", lambda: forget(settings.kafka, stage, snapshots), steps)
        finally:
            start_some(settings, found, steps)


@contextmanager
def _stack() -> Iterator[tuple[Settings, Steps]]:
    """Of a stack that runs."""
    screen = Console(stderr=True)
    with exits(screen), closing(Steps(screen)) as steps:
        from infra.stack.places import Places  # noqa: PLC0415 - heavy
        from infra.stack.supervisor import Supervisor  # noqa: PLC0415

        settings = load()
        if not Supervisor(Places.of(settings)).alive():
            raise StackDown(f"no supervisor answers for {settings.data_dir}")
        yield settings, steps


def _named(settings: Settings, name: str) -> Process:
    from infra.stack.processes import all_processes  # noqa: PLC0415 - heavy

    processes = {process.name: process for process in all_processes(settings)}
    if name not in processes:
        raise InvalidInput(f"there is no {name!r}; there are {', '.join(processes)}")
    return processes[name]
