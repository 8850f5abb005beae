"""The machine and the code that are measured."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from msgspec import Struct

SHOWN = (
    "tensorflow-cpu",
    "numpy",
    "confluent-kafka",
    "faust-streaming",
    "clickhouse-connect",
    "lancedb",
    "faiss-cpu",
    "falcon",
    "uvicorn",
    "decord2",
    "av",
)


class Machine(Struct, frozen=True):
    """What the figures depend on.

    Attributes:
        versions: of the libraries that matter to them.
    """

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]


def describe() -> Machine:
    """This machine."""
    return Machine(
        _processor(Path("/proc/cpuinfo")),
        os.cpu_count() or 1,
        round(psutil.virtual_memory().total / 1024**3, 1),
        f"{platform.system()} {platform.release()} {platform.machine()}",
        platform.python_version(),
        {name: found for name in SHOWN if (found := _version(name))},
    )


def load() -> float:
    """Processes that wanted to run, the last minute's average."""
    return round(os.getloadavg()[0], 2)


def commit(folder: Path) -> str:
    """Short id of the checked-out commit, with a + when files differ from it; ``unknown`` outside of git."""
    head = _git(folder, ["rev-parse", "--short", "HEAD"])
    if not head:
        return "unknown"
    return head + ("+" if _git(folder, ["status", "--porcelain", "--untracked-files=no"]) else "")


def _git(folder: Path, arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
