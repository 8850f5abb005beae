"""supervisord's configuration, written from the settings at each start."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from core.errors import ConfigError
from core.settings import Settings
from infra.stack.places import Places
from infra.stack.processes import Process, all_processes

STEADY_S = 2
RETRIES = 30
LOG_BYTES = "10MB"
LOG_FILES = 3


def text(settings: Settings, places: Places) -> str:
    """The whole configuration. Nothing starts by itself: `up` starts each when what it needs is ready.

    Raises:
        ConfigError: variables for a process that there is not.
    """
    processes = all_processes(settings)
    unknown = settings.stack.environment.keys() - {process.name for process in processes}
    if unknown:
        raise ConfigError(f"stack.environment names {', '.join(sorted(unknown))}, which this stack does not have")
    return "".join(
        [
            _section(
                "supervisord",
                {
                    "logfile": places.log / "supervisord.log",
                    "logfile_maxbytes": LOG_BYTES,
                    "logfile_backups": LOG_FILES,
                    "loglevel": "info",
                    **({"user": "root"} if os.getuid() == 0 else {}),
                    "pidfile": places.pid,
                    "childlogdir": places.log,
                    "directory": Path.cwd(),
                },
            ),
            _section("unix_http_server", {"file": places.socket, "chmod": "0700"}),
            _section(
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            *(_program(process, settings, places) for process in processes),
        ]
    )


def variables(settings: Settings, places: Places, inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables of every process: the caller's settings, and what keeps the stack small."""
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        **inherited,
        "SIGHTLINE_DATA_DIR": str(places.data),
        "PROMETHEUS_MULTIPROC_DIR": str(places.metrics),
        "PYTHONUNBUFFERED": "1",
    }


def _program(process: Process, settings: Settings, places: Places) -> str:
    return _section(
        f"program:{process.name}",
        {
            "command": shlex.join((*_standing_back(process.niceness), *process.command)),
            "autostart": "false",
            "autorestart": "true",
            "priority": process.stop_rank,
            "startsecs": STEADY_S,
            "startretries": RETRIES,
            "stopwaitsecs": max(1, round(settings.stack.stop_timeout_s)),
            "killasgroup": "true",
            "stdout_logfile": places.log / f"{process.name}.log",
            "stdout_logfile_maxbytes": LOG_BYTES,
            "stdout_logfile_backups": LOG_FILES,
            "redirect_stderr": "true",
            **_environment(process, settings),
        },
    )


def _standing_back(niceness: int) -> tuple[str, ...]:
    return ("nice", "-n", str(niceness)) if niceness else ()


def _environment(process: Process, settings: Settings) -> dict[str, object]:
    variables = {**dict(process.environment), **settings.stack.environment.get(process.name, {})}
    if not variables:
        return {}
    return {"environment": ",".join(f'{name}="{value}"' for name, value in variables.items())}


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = (f"{key} = {os.fspath(value) if isinstance(value, Path) else value}" for key, value in values.items())
    return f"[{name}]\n" + "".join(f"{line.replace('%', '%%')}\n" for line in lines) + "\n"
