"""Parts that registries ship and a machine keeps: fetched once, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import SetupError

STAMP = ".resolved"


def is_settled(folder: Path, definition: bytes) -> bool:
    """Whether `folder` holds what `definition` names."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == hashlib.sha256(definition).hexdigest()


@contextmanager
def settled(folder: Path, definition: bytes) -> Iterator[Path | None]:
    """Fill `folder` from `definition`: yields an empty folder to fill, or None when nothing is to be done.

    The filled folder takes its place in one rename, and one process at a time does it, so a
    fetch that is interrupted or run twice at once leaves nothing half-made.
    """
    if is_settled(folder, definition):
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_settled(folder, definition):
            yield None
            return
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        (part / STAMP).write_text(hashlib.sha256(definition).hexdigest())
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def run(command: Sequence[str], complaint: str, cwd: Path | None = None) -> None:
    """Run a fetching command.

    Raises:
        SetupError: `complaint` and the command's last words, when it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)  # noqa: S603 - our own words
    if done.returncode:
        words = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise SetupError(f"{complaint} ({' '.join(command[:2])} ended with {done.returncode}): {' '.join(words[-3:])}")
