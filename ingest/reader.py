"""One stream's process: decodes, encodes and publishes one run (`ingest.reader_process` starts it).

It reads its start and its orders from a pipe (`ingest.protocol`, `ingest.control`), reports on
standard output, and ends with the run's records, last status and last checkpoint acknowledged. A
crash of a decoder ends this process and nothing else.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from core import kafka as clients
from core.clock import now_ms
from core.errors import ClientError, FatalError, TransientError
from core.local_files import is_local
from core.log import configure, get
from core.messages import IngestCounts, RunBegin, RunEnd, StreamSpec, VideoInfo
from core.settings import Settings
from core.topics import Topics
from ingest.backlog import Backlog, DetectLag
from ingest.closing import begin_if_missing, close_run, settled
from ingest.control import Control
from ingest.hours import Hours
from ingest.lanes import BatchLane, Lane, LiveLane, Numbering
from ingest.leaving import leave
from ingest.ledger import Ledger
from ingest.link import Link
from ingest.offsets import bounds
from ingest.progress import Checkpoint
from ingest.protocol import EXIT_ENDED, EXIT_RETRY, EXIT_SUSPENDED, Report, Start, decode_start
from ingest.publisher import Acknowledged, Publisher
from ingest.reading import Reading, Resume, Source
from ingest.recover import Standing, recover
from ingest.reporter import Reporter, Teller, to_host
from ingest.sources import forget_source, open_source

log = get(__name__)
Ended = Literal["done", "failure", "stop"]
PRODUCER_KB = 32 * 1024
BATCH_NICENESS = 15
"""A file can wait for a camera, for the model that looks at it, and for a process that starts again."""
BATCH_LINGER_MS = 100
"""Some frames of a file go to the broker together: a quarter less work there, half of detect's own."""
LIVE_SHARE = 0.9
"""Of a live partition's bound; what Kafka removes, it removes a whole segment at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run's reading ended, for its `RunEnd`."""

    state: Ended
    video: VideoInfo | None = None
    error: str | None = None


