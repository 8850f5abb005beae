"""The files that a command is given."""

from __future__ import annotations

from pathlib import Path

from core.errors import InvalidInput


def check_file(file: Path, needed: str = "a video file") -> None:
    """Refuse what is no regular file. Raises InvalidInput."""
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no regular file" if file.exists() else "not there"
        raise InvalidInput(f"{file} is {found}; {needed} is needed")
