"""Processor time and memory of processes, their children among them, over a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from types import TracebackType

import psutil

INTERVAL_S = 10.0
MEGABYTE = 1e6


class Usage:
    """What named processes use within the block.

    Attributes:
        cpu_s: processor seconds by name, once the block has ended.
        memory_mb: most proportional set size seen, looked at every ten seconds: a look at a stack takes a
            tenth of a second.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = dict(processes)
        self.cpu_s: dict[str, float] = {}
        self.memory_mb: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_again, name="usage", daemon=True)

    def __enter__(self) -> Usage:
        self._look()
        self._before = {name: processor_s(pid) for name, pid in self._processes.items()}
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu_s = {name: max(0.0, processor_s(pid) - self._before[name]) for name, pid in self._processes.items()}
        self._ended.set()
        self._watch.join()
        self._look()

    def _look_again(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        for name, pid in self._processes.items():
            self.memory_mb[name] = max(self.memory_mb.get(name, 0.0), memory_mb(pid))


def processor_s(pid: int) -> float:
    """Seconds that a process and all that descend from it have computed, those that have ended too."""
    total = 0.0
    for process in _family(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and all that descend from it, in 10^6 bytes."""
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / MEGABYTE


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
    except psutil.Error:
        return