class Reader:
    """Reads one run, from wherever it stands, to its end or to an order."""

    def __init__(self, start: Start, settings: Settings, control: Control) -> None:
        self._start = start
        self._spec: StreamSpec = start.spec
        self._settings = settings
        self._control = control
        self._topics = Topics.of(settings.kafka)
        live = start.spec.lane == "live"
        self._frames_topic = self._topics.frames_live if live else self._topics.frames_batch
        self._producer = clients.producer(
            settings.kafka,
            f"reader-{start.spec.stream_id}",
            # no frame runs out of time, and one that is refused ends the producer: the next one might
            # still arrive, and leave a hole that is never filled
            **{
                "queue.buffering.max.kbytes": PRODUCER_KB,
                "delivery.timeout.ms": 0,
                "enable.gapless.guarantee": True,
                # a camera's frames come one by one, and what waits here when the machine stands still is sent when it
                # wakes, before the lease is looked at; a file's come as fast as they are wanted, and nobody watches
                "linger.ms": 0 if live else BATCH_LINGER_MS,
            },
        )

    def run(self) -> Ended | None:
        """The state the run ended in; None when it is to be continued.

        Raises:
            BrokerUnavailable: to be tried again, from the last checkpoint.
        """
        checkpoint = self._checkpoint()
        standing = recover(self._settings.kafka, self._frames_topic, self._start.partition, checkpoint)
        reached_s = 0.0 if self._spec.lane == "batch" else standing.reached_s
        ledger = Ledger(self._spec.lane, self._counts_before(checkpoint, standing), reached_s)
        publisher = self._publisher(standing, ledger)
        publisher.checkpoint(replace_standing(checkpoint, standing))
        publisher.flush()
        if standing.end is not None:
            end = standing.end
        else:
            outcome = self._read(publisher, ledger, standing)
            if outcome is None:
                return None
            end = self._end(outcome, ledger)
        close_run(publisher, self._start.host, checkpoint, end, published=standing.end is not None)
        forget_source(self._spec, self._settings)
        return end.state

    def watch_lease(self) -> None:
        """Wait for the end of the lease, then end the process."""
        self._control.until_left()
        leave(self._producer)

    def _read(self, publisher: Publisher, ledger: Ledger, standing: Standing) -> Outcome | None:
        """Open and read the source; None when told to suspend. Raises BrokerUnavailable."""
        if self._control.order == "stop":
            begin_if_missing(publisher, self._spec, begun=standing.begun)
            return Outcome("stop")
        with self._backlog() as backlog:
            return self._read_against(backlog, publisher, ledger, standing)

    def _read_against(
        self, backlog: Backlog, publisher: Publisher, ledger: Ledger, standing: Standing
    ) -> Outcome | None:
        known = self._start.checkpoint
        teller = Teller(self._spec, self._start.host, publisher, ledger, None if known is None else known.video)
        numbering = Numbering(publisher, backlog, ledger, standing.next_seq, self._settings.kafka.max_message_bytes)
        lane = self._lane(numbering, ledger)
        link = self._link(teller, ledger)
        reading: Reading | None = None
        refusal: str | None = None
        with Reporter(teller, lane, self._control) as reporter:
            try:
                source = link.first()
            except (ClientError, FatalError) as error:
                source, refusal = None, str(error)
            if source is not None:
                reading = self._reading(source, link, lane, ledger, standing)
                if not standing.begun:
                    video = source.probe.info(source.decoder)
                    publisher.begin(RunBegin(self._spec.stream_id, self._spec.run, self._spec, video))
                elif self._spec.lane == "live":  # it may have been redefined while nobody read it
                    reading.change(self._spec.analytics)
                reading.run()
                lane.drain()
        if reporter.error is not None:
            raise reporter.error
        if reading is None and self._control.order != "suspend":
            begin_if_missing(publisher, self._spec, begun=standing.begun)
        return self._outcome(reading, refusal or link.failure, ledger, teller)

    def _link(self, teller: Teller, ledger: Ledger) -> Link:
        def connect(before: Source | None) -> Source:
            wait = self._control.wait
            return open_source(self._spec, self._settings, careful=self._start.careful, wait=wait, before=before)

        live = self._spec.lane == "live"
        return Link(
            self._spec,
            connect,
            wait=self._control.wait,
            telling=teller,
            problem=ledger.problem,
            hours=Hours(self._spec.analytics, newest=lambda: self._control.analytics) if live else None,
            attempt=self._start.attempt,
        )

    def _reading(self, source: Source, link: Link, lane: Lane, ledger: Ledger, standing: Standing) -> Reading:
        return Reading(
            self._spec,
            source,
            self._settings.ingest,
            lane=lane,
            ledger=ledger,
            control=self._control,
            resume=self._resume(standing, source, ledger.counts),
            connections=link,
        )

    def _outcome(self, reading: Reading | None, refusal: str | None, ledger: Ledger, teller: Teller) -> Outcome | None:
        order = self._control.order
        if order == "suspend":
            teller.publisher.checkpoint(teller.checkpoint())
            teller.publisher.flush()
            return None
        video = None if reading is None else reading.video
        if order == "stop":
            return Outcome("stop", video)
        broken = refusal or (None if reading is None else reading.source.broken)
        if broken is not None:
            return Outcome("failure", video, broken)
        problems = ledger.problems
        if problems and self._spec.source.on_error == "fail":
            return Outcome("failure", video, problems[0].reason)
        return Outcome("done", video)

    def _checkpoint(self) -> Checkpoint:
        """The run's checkpoint; a new run's says that nothing of it lies below the topic's end now."""
        known = self._start.checkpoint
        if known is not None and known.run == self._spec.run:
            return known
        return Checkpoint(
            stream_id=self._spec.stream_id,
            run=self._spec.run,
            lane=self._spec.lane,
            offset=end_offset(self._settings, self._frames_topic, self._start.partition),
            ephemeral=self._spec.ephemeral,
        )

    def _publisher(self, standing: Standing, ledger: Ledger) -> Publisher:
        last = standing.last
        reached = Acknowledged(
            next_seq=standing.next_seq,
            index=-1 if last is None else last.index,
            media_s=0.0 if last is None else last.media_s,
            offset=standing.offset,
            gated=standing.gated,
        )
        return Publisher(
            self._producer,
            self._topics,
            stream=self._spec.stream_id,
            partition=self._start.partition,
            frames_topic=self._frames_topic,
            standing=reached,
            on_published=ledger.published,
            leased=lambda: self._control.leased,
        )

    def _counts_before(self, checkpoint: Checkpoint, standing: Standing) -> IngestCounts:
        """A file is counted anew while it is read again; a live run brings its counts along."""
        if self._spec.lane == "batch":
            return IngestCounts()
        return settled(checkpoint.counts, standing, again=is_local(self._spec.source.url))

    def _resume(self, standing: Standing, source: Source, counts: IngestCounts) -> Resume:
        last = standing.last
        if last is None:
            return Resume()
        if self._spec.lane == "batch":
            return Resume(published=standing.next_seq, last=last.index)
        if is_local(self._spec.source.url):
            return Resume(behind=Fraction(repr(last.media_s)), index=last.index + 1)
        reached = Fraction(repr(standing.reached_s))
        since_start = Fraction(now_ms() - self._spec.started_ms, 1000)
        held = counts.gated - standing.gated  # these do not come again, and the newest frame does not tell of them
        return Resume(
            index=counts.decoded,
            begin=max(reached + source.probe.frame_s, since_start),
            held=held,
            held_s=reached - Fraction(repr(last.media_s)) if held else Fraction(0),
        )

    def _backlog(self) -> Backlog:
        kafka = self._settings.kafka
        live = self._spec.lane == "live"
        bound = int(kafka.frames_live_bytes * LIVE_SHARE) if live else kafka.frames_batch_bytes
        partitions = (self._start.partition,) if live else tuple(range(kafka.partitions))
        lag = DetectLag(kafka, self._frames_topic, partitions, bound)
        return Backlog(lag, bound, time.monotonic, watched=live)

    def _lane(self, numbering: Numbering, ledger: Ledger) -> Lane:
        if self._spec.lane == "live":
            return LiveLane(numbering, ledger, self._settings.ingest.live_queue_bytes)
        return BatchLane(numbering, ledger, self._control.wait)

    def _end(self, outcome: Outcome, ledger: Ledger) -> RunEnd:
        return RunEnd(
            stream_id=self._spec.stream_id,
            run=self._spec.run,
            state=outcome.state,
            counts=ledger.counts,
            ts_ms=now_ms(),
            video=outcome.video,
            problems=ledger.problems,
            error=outcome.error,
            ephemeral=self._spec.ephemeral,
        )


