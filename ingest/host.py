"""An ingest host: runs the streams of the partitions it holds, a process each.

The hosts are one consumer group on the compacted topic `streams`. A partition that is assigned is
read from its start, tombstones and all, before anything is begun; one that is taken away has its
readers suspended before the group goes on, so no stream is read twice. One that the group has given
away without asking, because this host was silent for too long, has its readers leave at once.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from core import kafka as clients
from core.bounds import check_key
from core.errors import BadMessage, BrokerUnavailable, FatalError
from core.log import get
from core.messages import StreamSpec, decode_spec
from core.metrics import counter, gauge
from core.settings import Settings
from core.topics import Topics
from ingest.closer import Closer
from ingest.machine import Machine
from ingest.node import Node
from ingest.offsets import bounds
from ingest.patience import most_attempts, pause_s, stall_s
from ingest.progress import Checkpoint, ProgressLog
from ingest.protocol import Start, settings_for_reader
from ingest.reader_process import Death, ReaderProcess, prepare

log = get(__name__)
SESSION_MS = 10_000
HEARTBEAT_MS = 1_000
"""A broker's restart takes eight seconds of the session; what had passed since the last heartbeat is missing in it."""
POLL_S = 0.1
ALIVE_S = 1.0
SUSPEND_S = 10.0
LEAVE_S = 1.0
LONGEST_BACKOFF_S = 30.0
NOWHERE = 2**62
Launch = Callable[[Start, float], ReaderProcess]


@dataclass(slots=True)
class Stream:
    """One stream of a partition that is held.

    Attributes:
        spec: its newest definition; None once it is deleted.
        announced: run whose acceptance was told.
        not_before: monotonic time before which it is not begun again.
        retries: beginnings since it last got on, crashed or not.
        crashes: of them, those against its will; `crashed_at` is the next frame then.
    """

    partition: int
    key: bytes
    spec: StreamSpec | None
    order: int = 0
    announced: int = 0
    not_before: float = 0.0
    retries: int = 0
    crashes: int = 0
    crashed_at: int = -1
    reader: ReaderProcess | None = None
    wanted: bool = field(default=False)


