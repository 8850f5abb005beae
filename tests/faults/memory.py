"""How large each process of the stack gets while everything is done to it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from infra.stack.supervisor import StoppedAnswering
from tests.faults.rig import Rig, family

EVERY_S = 5.0
MIB = 1024 * 1024


class Peaks:
    """Largest proportional set size that was seen, in bytes, children included.

    Attributes:
        by_process: name to bytes, over all that ran under the name.
        together: of all at one moment.
    """

    def __init__(self) -> None:
        self.by_process: dict[str, int] = defaultdict(int)
        self.together = 0

    @contextmanager
    def watching(self, rig: Rig) -> Iterator[None]:
        """Look every few seconds while the block runs."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(EVERY_S):
                self._look(rig)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _look(self, rig: Rig) -> None:
        try:
            running = rig.processes()
        except StoppedAnswering:  # the supervisor itself was killed
            return
        now = {name: sum(size(pid) for pid in family(found.pid)) for name, found in running.items() if found.pid}
        for name, used in now.items():
            self.by_process[name] = max(self.by_process[name], used)
        self.together = max(self.together, sum(now.values()))

    def table(self) -> list[str]:
        """A Markdown table; nothing when nothing was seen."""
        if not self.by_process:
            return []
        rows = [f"| {name} | {used / MIB:.0f} |" for name, used in sorted(self.by_process.items())]
        return [
            "The most memory that each process had at any moment of it (proportional set size, with its children, "
            f"looked at every {EVERY_S:.0f} s):",
            "",
            "| process | MiB |",
            "|---|---:|",
            *rows,
            f"| all at one moment | {self.together / MIB:.0f} |",
        ]


def size(pid: int) -> int:
    """Proportional set size in bytes; 0 of a process that has ended."""
    try:
        used: int = psutil.Process(pid).memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return used
