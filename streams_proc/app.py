"""What runs: every process of the room, and what it is made of.

Each function below assembles one process out of its parts; nothing is decided anywhere else.
"""
# ruff: noqa: PLC0415  # a process loads the libraries of its own stage and no other's

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from core import log
from core.errors import ConfigError
from core.messages import closes_run
from core.orders import Obeying
from core.settings import Settings, load
from core.topics import Topics, letter_bytes
from streams_proc.assemble import work
from streams_proc.quiet import say_no_more
from streams_proc.replay import replay
from streams_proc.serve import run
from streams_proc.stage import Handler, StatefulStage, StatelessStage

if TYPE_CHECKING:
    from warehouse.analytics import AnalyticsStore

Process = Callable[[Settings, asyncio.Event, str | None], Awaitable[None]]
MOST_RECORDS = 5000
GULP_S = 0.5
"""How long a sink's broker gathers records before it answers."""
MOST_TOLD = 16_384
"""Records whose callbacks may be unfinished at once."""


async def control(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Statuses of runs to the control database; beside it the outbox, ends of tasks, nodes, orders, and the chores."""
    from streams_proc.attempt import Backoff
    from streams_proc.audit import Audit
    from streams_proc.clear_logs import ClearLogs
    from streams_proc.lost_hosts import LostHosts
    from streams_proc.nodes import KafkaNodes, Nodes
    from streams_proc.orders import OrderRelay
    from streams_proc.publish import KafkaPublisher
    from streams_proc.relay import Relay
    from streams_proc.retain import Retain
    from streams_proc.status import StatusHandler
    from streams_proc.sweep import Sweep
    from streams_proc.task_ends import TaskEnds
    from streams_proc.trim import KafkaLogs, Trim
    from warehouse.control.store import ControlStore
    from warehouse.embeddings import EmbeddingStore
    from warehouse.media import MediaStore

    topics = Topics.of(settings.kafka)
    store, media = ControlStore.connect(settings), MediaStore.connect(settings)

    embeddings = EmbeddingStore.connect(settings)

    @functools.cache
    def analytics() -> AnalyticsStore:
        """Loaded and connected at the first sweep: statuses and the outbox do not wait for it."""
        from warehouse.analytics import AnalyticsStore

        return AnalyticsStore.connect(settings)

    erase = (
        lambda stream: analytics().delete_stream(stream),
        embeddings.delete_stream,
        lambda stream: media.delete_prefix(str(stream)),
    )
    sweep = Sweep(
        store,
        media,
        erase,
        upload_ttl_s=settings.media.upload_ttl_s,
        purge=lambda: analytics().purge_deleted(),
    )
    stage = StatelessStage("control", (topics.stream_status,), StatusHandler(store), batch=500)
    backoff = Backoff()
    with (
        contextlib.closing(KafkaPublisher(settings.kafka, "relay")) as publisher,
        contextlib.closing(KafkaNodes(settings.kafka)) as nodes,
    ):
        hosts = Nodes(nodes, store)
        beside = (
            Relay(store.take_outbox, store.delete_outbox, publisher, topics.streams).run(backoff),
            Relay(store.take_changes, store.delete_changes, publisher, topics.stream_changes).run(backoff),
            OrderRelay(store, publisher, topics.nodes).run(backoff),
            hosts.run(backoff),
            LostHosts(store, publisher, topics.stream_status, hosts.heard_s, nodes.answers).run(backoff),
            Retain(store, analytics, embeddings, media).run(backoff),
            TaskEnds(store, publisher, topics.task_ends).run(backoff),
            sweep.run(backoff),
            Trim(KafkaLogs(settings.kafka), topics).run(backoff),
            Audit(store, lambda stream, run: analytics().frame_counts(stream, run)).run(backoff),
            ClearLogs(store, settings.control.stream_logs_days).run(backoff),
        )
        await work(settings, stage, stopping, instance, beside)


async def detect(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Frames to detections, live before batch."""
    from inference.client import ModelClient
    from streams_proc.detect import DetectHandler, detect_stage
    from streams_proc.unwanted import Unwanted

    topics = Topics.of(settings.kafka)
    client = ModelClient(settings.models, settings.breaker, settings.models_dir)
    unwanted = Unwanted(settings.kafka)
    handler = DetectHandler(client, topics, settings.models.face_detector, unwanted)
    try:
        await work(settings, detect_stage(settings, handler), stopping, instance)
    finally:
        unwanted.close()
        await client.close()


async def analyse(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Detections to tracks, views and events."""
    from inference.client import ModelClient
    from streams_proc.analyse import AnalyseHandler
    from streams_proc.frame_reader import FrameReader
    from streams_proc.views import Embedding, ViewTaker

    topics = Topics.of(settings.kafka)
    models = settings.models
    client = ModelClient(models, settings.breaker, settings.models_dir)
    reader = FrameReader(settings.kafka)
    views = ViewTaker(
        reader,
        client,
        {
            "appearance": Embedding(models.embedder, client.card(models.embedder).widen),
            "face": Embedding(models.face_embedder, client.card(models.face_embedder).widen),
        },
        settings.kafka.max_message_bytes,
    )
    stage = StatefulStage(
        "analyse", topics.detections, topics.snapshots_analyse, lambda: AnalyseHandler(topics, settings.analyse, views)
    )
    try:
        await work(settings, stage, stopping, instance)
    finally:
        await client.close()
        await reader.close()


async def sink_clickhouse(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Detections, tracks and events to ClickHouse."""
    from streams_proc.sink import SinkHandler
    from streams_proc.sink_clickhouse import NAME, ByTopic, ClickHouseStore
    from warehouse.analytics import AnalyticsStore
    from warehouse.control.store import ControlStore

    topics = Topics.of(settings.kafka)
    handler = SinkHandler(
        NAME,
        settings.kafka.prefix,
        ByTopic(topics),
        ClickHouseStore(AnalyticsStore.connect(settings)),
        ControlStore.connect(settings),
    )
    stage = _sink(settings, NAME, (topics.events, topics.tracks, topics.detections), handler)
    await work(settings, stage, stopping, instance)


async def sink_lancedb(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Embeddings to LanceDB."""
    from core.messages import decode_tracks
    from streams_proc.sink import SinkHandler
    from streams_proc.sink_lancedb import NAME, LanceDbStore, maintain
    from warehouse.control.store import ControlStore
    from warehouse.embeddings import EmbeddingStore

    topics = Topics.of(settings.kafka)
    store = LanceDbStore(EmbeddingStore.connect(settings))
    handler = SinkHandler(
        NAME,
        settings.kafka.prefix,
        lambda record: decode_tracks(record.value),
        store,
        ControlStore.connect(settings),
    )
    await work(settings, _sink(settings, NAME, (topics.tracks,), handler), stopping, instance, (maintain(store),))


async def sink_media(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Pictures to the media store."""
    from core.messages import decode_tracks
    from streams_proc.sink import SinkHandler
    from streams_proc.sink_media import NAME, MediaSink
    from warehouse.control.store import ControlStore
    from warehouse.media import MediaStore

    topics = Topics.of(settings.kafka)
    handler = SinkHandler(
        NAME,
        settings.kafka.prefix,
        lambda record: decode_tracks(record.value),
        MediaSink(MediaStore.connect(settings)),
        ControlStore.connect(settings),
    )
    await work(settings, _sink(settings, NAME, (topics.tracks,), handler), stopping, instance)


async def notify(settings: Settings, stopping: asyncio.Event, instance: str | None) -> None:
    """Events, changes of states and ends of tasks to whoever asked to be told."""
    from core.addresses import Policy
    from core.pinned import PinnedHttp
    from core.profile import HttpCallback, KafkaCallback, TelegramCallback
    from streams_proc.notify import NAME
    from streams_proc.notify.deliveries import Deliveries, Sender
    from streams_proc.notify.handler import NotifyHandler
    from streams_proc.notify.notifications import Notifications
    from streams_proc.notify.post import Post
    from streams_proc.notify.produce import Produce
    from streams_proc.notify.profiles import Profiles
    from streams_proc.notify.telegram import Telegram
    from streams_proc.publish import KafkaPublisher
    from warehouse.control.store import ControlStore

    topics, limits = Topics.of(settings.kafka), settings.notify
    http, produce = PinnedHttp(Policy.of("callback", settings)), Produce(settings)
    senders: dict[type, Sender] = {
        HttpCallback: Post(http),
        KafkaCallback: produce,
        TelegramCallback: Telegram(http, limits.telegram_url),
    }
    largest = {"message.max.bytes": letter_bytes(settings.kafka)}
    with contextlib.closing(KafkaPublisher(settings.kafka, "notifications", **largest)) as publisher:
        handler = NotifyHandler(
            topics,
            Profiles(ControlStore.connect(settings), limits.profile_s),
            Deliveries(senders, limits),
            Notifications(publisher, topics.notifications),
        )
        read = (topics.task_ends, topics.stream_changes, topics.events)
        stage = StatelessStage(NAME, read, handler, batch=1, in_flight=MOST_TOLD, ordered=False)
        try:
            await work(settings, stage, stopping, instance)
        finally:
            await http.close()
            produce.close()


def _sink(settings: Settings, name: str, topics: tuple[str, ...], handler: Handler) -> StatelessStage:
    """One call at a time, with what was gathered; a run's end is not kept waiting, for a task is done with it."""
    batch, gather_s = min(settings.sink.batch_rows, MOST_RECORDS), settings.sink.batch_s
    return StatelessStage(
        name,
        topics,
        handler,
        batch,
        linger_s=gather_s,
        gulp_s=min(gather_s, GULP_S),
        closes=lambda record: closes_run(record.value),
    )


PROCESSES: Mapping[str, Process] = {
    "control": control,
    "detect": detect,
    "analyse": analyse,
    "sink-clickhouse": sink_clickhouse,
    "sink-lancedb": sink_lancedb,
    "sink-media": sink_media,
    "notify": notify,
}


def main(arguments: Sequence[str]) -> int:
    """`python -m streams_proc <process> [--instance N] [--replay]`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m streams_proc", description="Run one process of the way of a frame."
    )
    parser.add_argument("process", choices=PROCESSES)
    parser.add_argument(
        "--instance", help="number of this process among its kind on this machine: a restart then costs no rebalance"
    )
    parser.add_argument(
        "--replay", action="store_true", help="forget what is committed and begin with the first record that is kept"
    )
    chosen = parser.parse_args(arguments)
    name: str = chosen.process
    try:
        settings = load()
    except ConfigError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201  # there are no settings to log by
        return 1
    log.configure(settings.telemetry, name)

    async def process(stopping: asyncio.Event) -> None:
        if chosen.replay:
            snapshots = Topics.of(settings.kafka).snapshots_analyse if name == "analyse" else None
            await asyncio.to_thread(replay, settings.kafka, name, snapshots)
        loop = asyncio.get_running_loop()
        with Obeying(settings.kafka, lambda: loop.call_soon_threadsafe(stopping.set), settings.telemetry.level):
            await PROCESSES[name](settings, stopping, chosen.instance)

    return run(name, process, say_no_more)
