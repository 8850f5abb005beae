"""`python -m infra.clickhouse`: hosts ClickHouse until SIGTERM.

The library's one entry point runs clickhouse-local, whose query opens the server's ports and then
does nothing until it is killed: that is how the server is told to end.
"""

from __future__ import annotations

import base64
import ctypes
import os
import signal
import sys
import threading
import urllib.request
from pathlib import Path
from types import FrameType

from core import log
from core.errors import FatalError
from core.settings import Settings, load
from infra.clickhouse import config
from infra.clickhouse.library import binary, resolve

IDLE = "SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS max_block_size = 1"
_STOP = "KILL QUERY WHERE query LIKE 'SELECT sleepEachRow(1) FROM system.numbers%' ASYNC"


def arguments(settings: Settings, config_file: Path) -> list[str]:
    """The library's command line."""
    clickhouse = settings.clickhouse
    return [
        "clickhouse",
        *("--config-file", str(config_file)),
        *("--path", str((settings.data_dir / "clickhouse" / "data").absolute())),
        *("--http_port", str(clickhouse.http_port)),
        *("--tcp_port", str(clickhouse.tcp_port)),
        *("--listen_host", clickhouse.host),
        *("--query", f"SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {IDLE}"),
    ]


def server_command(own: str, config_file: Path) -> list[str]:
    """The command line of a `clickhouse` binary."""
    return [own, "server", f"--config-file={config_file}", "--", "--logger.console=1", "--logger.level=warning"]


def serve(library: Path, command: list[str]) -> str:
    """Run the server until its query is killed; returns what it complained of, empty if nothing."""
    clickhouse = ctypes.CDLL(str(library))
    clickhouse.chdb_query_cmdline.restype = ctypes.c_void_p
    clickhouse.chdb_result_error.argtypes = [ctypes.c_void_p]
    clickhouse.chdb_result_error.restype = ctypes.c_char_p
    argv = (ctypes.c_char_p * len(command))(*(word.encode() for word in command))
    result = clickhouse.chdb_query_cmdline(len(command), argv)
    error: bytes | None = clickhouse.chdb_result_error(result) if result else None
    return (error or b"").decode(errors="replace")


def stop(settings: Settings) -> None:
    """Kill the idle query, which ends the server in order."""
    clickhouse = settings.clickhouse
    login = base64.b64encode(f"{clickhouse.user}:{clickhouse.password.get_secret_value()}".encode()).decode()
    address = f"http://{clickhouse.host}:{clickhouse.http_port}"
    request = urllib.request.Request(address, _STOP.encode(), {"Authorization": f"Basic {login}"})
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - our own address
    except OSError as error:
        # it does not answer any more; nothing that was acknowledged is lost by ending here
        log.get(__name__).error(f"ClickHouse cannot be told to stop: {error}")
        os._exit(1)


def main() -> None:
    """Become the machine's own ClickHouse, or host the library in a thread and wait for it."""
    settings = load()
    log.configure(settings.telemetry, "clickhouse")
    try:
        config_file = config.write(settings)
        own = binary()
        if own is not None:
            os.execv(own, server_command(own, config_file))  # noqa: S606 - no shell is wanted
        library = resolve(settings)
    except FatalError as error:
        log.get(__name__).error(str(error))
        sys.exit(1)
    asked: list[int] = []
    complaint: list[str] = []

    def end(number: int, _: FrameType | None) -> None:
        asked.append(number)
        # in a thread: this handler must return for the server's own threads to go on
        threading.Thread(target=stop, args=(settings,), daemon=True).start()

    server = threading.Thread(target=lambda: complaint.append(serve(library, arguments(settings, config_file))))
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server.start()
    server.join()
    if not asked:
        log.get(__name__).error("ClickHouse ended by itself: " + "".join(complaint))
        sys.exit(1)


if __name__ == "__main__":
    main()
