"""The stage `detect` before a detector that only takes its time: `python -m benchmarks.work.detecting MS GO`.

Nothing is answered before the file GO is there, so that several workers have shared out the
partitions before the first of them begins.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from core import log
from core.messages import Detection, Face, Lane
from core.settings import load
from core.topics import Topics
from streams_proc.assemble import work
from streams_proc.detect import DetectHandler, detect_stage
from streams_proc.quiet import say_no_more
from streams_proc.serve import run
from streams_proc.unwanted import Unwanted

FOUND = tuple(Detection("car", 0.9 - 0.1 * i, (0.1 * i, 0.2, 0.1 * i + 0.1, 0.4)) for i in range(4))


class Simulated:
    """Answers after so many seconds, however many pictures there are."""

    def __init__(self, seconds: float, go: Path) -> None:
        self._seconds = seconds
        self._go = go
        self._gone = False

    async def detect(self, model: str, images: Sequence[bytes], *, lane: Lane) -> list[tuple[Detection, ...]]:
        """Four objects in each."""
        while not self._gone:
            self._gone = self._go.exists()  # a moment, and before anything is measured
            await asyncio.sleep(0.02)
        await asyncio.sleep(self._seconds)
        return [FOUND] * len(images)

    async def detect_faces(self, model: str, images: Sequence[bytes], *, lane: Lane) -> list[tuple[Face, ...]]:
        """None."""
        return [()] * len(images)

    async def version(self, model: str) -> int:
        """The first."""
        return 1


async def detect(seconds: float, go: Path, stopping: asyncio.Event) -> None:
    """As `streams_proc.app.detect` puts it together."""
    settings = load()
    topics = Topics.of(settings.kafka)
    unwanted = Unwanted(settings.kafka)
    handler = DetectHandler(Simulated(seconds, go), topics, settings.models.face_detector, unwanted)  # type: ignore[arg-type]  # none of its pictures is bad
    try:
        await work(settings, detect_stage(settings, handler), stopping)
    finally:
        unwanted.close()


if __name__ == "__main__":
    log.configure(load().telemetry, "detect")
    taken_s = float(sys.argv[1]) / 1000
    sys.exit(run("detect", lambda stopping: detect(taken_s, Path(sys.argv[2]), stopping), say_no_more))
