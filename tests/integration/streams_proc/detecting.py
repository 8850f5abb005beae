"""A detect process of the tests, with a detector that needs no model: `python detecting.py [SECONDS] [mended]`.

What it finds follows from the picture's bytes alone, and a picture that begins with `bad` cannot be decoded,
until the detector is mended.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Sequence

from core import log
from core.errors import BadImage, ModelUnavailable
from core.messages import Detection, Face, Lane
from core.settings import load
from core.topics import Topics
from streams_proc.assemble import work
from streams_proc.detect import DetectHandler, detect_stage
from streams_proc.quiet import say_no_more
from streams_proc.serve import run


class ByChecksum:
    def __init__(self, seconds: float, mended: bool) -> None:
        self.seconds = seconds
        self.mended = mended
        self.calls = 0

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch"
    ) -> list[tuple[Detection, ...] | BadImage]:
        self.calls += 1
        if self.calls % 50 == 7:
            raise ModelUnavailable("shedding load")
        await asyncio.sleep(self.seconds)
        bad = (not self.mended and image.startswith(b"bad") for image in images)
        return [BadImage("no picture") if no else objects(image) for no, image in zip(bad, images, strict=True)]

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch"
    ) -> list[tuple[Face, ...] | BadImage]:
        return [() for _ in images]

    async def version(self, model: str) -> int:
        return 1


def objects(image: bytes) -> tuple[Detection, ...]:
    x = (zlib.crc32(image) % 100_000) / 100_001
    return (Detection("car", 0.5, (x / 3, 0.1, x, 0.9)), Detection("person", 0.75, (0.0, 0.1, x, 0.9)))


def main() -> int:
    settings = load()
    log.configure(settings.telemetry, "detect")
    topics = Topics.of(settings.kafka)
    detector = ByChecksum(float(sys.argv[1]) if len(sys.argv) > 1 else 0.01, mended="mended" in sys.argv)
    stage = detect_stage(settings, DetectHandler(detector, topics, "faces"))
    return run("detect", lambda stopping: work(settings, stage, stopping), say_no_more)


if __name__ == "__main__":
    sys.exit(main())
