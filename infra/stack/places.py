"""Where the stack keeps its run-time files."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.settings import Settings

LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes, and supervisord binds to a longer name first


@dataclass(frozen=True, slots=True)
class Places:
    """Files and folders of a stack.

    Attributes:
        socket: where the supervisor answers.
        metrics: what all processes write their metrics to, and the mark of a process of this stack.
    """

    data: Path
    run: Path
    log: Path
    metrics: Path
    config: Path
    pid: Path
    socket: Path

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """The places under `data_dir`."""
        data = settings.data_dir.absolute()
        run = data / "run"
        return cls(
            data, run, data / "log", run / "metrics", run / "supervisord.conf", run / "supervisord.pid", _socket(run)
        )

    def make(self) -> None:
        """Make the folders; the one of the socket is this user's alone."""
        self.run.mkdir(parents=True, exist_ok=True)
        self.log.mkdir(exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)


def _socket(run: Path) -> Path:
    path = run / "supervisor.sock"
    # while it binds, supervisord appends its pid
    if len(os.fsencode(path)) + 8 <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"sightline-{os.getuid()}" / f"{digest}.sock"
