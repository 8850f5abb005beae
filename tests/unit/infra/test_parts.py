"""Fetched parts are whole or not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.errors import SetupError
from core.settings import Settings
from infra.kafka import jars
from infra.parts import is_settled, run, settled


def fill(folder: Path, definition: bytes, content: str) -> bool:
    with settled(folder, definition) as target:
        if target is None:
            return False
        (target / "part").write_text(content)
        return True


def test_it_is_fetched_once(tmp_path: Path) -> None:
    assert fill(tmp_path / "lib", b"1", "first")
    assert not fill(tmp_path / "lib", b"1", "again")
    assert (tmp_path / "lib" / "part").read_text() == "first"


def test_another_definition_replaces_it(tmp_path: Path) -> None:
    fill(tmp_path / "lib", b"1", "old")
    (tmp_path / "lib" / "stray").touch()
    assert fill(tmp_path / "lib", b"2", "new")
    assert (tmp_path / "lib" / "part").read_text() == "new"
    assert not (tmp_path / "lib" / "stray").exists()


def test_a_fetch_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    fill(tmp_path / "lib", b"1", "old")
    with pytest.raises(RuntimeError, match="network"), settled(tmp_path / "lib", b"2") as target:
        assert target is not None
        (target / "half").touch()
        raise RuntimeError("network")
    assert is_settled(tmp_path / "lib", b"1")
    assert (tmp_path / "lib" / "part").read_text() == "old"
    assert fill(tmp_path / "lib", b"2", "new")
    assert not (tmp_path / "lib" / "half").exists()


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    inside = threading.Event()
    results: list[bool] = []

    def first() -> None:
        with settled(tmp_path / "lib", b"1") as target:
            assert target is not None
            inside.set()
            second.start()
            (target / "part").touch()
        results.append(True)

    second = threading.Thread(target=lambda: results.append(fill(tmp_path / "lib", b"1", "twice")))
    first()
    assert inside.is_set()
    second.join(30)
    assert sorted(results) == [False, True]


def test_a_command_that_fails_says_its_last_words() -> None:
    with pytest.raises(SetupError, match=r"cannot be had \(sh -c ended with 3\): .*no route"):
        run(["sh", "-c", "echo begun; echo no route >&2; exit 3"], "the jars cannot be had")


def test_jars_go_where_the_stack_looks_also_from_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jars.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(jars, "run", lambda command, complaint: commands.append(list(command)))
    jars.resolve(Settings(data_dir=Path("rel")))
    assert f"-DoutputDirectory={tmp_path}/rel/kafka/lib.part" in commands[0]
