"""The real model server, started once per session on a free port over the models of the checkout."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from core.settings import Models, Settings
from inference.cards import list_cards
from inference.fetch import fetch_all, write_server_config
from infra.stack.readiness import models_answer

ROOT = Path(__file__).parent.parent
START_S = 120.0
Serve = Callable[[Path], AbstractContextManager[tuple[Models, subprocess.Popen[bytes]]]]


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The converted zoo, made if it is missing."""
    settings = Settings(data_dir=ROOT / "var")
    fetch_all(settings, print)
    return settings.models_dir


@pytest.fixture(scope="session")
def model_server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Settings of a running model server with every model of the zoo."""
    with serving(models_dir, tmp_path_factory.mktemp("models") / "server.log") as (models, _):
        yield models


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start another model server over a folder, for the block."""
    return lambda folder: serving(folder, tmp_path / "server.log")


@contextmanager
def serving(
    folder: Path, log: Path, bfloat16: Literal["auto", "on", "off"] = "off"
) -> Iterator[tuple[Models, subprocess.Popen[bytes]]]:
    """Run `python -m inference.server` over `folder` until the block ends; it must then end well.

    In float, unless something else is asked for, so that every processor gives the same numbers.
    """
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        models = Models(port=holder.getsockname()[1], dir=folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")}
    env |= {"SIGHTLINE_MODELS__PORT": str(models.port), "SIGHTLINE_MODELS__DIR": str(folder)}
    env["SIGHTLINE_MODELS__BFLOAT16"] = bfloat16
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference.server"], cwd=ROOT, env=env, stderr=output)
    try:
        _wait(process, models, log)
        yield models, process
    finally:
        process.terminate()
        code = process.wait(30)
    assert code == 0, log.read_text()


def part_of_zoo(models_dir: Path, folder: Path, *names: str) -> Path:
    """A models folder with copies of these models only."""
    for name in names:
        shutil.copytree(models_dir / name, folder / name)
    write_server_config(folder)
    assert {card.name for card in list_cards(folder)} == set(names)
    return folder


def _wait(process: subprocess.Popen[bytes], models: Models, log: Path) -> None:
    """Until every model is loaded."""
    until = time.monotonic() + START_S
    assert models.dir is not None
    names = [card.name for card in list_cards(models.dir)]
    while not models_answer(Settings(models=models), *names):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, "the model server does not answer\n" + log.read_text()
        time.sleep(0.2)
