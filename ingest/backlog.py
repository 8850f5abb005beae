"""How many bytes of a frames topic the detector has not read yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core import kafka as clients
from core.log import get
from core.settings import Kafka
from ingest.record_sizes import RecordSizes

log = get(__name__)
READER_GROUP = "detect"
REFRESH_S = 0.5
TIMEOUT_S = 5.0
LAST_LOOK_S = 1.0
"""How long the end waits for a look: one that the broker does not answer ends with the process."""


class UnreadRecords(Protocol):
    """Counts records that detect has not committed past."""

    @property
    def record_bytes(self) -> float | None:
        """Of those counted last, rather too much than too little; None where nothing is known of them."""

    def count(self) -> int:
        """Unread records now. Raises KafkaException."""

    def close(self) -> None:
        """Leave the broker."""


class DetectLag:
    """Unread records of some partitions of a topic, by the committed offsets of the group `detect`.

    Args:
        bound: bytes that matter: so few records that they cannot be as many are not looked at.
    """

    def __init__(self, kafka: Kafka, topic: str, partitions: tuple[int, ...], bound: int) -> None:
        self._connect = partial(clients.consumer, kafka, "ingest-backlog", READER_GROUP)
        self._consumer: Consumer = self._connect()
        self._places = [TopicPartition(topic, partition) for partition in partitions]
        self._sizes = RecordSizes(kafka, topic)
        self._few = bound // kafka.max_message_bytes

    @property
    def record_bytes(self) -> float | None:
        """Size of an unread record, from some of them."""
        return self._sizes.estimate

    def count(self) -> int:
        """Unread records now; from the oldest kept one where nothing is committed. Raises KafkaException."""
        try:
            unread = self._unread()
        except KafkaException:
            # a client that has lost sight of a partition may never see it again; a new one does
            self._consumer.close()
            self._consumer = self._connect()
            raise
        count = sum(map(len, unread.values()))
        if count > self._few:
            self._sizes.look(unread)
        else:
            self._sizes.forget(unread)
        return count

    def _unread(self) -> dict[int, range]:
        """Offsets of what is unread, by partition."""
        unread = {}
        read = clients.committed(self._consumer, self._places, TIMEOUT_S)
        for place in self._places:
            low, high = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S, cached=False)
            unread[place.partition] = range(max(low, read.get((place.topic, place.partition), low)), high)
        return unread

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
        self._sizes.close()


class Backlog:
    """Unread bytes, held against a bound.

    Kafka tells offsets, not bytes: an unread record is taken to be as large as those that were looked
    at, whoever published them; where too few are unread to be looked at, as those this reader has
    published. What it publishes between two looks is added as it is. To be used in a `with`, at whose
    end the broker is left.

    Args:
        watched: a thread of its own looks, and the answer is the last one known: a look waits for the
            broker, and a camera must not. The first look is made when the `with` begins. Otherwise
            whoever asks looks when it is time.
    """

    def __init__(self, lag: UnreadRecords, bound: int, now: Callable[[], float], *, watched: bool = False) -> None:
        self._lag = lag
        self._bound = bound
        self._now = now
        self._watched = watched
        self._looked_at = float("-inf")
        self._lock = threading.Lock()
        self._unread = 0
        self._mean: float | None = None
        self._records = 0
        self._bytes = 0
        self._seen = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="backlog", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        if self._watched:
            self._look()
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._watched:
            self._watcher.join(LAST_LOOK_S)
        else:
            self._lag.close()

    def published(self, size: int) -> None:
        """Note a record of `size` bytes handed to the broker."""
        with self._lock:
            self._records += 1
            self._bytes += size

    def full(self, size: int) -> bool:
        """Whether a record of `size` bytes more would pass the bound; a lone record never does."""
        if self._failure is not None:
            raise self._failure
        if not self._watched and self._now() - self._looked_at >= REFRESH_S:
            self._look()
        with self._lock:
            mean = size if self._mean is None else self._mean
            ahead = round(self._unread * mean) + self._bytes - self._seen
        return ahead > 0 and ahead + size > self._bound

    def _watch(self) -> None:
        try:
            while not self._done.wait(REFRESH_S):
                self._look()
        except BaseException as error:  # raised again where the lane asks
            self._failure = error
        finally:
            self._lag.close()

    def _look(self) -> None:
        with self._lock:
            records, handed = self._records, self._bytes
        try:
            unread = self._lag.count()
            mean = self._lag.record_bytes
        except KafkaException as error:
            log.warning("the backlog cannot be seen", error=str(error))
            return
        finally:
            self._looked_at = self._now()
        with self._lock:
            self._unread = unread
            self._mean = handed / records if mean is None and records else mean
            self._seen = handed
