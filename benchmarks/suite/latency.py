"""Frame published to its tracks and events on Kafka and to sockets: alone, and beside a backlog of tasks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import closing, suppress

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.figures import percentile, spread
from benchmarks.follow import Follower, Passed
from benchmarks.parts import Stack, stack
from benchmarks.rawloop import precisions, raw_loop
from benchmarks.rows import Goal, Row
from benchmarks.sockets import EventSocket
from benchmarks.suite.pipeline import Task
from benchmarks.usage import Usage
from core.ids import StreamId
from core.kafka import admin
from core.settings import Settings
from core.topics import Topics
from inference.serving_config import MODELS_FILE, parse_models
from infra.cli.job import Options
from infra.cli.query_service import Refused
from infra.stack.lag import lags
from infra.stack.processes import MODEL_SERVER
from infra.stack.readiness import models_answer

LOAD = 0.5
BACKLOG = 1000
WANTED_MS = 300
PATIENCE_S = 300.0
ANYTHING = {"labels": "any"}
WORKERS = ("detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify")


def run(bench: Bench) -> Sequence[Row]:
    """A stream at half of what the stack can do, alone and beside a backlog, in turn."""
    pictures = clips.kept(clips.jpegs(bench.shared / clips.CARS, 64), bench.folder)
    with stack(bench.folder) as standing:
        model = standing.settings.models.detector
        all_loaded(standing.settings)
        with raw_loop(bench, pictures, model, precisions()[-1]) as raw:
            one_ms = percentile(raw.ask(1, 1, bench.round_s)["calls_s"], 0.95) * 1000
        most = _most(bench, standing, model)
        fps = max(1.0, round(LOAD * most))
        bench.say(f"{model}: {fps:g} frames/s are half of what a task gets; a call of one takes {one_ms:.0f} ms (p95)")
        line = Line(bench, standing, fps)
        rounds: dict[str, list[Passed]] = {"alone": [], f"beside {BACKLOG} queued frames": []}
        with Usage(standing.processes()) as used:
            for number in range(1, bench.rounds + 1):
                for name, found in rounds.items():
                    found.append(line.round(0 if name == "alone" else BACKLOG))
                    bench.say(f"round {number} of {bench.rounds}, {name}: {_shown(found[-1].whole())}")
    goals = {"alone": Goal("value", WANTED_MS + one_ms)}
    rows = [row for name, found in rounds.items() for row in _rows(name, found, goals.get(name))]
    call = Row("a call of one picture, raw loop", one_ms, "ms p95", "less", note=f"{fps:g} frames/s were published")
    return [
        *rows,
        call,
        Row("the stack meanwhile", sum(used.memory_mb.values()), "MB", "less", memory_mb=used.memory_mb),
    ]


def _most(bench: Bench, standing: Stack, model: str) -> float:
    """Frames/s of a task in full swing: the whole load that the stack bears."""
    task = Task(standing, clips.repeated(bench.shared / clips.CARS, 2, bench.folder / "cars.mp4"), model)
    task.run()
    return task.swing[-1].value


class Line:
    """The live lane of a stack, and tasks beside it."""

    def __init__(self, bench: Bench, standing: Stack, fps: float) -> None:
        self._bench = bench
        self._standing = standing
        self._fps = fps
        self._client = admin(standing.settings.kafka)

    def round(self, backlog: int) -> Passed:
        """A stream's frames, while so many frames of tasks are queued all the time."""
        tasks = self._queue(backlog)
        service, settings = self._standing.service, self._standing.settings
        url = service.upload(self._bench.shared / clips.BOTTLES).url
        analytics = [{"name": "object_detection", "parameters": ANYTHING}]
        request = {"url": url, "name": "latency", "fps": self._fps, "loop": True, "gate": False, "analytics": analytics}
        try:
            with closing(Follower(settings)) as follower:
                stream = StreamId(service.add_stream(request).stream_id)
                with EventSocket(settings.query.port, stream) as socket:
                    passed = follower.follow([stream], 4 * self._bench.round_s)
                passed.told = socket.told
                service.remove_stream(stream)
            left = queued(settings, self._client)
            if left < backlog:
                raise Failed(f"the backlog fell to {left} frames: the tasks are too short for the round")
        finally:
            for task in tasks:
                with suppress(Refused):  # it is done
                    service.cancel(task)
            self._emptied()
        if not passed.to_events() or not passed.to_sockets():
            raise Failed("no event came of the stream")
        return passed

    def _queue(self, frames: int) -> list[str]:
        """Tasks until so many frames and as many again are queued; the model stands still meanwhile."""
        if not frames:
            return []
        model = self._standing.processes()[MODEL_SERVER]
        os.kill(model, signal.SIGSTOP)
        try:
            tasks = self._queued(frames)
        finally:
            os.kill(model, signal.SIGCONT)
        self._asks_again()
        return tasks

    def _asks_again(self) -> None:
        """Wait until detect gets answers: what stood still too long was left alone for a while."""
        before, until = self._committed(), time.monotonic() + PATIENCE_S
        while self._committed() == before:
            if time.monotonic() > until:
                raise Failed(f"detect has done nothing within {PATIENCE_S:.0f} s of the model's going on")
            time.sleep(0.5)

    def _committed(self) -> int:
        return sum(committed(self._standing.settings, self._client).values())

    def _queued(self, frames: int) -> list[str]:
        tasks: list[str] = []
        until = time.monotonic() + PATIENCE_S
        before = 0
        # and until their readers have gone as far ahead as they may
        while (now := queued(self._standing.settings, self._client)) < 2 * frames or now > before:
            if time.monotonic() > until:
                raise Failed(f"{frames} frames were not queued within {PATIENCE_S:.0f} s")
            if len(tasks) < 12:
                url = self._standing.service.upload(self._bench.shared / clips.CARS).url
                tasks.append(self._standing.service.submit(Options(fps=0.0).request(url)))
            else:
                time.sleep(1.0)
            before = now
        return tasks

    def _emptied(self) -> None:
        """Wait until nobody works any more on what was cancelled: it would stand before the next round's frames."""
        until = time.monotonic() + PATIENCE_S
        while any((left := lags(self._standing.settings.kafka, WORKERS)).values()):
            if time.monotonic() > until:
                raise Failed(f"the cancelled tasks are not done with after {PATIENCE_S:.0f} s: {left}")
            time.sleep(0.5)