class Host:
    """The streams of some partitions, and what runs for them. All methods are for one thread.

    Args:
        instance: makes the membership static, so that a restart within the session costs no
            rebalance; no two living hosts of a machine may have the same. None: dynamic.
    """

    def __init__(
        self,
        settings: Settings,
        launch: Launch = ReaderProcess,
        now: Callable[[], float] = time.monotonic,
        *,
        instance: str | None = None,
    ) -> None:
        prepare()
        kafka = settings.kafka
        self.name = f"{socket.gethostname()}-{os.getpid() if instance is None else instance}"
        self._settings = settings
        self._launch = launch
        self._now = now
        self._topic = Topics.of(kafka).streams
        self._progress = ProgressLog(kafka)
        producer = clients.producer(kafka, "ingest-host")
        self._closer = Closer(kafka, producer, self.name)
        self._node = Node(producer, Topics.of(kafka).nodes, self.name, Machine(kafka.address))
        self._reader_settings = settings_for_reader(settings)
        self._streams: dict[bytes, Stream] = {}
        self._unread: dict[int, int] = {}
        self._held: set[int] = set()
        self._dirty: set[bytes] = set()
        self._alive_at = float("-inf")
        self._accepted = 0
        self._stopping = False
        self._consumer: Consumer = clients.consumer(
            kafka,
            "ingest",
            "ingest",
            **{
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": HEARTBEAT_MS,
                "partition.assignment.strategy": "cooperative-sticky",
                "allow.auto.create.topics": False,
                **({} if instance is None else {"group.instance.id": f"ingest-{socket.gethostname()}-{instance}"}),
            },
        )

    def run(self) -> None:
        """Run until `stop`; then every reader has been suspended and the group left."""
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._node.start()
        log.info("ingest host runs", host=self.name)
        try:
            while not self._stopping:
                self.step()
        except FatalError:
            self._leave(list(self._streams.values()))
            raise
        finally:
            self._suspend(list(self._streams.values()))
            self._node.leave()
            self._consumer.close()
            self._progress.close()
            log.info("ingest host has ended", host=self.name)

    def stop(self) -> None:
        """End `run`; may be called by a signal handler or another thread."""
        self._stopping = True

    def step(self) -> None:
        """One round: hear of definitions, look after readers, begin what may begin."""
        for message in self._consumer.consume(200, timeout=POLL_S):
            self._hear(message)
        self._note_read()
        self._look_after_readers()
        for key in sorted(self._dirty, key=lambda k: self._streams[k].order if k in self._streams else 0):
            stream = self._streams.get(key)
            if stream is None or self._reconciled(stream):
                self._dirty.discard(key)
            self._renew_leases()
        self._begin_waiting()

    # -- the group

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for place in partitions:
            low, high = bounds(consumer, place.topic, place.partition)
            self._held.add(place.partition)
            if low < high:
                self._unread[place.partition] = high
            place.offset = OFFSET_BEGINNING
        self._progress.hold(sorted(self._held))
        consumer.incremental_assign(partitions)
        log.info("partitions assigned", partitions=[place.partition for place in partitions])

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("partitions taken away", partitions=sorted(place.partition for place in partitions))
        self._let_go(partitions, self._suspend)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("partitions lost", partitions=sorted(place.partition for place in partitions))
        self._let_go(partitions, self._leave)

    def _let_go(self, partitions: list[TopicPartition], end: Callable[[list[Stream]], None]) -> None:
        gone = {place.partition for place in partitions}
        self._held -= gone
        leaving = [stream for stream in self._streams.values() if stream.partition in gone]
        end(leaving)
        for stream in leaving:
            del self._streams[stream.key]
        for partition in gone:
            self._unread.pop(partition, None)
        self._progress.hold(sorted(self._held))

    def _suspend(self, streams: list[Stream]) -> None:
        """Suspend all their readers at once, and wait for their ends."""
        self._end_all(streams, lambda reader: reader.order("suspend"), SUSPEND_S)

    def _leave(self, streams: list[Stream]) -> None:
        """Have all their readers end without sending what they have: the streams may be read elsewhere already."""
        self._end_all(streams, lambda reader: reader.leave(), LEAVE_S)

    def _end_all(self, streams: list[Stream], tell: Callable[[ReaderProcess], None], patience_s: float) -> None:
        readers = [stream.reader for stream in streams if stream.reader is not None]
        for reader in readers:
            tell(reader)
        until = self._now() + patience_s
        for reader in readers:
            reader.end(max(0.1, until - self._now()))
        for stream in streams:
            stream.reader = None

    # -- definitions

    def _hear(self, message: Message) -> None:
        problem, key, partition = message.error(), message.key(), message.partition()
        if problem is not None and (problem.fatal() or problem.code() == KafkaError._FATAL):
            raise FatalError(f"this host has no place in its group any more: {problem}")
        if problem is not None or key is None or partition is None or partition not in self._held:
            return
        try:
            spec = definition(key, message.value())
        except BadMessage as error:
            counter("sightline_ingest_unreadable_total").labels("streams").inc()
            log.error("a stream's definition cannot be read", key=key.decode("utf-8", "replace"), error=str(error))
            return
        known = self._streams.get(key)
        if known is None:
            self._accepted += 1
            known = self._streams[key] = Stream(partition, key, spec, self._accepted)
        known.spec = spec
        self._dirty.add(key)

    def _note_read(self) -> None:
        """Partitions whose definitions have been read to where they ended at assignment."""
        if not self._unread:
            return
        places = [TopicPartition(self._topic, partition) for partition in self._unread]
        for place in self._consumer.position(places):
            if place.offset >= self._unread[place.partition]:
                del self._unread[place.partition]

    def _reconciled(self, stream: Stream) -> bool:
        """Bring what runs closer to what is wanted; whether nothing is left to do at once."""
        if stream.partition in self._unread:
            return False
        try:
            return self._settle(stream)
        except BrokerUnavailable as error:
            log.warning("a stream waits for the broker", stream=stream.key.decode(), error=str(error))
            return False

    def _settle(self, stream: Stream) -> bool:
        spec = stream.spec
        if stream.reader is not None:
            if spec is None or spec.desired == "stop" or spec.run != stream.reader.spec.run:
                stream.reader.order("stop")
            elif spec.analytics != stream.reader.spec.analytics:
                stream.reader.define(spec)
            return True
        stream.wanted = False
        checkpoint = self._progress_of(stream)
        if checkpoint is not None and checkpoint.state == "running" and self._is_over(checkpoint, spec):
            same = spec is not None and spec.run == checkpoint.run
            self._closer.close(checkpoint, stream.partition, spec if same else None)
            checkpoint = self._progress_of(stream)
        if spec is None:
            if checkpoint is not None:
                self._closer.forget(stream.key, stream.partition)
            del self._streams[stream.key]
            return True
        if checkpoint is not None and checkpoint.run >= spec.run and checkpoint.state != "running":
            return True
        if spec.desired == "stop":
            self._closer.close(new_checkpoint(spec), stream.partition, spec)
            return True
        self._announce(stream, spec, checkpoint)
        stream.wanted = True
        return True

    def _is_over(self, checkpoint: Checkpoint, spec: StreamSpec | None) -> bool:
        return spec is None or spec.desired == "stop" or spec.run > checkpoint.run

    def _progress_of(self, stream: Stream) -> Checkpoint | None:
        return self._progress.of(stream.partition, stream.key.decode())

    def _announce(self, stream: Stream, spec: StreamSpec, checkpoint: Checkpoint | None) -> None:
        """Say once that a run is accepted, unless it has begun already."""
        if stream.announced >= spec.run or (checkpoint is not None and checkpoint.run == spec.run):
            return
        self._closer.pending(spec, stream.partition)
        stream.announced = spec.run

    # -- readers

    def _begin_waiting(self) -> None:
        """Begin what is wanted, in order of acceptance: cameras at once, files as far as there is room."""
        reading = [s for s in self._streams.values() if s.reader is not None]
        room = self._settings.ingest.batch_readers - sum(s.reader.spec.lane == "batch" for s in reading if s.reader)
        for stream in sorted((s for s in self._streams.values() if s.wanted), key=lambda s: s.order):
            if stream.spec is None or stream.not_before > self._now():
                continue
            if stream.spec.lane == "batch":
                if room <= 0:
                    continue
                room -= 1
            self._begin(stream, stream.spec)
            self._renew_leases()
        lanes = [s.reader.spec.lane for s in self._streams.values() if s.reader is not None]
        for lane in ("live", "batch"):
            gauge("sightline_ingest_readers").labels(lane).set(lanes.count(lane))

    def _begin(self, stream: Stream, spec: StreamSpec) -> None:
        try:
            checkpoint = self._progress_of(stream)
        except BrokerUnavailable as error:
            log.warning("a stream waits for the broker", stream=stream.key.decode(), error=str(error))
            return
        if checkpoint is not None and checkpoint.run != spec.run:
            checkpoint = None
        careful = stream.crashes > 0
        start = Start(
            spec, stream.partition, self.name, self._reader_settings, checkpoint, careful, attempt=stream.crashes
        )
        stream.reader = self._launch(start, stall_s(spec, self._settings.ingest))
        stream.wanted = False
        log.info("a reader begins", stream=stream.key.decode(), run=spec.run, pid=stream.reader.pid)

    def _look_after_readers(self) -> None:
        for stream in list(self._streams.values()):
            death = None if stream.reader is None else stream.reader.poll()
            if stream.reader is not None and death is not None:
                self._after(stream, stream.reader, death)
        self._renew_leases()

    def _renew_leases(self) -> None:
        """Tell readers that their host lives; also between two questions to the broker, of which there may be many."""
        if self._now() - self._alive_at >= ALIVE_S:
            self._alive_at = self._now()
            self._node.alive(sum(stream.reader is not None for stream in self._streams.values()))
            for stream in self._streams.values():
                if stream.reader is not None:
                    stream.reader.alive()

    def _after(self, stream: Stream, reader: ReaderProcess, death: Death) -> None:
        """A reader has ended: the run with it, or it is to be begun again, or given up."""
        stream.reader = None
        self._dirty.add(stream.key)
        if death.ended:
            stream.retries = stream.crashes = 0
            return
        stream.retries += 1
        stream.not_before = self._now() + min(LONGEST_BACKOFF_S, 0.5 * 2 ** min(stream.retries, 10))
        log.warning("a reader has ended early", stream=stream.key.decode(), crash=death.crash, times=stream.retries)
        if death.crash is not None:
            self._after_crash(stream, reader, death)

    def _after_crash(self, stream: Stream, reader: ReaderProcess, death: Death) -> None:
        try:
            checkpoint = self._progress_of(stream) or new_checkpoint(reader.spec)
            if checkpoint.run != reader.spec.run:
                checkpoint = new_checkpoint(reader.spec)
            got_on = checkpoint.next_seq > stream.crashed_at
            stream.crashes = 1 if got_on else stream.crashes + 1
            stream.retries = 1 if got_on else stream.retries
            stream.crashed_at = checkpoint.next_seq
            attempts = most_attempts(reader.spec)
            if stream.crashes > (attempts or self._settings.ingest.reader_restarts):
                error = f"the reader {death.crash}, {stream.crashes} times near frame {death.decoded}"
                self._closer.close(checkpoint, stream.partition, reader.spec, error)
            elif attempts:
                self._restart(stream, reader.spec, checkpoint, f"the reader {death.crash}")
        except BrokerUnavailable as error:
            log.warning("a crash waits for the broker", stream=stream.key.decode(), error=str(error))

    def _restart(self, stream: Stream, spec: StreamSpec, checkpoint: Checkpoint, error: str) -> None:
        """A crash of a camera's reader is an attempt like any other: told, and counted, and as long waited for."""
        delay_s = 0.0 if spec.autorestart is None else spec.autorestart.delay_s
        pause = pause_s(delay_s, stream.crashes, 0.5, steady=True)
        stream.not_before = max(stream.not_before, self._now() + pause)
        self._closer.restart(spec, stream.partition, checkpoint, attempt=stream.crashes, error=error)


def definition(key: bytes, value: bytes | None) -> StreamSpec | None:
    """What a record of `streams` says; None deletes the stream. Raises BadMessage, also for a key that is no id."""
    try:
        stream = UUID(key.decode())
    except ValueError as error:
        raise BadMessage("the key is no stream's id") from error
    spec = None if value is None else decode_spec(value)
    check_key(key, stream if spec is None else spec.stream_id)
    return spec


def new_checkpoint(spec: StreamSpec) -> Checkpoint:
    """Of a run that no reader got to: its first checkpoint comes before its first record, so there is none."""
    return Checkpoint(stream_id=spec.stream_id, run=spec.run, lane=spec.lane, offset=NOWHERE, ephemeral=spec.ephemeral)
