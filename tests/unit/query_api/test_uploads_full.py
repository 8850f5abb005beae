"""An upload when there is no room for it: on the staging disk, and where it is to be kept."""

from __future__ import annotations

import errno
import shutil
from io import FileIO
from pathlib import Path

import pytest

from query_api.refusals import NoSpace
from query_api.services import uploads


class Full(FileIO):
    """Takes so many bytes, as a disk that fills does."""

    room = 10

    def write(self, data: bytes) -> int:  # type: ignore[override]
        taken = min(4, len(data), self.room)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= taken
        return super().write(data[:taken]) or 0


def test_what_came_before_the_disk_was_full_is_kept_and_counted(tmp_path: Path) -> None:
    with Full(tmp_path / "a.part", "a+") as file:
        with pytest.raises(NoSpace):
            uploads._write_all(file, b"0123456789abcdef")
        assert uploads._settle(file) == 10
    assert (tmp_path / "a.part").read_bytes() == b"0123456789"


def test_what_does_not_fit_where_it_is_kept_stays_staged_and_leaves_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged, target = tmp_path / "a.part", tmp_path / "media" / "a.mp4"
    staged.write_bytes(b"whole")

    def move(source: Path, to: Path) -> None:
        to.write_bytes(b"who")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "move", move)
    with pytest.raises(NoSpace):
        uploads._move(staged, target)
    assert staged.read_bytes() == b"whole"
    assert not target.exists()


def test_another_fault_of_the_disk_is_not_called_full() -> None:
    with pytest.raises(IsADirectoryError), uploads._room():
        raise IsADirectoryError(errno.EISDIR, "Is a directory")
