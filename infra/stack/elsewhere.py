"""Whether a stack of this data folder runs with other settings than the ones at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import psutil

from core.settings import Settings
from infra.stack.places import Places
from infra.stack.processes import Process, all_processes
from infra.stack.supervisor import Running, StoppedAnswering, Supervisor


def running_though(settings: Settings) -> str | None:
    """What to say of a stack that runs where these settings do not find it; None: none runs."""
    supervisor = Supervisor(Places.of(settings))
    if not supervisor.alive():
        return None
    try:
        running = supervisor.processes()
    except StoppedAnswering:
        return None
    if not any(found.pid for found in running.values()):
        return None
    moved = list(moved_ports(all_processes(settings), running))
    if moved:
        return f"it was started with other settings: {'; '.join(moved)}"
    return "it may be starting, or was started with other settings; see `sightline status`"


def moved_ports(
    processes: Iterable[Process],
    running: Mapping[str, Running],
    listening: Callable[[int], set[int]] | None = None,
) -> Iterable[str]:
    """A sentence per process that listens elsewhere than the settings say.

    Args:
        listening: the TCP ports that a process of this id listens on; empty when it cannot be known.
    """
    for process in processes:
        found = running.get(process.name)
        if found is None or not found.pid:
            continue
        there = (listening or ports_of)(found.pid)
        expected = {listener.port: listener.setting for listener in process.listeners}
        missing = {port: setting for port, setting in expected.items() if port not in there}
        others = sorted(there - expected.keys())
        if missing and others:
            yield (
                f"{process.name} listens on {_list(others)}, not on {_list(missing)} "
                f"({', '.join(missing.values())} sets it)"
            )


def ports_of(pid: int) -> set[int]:
    """TCP ports that a process or its children listen on; empty when that cannot be known."""
    try:
        process = psutil.Process(pid)
        family = (process, *process.children(recursive=True))
        return {
            connection.laddr.port
            for member in family
            for connection in member.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.Error:
        return set()


def _list(ports: Iterable[int]) -> str:
    return ", ".join(map(str, ports))
