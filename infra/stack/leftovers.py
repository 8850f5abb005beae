"""Processes of this stack that no supervisor watches any more, because it was killed."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from infra.stack.places import Places


def leftovers(places: Places) -> list[psutil.Process]:
    """All processes that the stack of `places` has started, known by their metrics folder."""
    return list(_marked(str(places.metrics)))


def _marked(metrics: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("PROMETHEUS_MULTIPROC_DIR") == metrics and process.pid != psutil.Process().pid:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue


def end(places: Places, timeout_s: float) -> int:
    """End them all, at the latest by force; how many there were."""
    found = leftovers(places)
    for process in found:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(found, timeout=timeout_s)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=5)
    return len(found)


def _quietly(action: object) -> None:
    assert callable(action)
    try:
        action()
    except psutil.NoSuchProcess:
        return
