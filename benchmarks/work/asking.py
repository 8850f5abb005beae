"""The product's own client of the model server, asked as the stage `detect` asks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.clips import pictures_of
from core.errors import BadImage
from core.settings import Breaker, Models
from inference.client import ModelClient


class Asking:
    """One client on one event loop."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._models = Models(**setup["models"])
        self._client = self._loop.run_until_complete(self._connect())
        self._pictures = pictures_of(setup["pictures"])

    async def _connect(self) -> ModelClient:
        assert self._models.dir is not None
        return ModelClient(self._models, Breaker(), Path(self._models.dir))

    def __call__(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Ask for `seconds`, or embed every picture once."""
        if question["what"] == "embed":
            return {"vectors": self._loop.run_until_complete(self._embed(question["model"]))}
        return self._loop.run_until_complete(self._detect(question))

    async def _detect(self, question: dict[str, Any]) -> Mapping[str, Any]:
        batch, in_flight = int(question["batch"]), int(question["in_flight"])
        batches = [self._pictures[at : at + batch] for at in range(0, len(self._pictures) - batch + 1, batch)]
        begun = time.perf_counter()
        until = begun + float(question["seconds"])

        async def asker(number: int) -> int:
            asked = 0
            while time.perf_counter() < until:
                answers = await self._client.detect(
                    question["model"], batches[(number + asked * in_flight) % len(batches)]
                )
                _refuse_bad(answers)
                asked += 1
            return asked

        asked = sum(await asyncio.gather(*(asker(number) for number in range(in_flight))))
        return {"items": asked * batch, "seconds": time.perf_counter() - begun}

    async def _embed(self, model: str) -> list[tuple[float, ...]]:
        found: list[tuple[float, ...]] = []
        for at in range(0, len(self._pictures), 16):
            answers = await self._client.embed(model, self._pictures[at : at + 16])
            found += [answer for answer in answers if not isinstance(answer, BadImage)]
        return found


def _refuse_bad(answers: Sequence[object]) -> None:
    for answer in answers:
        if isinstance(answer, BadImage):
            raise answer


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """Connect; `setup` has ``models`` and ``pictures``."""
    return Asking(setup), {}


if __name__ == "__main__":
    child.serve(make)
