"""Talking to the stack's supervisord."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from core.errors import SetupError, TransientError
from infra.stack.places import Places

START_S = 20.0


class StoppedAnswering(TransientError):
    """No supervisor answers, or not any more."""


@dataclass(frozen=True, slots=True)
class Running:
    """What the supervisor knows of one process.

    Attributes:
        state: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL, as supervisord says it.
        began: Unix time of its last start.
    """

    name: str
    state: str
    pid: int
    began: float
    uptime_s: float


class Supervisor:
    """The supervisor of one stack; every call raises StoppedAnswering when it does not answer."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def _call(self, method: str, *arguments: object) -> Any:
        # a connection of its own: the transport does not get over one that was refused
        transport = SupervisorTransport(None, None, f"unix://{self._places.socket}")
        try:
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException) as error:
            raise StoppedAnswering(f"the supervisor of {self._places.data} does not answer") from error
        finally:
            transport.close()

    def alive(self) -> bool:
        """Whether it answers and takes orders."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (StoppedAnswering, xmlrpc.client.Error):
            return False

    def begin(self, variables: Mapping[str, str]) -> None:
        """Start the supervisor itself, of which nothing is left from before.

        Raises:
            SetupError: it does not come up.
        """
        self._places.socket.unlink(missing_ok=True)
        self._places.pid.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(self._places.config)]
        done = subprocess.run(  # noqa: S603 - our own words
            command, env=dict(variables), capture_output=True, text=True, check=False
        )
        until = time.monotonic() + START_S
        while not self.alive():
            if done.returncode or time.monotonic() > until:
                raise SetupError(f"supervisord does not start: {(done.stderr + done.stdout).strip()[-500:]}")
            time.sleep(0.05)

    def gone(self) -> bool:
        """Whether its process has ended."""
        try:
            pid = int(self._places.pid.read_text())
            return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.NoSuchProcess):
            return True

    def end(self) -> None:
        """Tell it to stop what is left, in order, and itself."""
        self._call("shutdown")

    def stop(self, name: str) -> None:
        """Tell a process to stop; returns at once."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as error:
            if "NOT_RUNNING" not in error.faultString:
                raise StoppedAnswering(f"{name} cannot be stopped: {error.faultString}") from error

    def start(self, name: str) -> None:
        """Start a process that does not run; returns at once."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as error:
            if "ALREADY_STARTED" not in error.faultString:
                raise SetupError(f"{name} cannot be started: {error.faultString}") from error

    def processes(self) -> dict[str, Running]:
        """Every process by name."""
        try:
            return {info["name"]: _running(info) for info in self._call("getAllProcessInfo")}
        except xmlrpc.client.Fault as error:
            raise StoppedAnswering("the supervisor is ending") from error


def _running(info: dict[str, Any]) -> Running:
    state = str(info["statename"])
    alive = state in ("RUNNING", "STARTING", "STOPPING")
    uptime = max(0.0, float(info["now"] - info["start"])) if alive else 0.0
    return Running(info["name"], state, int(info["pid"]), float(info["start"]), uptime)


def last_words(log: Path, most: int = 6) -> str:
    """The last lines of a process's log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-most:])


def can_connect(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True
