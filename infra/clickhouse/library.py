"""Resolving ClickHouse's library from npm, once, as `package-lock.json` names it."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from core.errors import SetupError
from core.settings import Settings, load
from infra.parts import run, settled

HERE = Path(__file__).parent
LOCK = HERE / "package-lock.json"
SHIPPED = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"


def lib_dir(settings: Settings) -> Path:
    """Where the package is kept."""
    return settings.data_dir / "clickhouse" / "lib"


def binary() -> str | None:
    """A ClickHouse of the machine's own, which is used instead."""
    return shutil.which("clickhouse")


def resolve(settings: Settings) -> Path:
    """Path of the library, installed now if the lock file is not what it was installed from.

    Raises:
        SetupError: npm is missing or fails, or there is no library for this processor.
    """
    with settled(lib_dir(settings), LOCK.read_bytes()) as target:
        if target is not None:
            _install(target)
    return lib_dir(settings).absolute() / SHIPPED


def _install(target: Path) -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        raise SetupError(
            f"no registry has ClickHouse's library for {platform.machine()}: put a `clickhouse` binary on PATH, "
            "or set SIGHTLINE_CLICKHOUSE__URL to a server"
        )
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm is missing and ClickHouse's library is not installed yet: apt-get install npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, target / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    run(command, "ClickHouse's library cannot be installed", cwd=target)


if __name__ == "__main__":
    resolve(load())
