"""How a process stands to the system: whom it does not outlive, and under which name it is seen."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Where the system can, have this process sent a signal when its parent ends, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


def be_called(name: str) -> None:
    """Where the system can, be shown as `name` (at most 15 bytes of it) in lists of processes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
