"""A stage with all it needs around it, from its definition."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

from core.settings import Settings
from core.topics import Topics, letter_bytes
from streams_proc.dead_letters import DeadLetters
from streams_proc.halt import Halt
from streams_proc.host import FaustHost
from streams_proc.line import Means
from streams_proc.marks import KafkaMarks
from streams_proc.origin import KafkaOrigin
from streams_proc.pressure import Pressure
from streams_proc.publish import KafkaPublisher
from streams_proc.serve import Line, serve
from streams_proc.stage import StatefulStage, StatelessStage
from streams_proc.stateful import StatefulLine
from streams_proc.stateless import StatelessLine
from streams_proc.unordered import UnorderedLine


async def work(
    settings: Settings,
    stage: StatelessStage | StatefulStage,
    stopping: asyncio.Event,
    instance: str | None = None,
    beside: Sequence[Coroutine[Any, Any, None]] = (),
) -> None:
    """Run one stage until `stopping`.

    Args:
        instance: of this process among those of the stage on this machine, for static membership.
        beside: what else the process does.
    """
    if isinstance(stage, StatelessStage):
        host = FaustHost(settings, stage.name, stage.topics, instance, stage.gulp_s)
    else:
        host = FaustHost(settings, stage.name, (stage.topic,), instance)
    largest = {"message.max.bytes": letter_bytes(settings.kafka)}
    with contextlib.closing(KafkaPublisher(settings.kafka, stage.name, **largest)) as publisher:
        means = Means(
            group=host,
            publisher=publisher,
            origin=KafkaOrigin(settings.kafka, stage.name),
            letters=DeadLetters(Topics.of(settings.kafka).dead_letters, stage.name, settings.dead_letters),
            cut_messages=settings.analyse.snapshot_messages,
            cut_s=settings.analyse.snapshot_s,
        )
        pressure = Pressure(host.pause, host.resume)
        line = _line_of(stage, means, pressure)
        halt = Halt(KafkaMarks(settings.kafka), stage.name, means.backoff)
        try:
            await serve(host, line, stopping, beside, lambda: halt.passed(stopping))
        except Exception as error:
            await halt.after(error)
            raise


def _line_of(stage: StatelessStage | StatefulStage, means: Means, pressure: Pressure) -> Line:
    if isinstance(stage, StatefulStage):
        return StatefulLine(stage, means, pressure)
    return StatelessLine(stage, means, pressure) if stage.ordered else UnorderedLine(stage, means, pressure)