def replace_standing(checkpoint: Checkpoint, standing: Standing) -> Checkpoint:
    """The checkpoint with what was found on the topic."""
    last = standing.last
    return Checkpoint(
        stream_id=checkpoint.stream_id,
        run=checkpoint.run,
        lane=checkpoint.lane,
        offset=checkpoint.offset,
        next_seq=standing.next_seq,
        index=-1 if last is None else last.index,
        media_s=0.0 if last is None else last.media_s,
        counts=checkpoint.counts,
        video=checkpoint.video,
        problems=checkpoint.problems,
        ephemeral=checkpoint.ephemeral,
        gated=standing.gated,
        reached_s=standing.reached_s,
    )


def end_offset(settings: Settings, topic: str, partition: int) -> int:
    """Offset of the next record of a partition. Raises BrokerUnavailable."""
    consumer = clients.consumer(settings.kafka, "ingest-end", "ingest-recover")
    try:
        return bounds(consumer, topic, partition)[1]
    finally:
        consumer.close()


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Lines as they come, read without a buffered file: its lock would hold up the end of the process."""
    rest = b""
    while chunk := os.read(descriptor, 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def bound_memory(mebibytes: int) -> None:
    """Where the system can, refuse this process more private memory: what a file makes of it is its own loss."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (mebibytes * 1024**2,) * 2)


def main(orders: int) -> int:
    """Run one reader; see `ingest.protocol` for the exit codes.

    Args:
        orders: descriptor from which it hears its host.
    """
    lines = lines_of(orders)
    start = decode_start(next(lines))
    settings = Settings(**start.settings)
    configure(settings.telemetry, "ingest")
    bound_memory(settings.ingest.reader_memory_mb)
    if start.spec.lane == "batch":
        os.nice(BATCH_NICENESS)
    control = Control(time.monotonic)
    signal.signal(signal.SIGTERM, lambda *_: control.tell("suspend"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    words = (line.decode("utf-8", "replace") for line in lines)
    threading.Thread(target=control.hear, args=(words,), name="orders", daemon=True).start()
    reader = Reader(start, settings, control)
    threading.Thread(target=reader.watch_lease, name="lease", daemon=True).start()
    try:
        ended = reader.run()
    except TransientError as error:
        log.warning("the reader will be tried again", stream=str(start.spec.stream_id), error=str(error))
        return EXIT_RETRY
    to_host(Report(control.beat + 1, ended=ended))
    return EXIT_SUSPENDED if ended is None else EXIT_ENDED
