"""`sightline status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from core.errors import TransientError
from core.settings import Settings, load
from infra.cli.exits import FAILED, StackDown, exits, say
from infra.cli.standstill import standstill
from infra.cli.tables import output, table

if TYPE_CHECKING:
    from streams_proc.marks import Mark

COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow"}


def status() -> None:
    """Show each process: state, port, uptime, and how many records its consumer group is behind.

    HALTED is a stage that put too much aside and stands still until it is told to go on.

    Exit code 1 when something does not run, 3 when nothing does.
    """
    screen = Console(stderr=True)
    with exits(screen):
        from infra.stack.elsewhere import moved_ports  # noqa: PLC0415 - heavy
        from infra.stack.places import Places  # noqa: PLC0415 - heavy
        from infra.stack.processes import all_processes  # noqa: PLC0415
        from infra.stack.supervisor import Supervisor, last_words  # noqa: PLC0415

        settings = load()
        supervisor = Supervisor(Places.of(settings))
        if not supervisor.alive():
            raise StackDown(f"no supervisor answers for {settings.data_dir}")
        running, (behind, halted) = supervisor.processes(), _groups(settings, screen)
        shown = table("process", "state", "pid", "port", "uptime", "lag")
        whole = True
        for process in all_processes(settings):
            found = running.get(process.name)
            state = found.state if found else "ABSENT"
            if state == "RUNNING" and process.group in halted:
                state = "HALTED"
            whole &= state == "RUNNING"
            shown.add_row(
                process.name,
                Text(state, COLOURS.get(state, "red")),
                str(found.pid) if found and found.pid else "",
                ", ".join(str(port.port) for port in process.listeners),
                duration(found.uptime_s) if found and found.pid else "",
                str(behind[process.group]) if process.group in behind else "",
            )
        output().print(shown)
        for moved in moved_ports(all_processes(settings), running):
            say(screen, f"The stack was started with other settings: {moved}.")
        for stage, mark in halted.items():
            say(screen, standstill(stage, mark))
        for name, found in running.items():
            if found.state not in ("RUNNING", "STOPPED"):
                log = Places.of(settings).log / f"{name}.log"
                say(
                    screen,
                    f"{name} is {found.state}; it has said last (`sightline logs {name}`):\n{last_words(log, 1)}",
                )
        if not whole:
            raise typer.Exit(FAILED)


def duration(seconds: float) -> str:
    """``1d 02:03:04`` without the parts that are nothing.

    >>> duration(3723.9), duration(90_000)
    ('1:02:03', '1d 1:00:00')
    """
    days, rest = divmod(int(seconds), 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock


def _groups(settings: Settings, screen: Console) -> tuple[dict[str, int], Mapping[str, Mark]]:
    """How far each consumer group is behind, and the stages that stand still."""
    from infra.stack.lag import lags  # noqa: PLC0415 - heavy
    from infra.stack.processes import all_processes  # noqa: PLC0415
    from infra.stack.readiness import broker_answers  # noqa: PLC0415
    from streams_proc.marks import KafkaMarks, halts  # noqa: PLC0415 - heavy

    if not broker_answers(settings.kafka):
        say(screen, f"no broker answers at {settings.kafka.address}")
        return {}, {}
    try:
        behind = lags(settings.kafka, dict.fromkeys(p.group for p in all_processes(settings) if p.group))
        return behind, halts(KafkaMarks(settings.kafka))
    except TransientError as error:
        say(screen, str(error))
        return {}, {}
