"""A picture of which a model server dies, over gRPC, with a process that really ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from core.errors import BadImage, ModelUnavailable
from core.settings import Breaker, Models
from inference import suspects
from inference.cards import ModelCard, save_card
from inference.client import ModelClient
from tests.conftest import free_ports


def jpeg(number: int) -> bytes:
    picture: bytes = simplejpeg.encode_jpeg(np.full((8, 8, 3), 16 * number, np.uint8))
    return picture


DEADLY = jpeg(5)


class StartedAgain:
    """The server, as a supervisor keeps it."""

    def __init__(self, port: int) -> None:
        module = "tests.integration.inference.dying_server"
        self._command = [sys.executable, "-m", module, str(port), str(zlib.crc32(DEADLY))]
        self._ending = threading.Event()
        self.deaths = 0
        self._process = subprocess.Popen(self._command)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ending.wait(0.05):
            if self._process.poll() is not None:
                self.deaths += 1
                self._process = subprocess.Popen(self._command)

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    card = ModelCard(
        name="e", kind="embedder", dimension=2, input="crops", version=1, input_size=8, licence="MIT", source="test"
    )
    save_card(tmp_path, card)
    return tmp_path


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def server(port: int) -> Iterator[StartedAgain]:
    started = StartedAgain(port)
    yield started
    started.end()


def test_it_costs_itself_and_the_others_are_answered(models: Path, port: int, server: StartedAgain) -> None:
    pictures = [jpeg(number) for number in range(12)]

    async def ask() -> list[tuple[float, ...] | BadImage]:
        client = ModelClient(Models(port=port, crops=4), Breaker(), models)
        while True:
            try:
                return await client.embed("e", pictures)
            except ModelUnavailable:  # as a stage does
                await asyncio.sleep(0.2)

    found = asyncio.run(asyncio.wait_for(ask(), 120))
    assert [isinstance(each, BadImage) for each in found] == [picture == DEADLY for picture in pictures]
    assert server.deaths >= suspects.ALONE + 1
