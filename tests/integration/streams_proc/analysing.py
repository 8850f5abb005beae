"""An analyse process of the tests, with vectors that need no model: `python analysing.py`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from core import log
from core.messages import Lane
from core.settings import load
from core.topics import Topics
from streams_proc.analyse import AnalyseHandler
from streams_proc.assemble import work
from streams_proc.frame_reader import FrameReader
from streams_proc.quiet import say_no_more
from streams_proc.serve import run
from streams_proc.stage import StatefulStage
from streams_proc.views import Embedding, ViewTaker


class Constant:
    async def embed(self, model: str, images: Sequence[bytes], *, lane: Lane = "batch") -> list[tuple[float, ...]]:
        return [(1.0, *[0.0] * 1279)] * len(images)


def main() -> int:
    settings = load()
    log.configure(settings.telemetry, "analyse")
    topics = Topics.of(settings.kafka)
    views = ViewTaker(
        FrameReader(settings.kafka), Constant(), {"appearance": Embedding("appearance"), "face": Embedding("face")}
    )
    stage = StatefulStage(
        "analyse", topics.detections, topics.snapshots_analyse, lambda: AnalyseHandler(topics, settings.analyse, views)
    )
    return run("analyse", lambda stopping: work(settings, stage, stopping), say_no_more)


if __name__ == "__main__":
    sys.exit(main())
