"""How busy this machine is, and which processes of the stack run on it."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from core.messages import Gpu, Usage
from ingest.graphics import Graphics

LOOK_S = 10.0
"""Between two looks through all processes of the machine, which cost some milliseconds."""

MARK = "PROMETHEUS_MULTIPROC_DIR"
"""Processes of one stack have the same value in their environment."""

MODULES = {
    "ingest": "ingest",
    "query_api": "query",
    "inference.server": "models",
    "infra.kafka": "kafka",
    "infra.clickhouse": "clickhouse",
}
OTHER = "other"
ELSEWHERE = ("192.0.2.1", 9)
"""An address of no machine: the way to it is the way to other machines."""


@dataclass(frozen=True, slots=True)
class Load:
    """Percents of the whole machine."""

    cpu: float
    ram: float
    swap: float


class Machine:
    """What a node says of itself.

    Args:
        broker: host:port list; the address by which it is reached is the machine's.
    """

    def __init__(self, broker: str, graphics: Graphics | None = None, services: Services | None = None) -> None:
        self._broker = broker
        self._graphics = Graphics() if graphics is None else graphics
        self._services = Services() if services is None else services
        # a container may not say how much is swapped in and out, which is not asked for
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="psutil")

    def load(self) -> Load:
        """Since the last time it was asked."""
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return Load(float(psutil.cpu_percent(None)), float(memory.percent), float(swap.percent))

    def gpus(self) -> tuple[Gpu, ...]:
        """Graphics cards; none without a driver."""
        return self._graphics.cards(self._services.kind_of)

    def usage(self) -> dict[str, Usage]:
        """Processes of the stack by kind, and what they take."""
        return self._services.usage()

    def address(self) -> str:
        """Under which other machines reach this one; the loopback where there is no way to any."""
        host = self._broker.split(",", maxsplit=1)[0].rpartition(":")[0].strip("[]")
        towards = own_address((host, ELSEWHERE[1])) if host else None
        if towards is None or towards.startswith("127.") or towards == "::1":
            return own_address(ELSEWHERE) or towards or "127.0.0.1"
        return towards


def own_address(towards: tuple[str, int]) -> str | None:
    """The address from which this machine would send there; nothing is sent. None without a way."""
    try:
        family = socket.getaddrinfo(*towards, type=socket.SOCK_DGRAM)[0][0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(towards)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return None


def kind_of(name: str, command: Sequence[str]) -> str | None:
    """What a process is to Sightline, by its name and the words of its command; None when it is none of ours."""
    if name == "reader":
        return "reader"
    if "kafka.Kafka" in command:
        return "kafka"
    if name == "tensorflow_model_server":
        return "models"
    if "-m" not in command:
        return None
    module, *rest = command[command.index("-m") + 1 :] or [""]
    if module == "streams_proc" and rest:
        return rest[0]
    return MODULES.get(module)


class Services:
    """The processes of this stack on this machine.

    Args:
        processes: all of the machine's, each with its name and command.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        processes: Callable[[], Iterable[Any]] = lambda: psutil.process_iter(["name", "cmdline"]),
    ) -> None:
        self._now = now
        self._processes = processes
        self._look_at = float("-inf")
        self._known: dict[int, tuple[str, Any]] = {}

    def usage(self) -> dict[str, Usage]:
        """What the processes of each kind take, CPU since the last time it was asked."""
        if self._now() >= self._look_at:
            self._look_at = self._now() + LOOK_S
            self._look()
        found: dict[str, Usage] = {}
        for pid, (kind, process) in list(self._known.items()):
            try:
                cpu, memory = float(process.cpu_percent(None)), int(process.memory_info().rss)
            except psutil.Error:  # it has ended
                del self._known[pid]
                continue
            before = found.get(kind, Usage(0, 0.0, 0))
            found[kind] = Usage(before.number + 1, round(before.cpu_percent + cpu, 2), before.memory + memory)
        return found

    def kind_of(self, pid: int) -> str:
        """What a process is called, as far as it is one of the stack's."""
        return self._known[pid][0] if pid in self._known else OTHER

    def _look(self) -> None:
        mark = os.environ.get(MARK)
        for process in self._processes():
            kind = kind_of(process.info["name"] or "", process.info["cmdline"] or ())
            if kind is None or self._known.get(process.pid, (None, None))[1] == process:
                continue
            try:
                if process.environ().get(MARK) == mark:
                    self._known[process.pid] = (kind, process)
            except psutil.Error:  # it has ended, or is another user's
                continue