def all_loaded(settings: Settings) -> None:
    """Wait for the models that the server loads after it is there: they take the processor from the first round."""
    config = parse_models((settings.models_dir / MODELS_FILE).read_text())
    names = [model.name for model in config.model_config_list.config]
    until = time.monotonic() + PATIENCE_S
    while not models_answer(settings, *names):
        if time.monotonic() > until:
            raise Failed(f"the models were not loaded within {PATIENCE_S:.0f} s")
        time.sleep(1.0)


def queued(settings: Settings, client: AdminClient) -> int:
    """Frames of the batch lane that detect has not committed yet."""
    topic = Topics.of(settings.kafka).frames_batch
    places = [TopicPartition(topic, p) for p in range(settings.kafka.partitions)]
    ends = client.list_offsets({place: OffsetSpec.latest() for place in places})
    done = committed(settings, client)
    return sum(future.result(10).offset - done[place.partition] for place, future in ends.items())


def committed(settings: Settings, client: AdminClient) -> dict[int, int]:
    """Up to where detect has committed each partition of the batch lane."""
    topic = Topics.of(settings.kafka).frames_batch
    places = [TopicPartition(topic, p) for p in range(settings.kafka.partitions)]
    request = ConsumerGroupTopicPartitions(settings.kafka.prefix + "detect", places)
    (future,) = client.list_consumer_group_offsets([request]).values()
    return {tp.partition: max(tp.offset, 0) for tp in future.result(10).topic_partitions or ()}


def _rows(name: str, rounds: Sequence[Passed], goal: Goal | None) -> list[Row]:
    return [
        _row(f"events, {name}", [passed.to_events() for passed in rounds], goal),
        _row(f"events at a WebSocket, {name}", [passed.to_sockets() for passed in rounds]),
        _row(f"tracks, {name}", [passed.whole() for passed in rounds]),
        _row(f"of it to detections, {name}", [passed.to_detections() for passed in rounds]),
        _row(f"of it to tracks, {name}", [passed.to_tracks() for passed in rounds]),
    ]


def _row(name: str, rounds: Sequence[Sequence[int]], goal: Goal | None = None) -> Row:
    """The p95 over all rounds; every frame counts."""
    p95 = tuple(percentile(delays, 0.95) for delays in rounds)
    whole = [delay for delays in rounds for delay in delays]
    return Row(
        name,
        percentile(whole, 0.95),
        "ms p95",
        "less",
        p95,
        spread(p95),
        goal=goal,
        note=f"all rounds: {_shown(whole)}",
    )


def _shown(delays: Sequence[int]) -> str:
    p50, p95, p99 = (percentile(delays, share) for share in (0.5, 0.95, 0.99))
    return f"{len(delays)} of them, p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, most {max(delays)} ms"


BENCHMARK = Benchmark(
    "latency",
    "A file at its own pace on the whole stack, at half of the frames/s that a task gets there in full swing: from a "
    "frame's publishing to its tracks, to each event that it decided, and to a client of the event channel; alone and "
    "beside a backlog of tasks, in turn.",
    run,
)
