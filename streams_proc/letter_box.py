"""Looking through the dead letters, putting them back where they came from, and laying them down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, Producer

from core import kafka as clients
from core.clock import Clock, now_ms, wall_clock
from core.errors import BrokerUnavailable, Conflict, NotFound
from core.reading import Reader, reading
from core.settings import Kafka
from core.topics import Topics, letter_bytes
from streams_proc.letter import REPLAY_OF, Letter, LetterId, read_letter
from streams_proc.marks import LETTER, KafkaMarks, Mark, Marks, halt_key, halts, letter_key

AT_ONCE = 100
AT_ONCE_BYTES = 32 * 1024**2
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter, its bytes left out, and what was done with it; None while it waits."""

    letter: Letter
    mark: Mark | None = None


class LetterBox:
    """The dead letters of one broker. Blocking; every method raises BrokerUnavailable.

    Args:
        marks: where it is written down what was done with a letter.
    """

    def __init__(self, kafka: Kafka, marks: Marks | None = None, clock: Clock = wall_clock) -> None:
        self._kafka = kafka
        self._topics = Topics.of(kafka)
        self._marks = marks or KafkaMarks(kafka)
        self._clock = clock

    def kept(self, *, stage: str | None = None, reason: str | None = None) -> list[Kept]:
        """Every letter that is kept, the newest first; one record's, when a restart made two, once.

        Args:
            stage: of this stage only.
            reason: only those whose reason has these words, in any case.
        """
        marks = self._marks.all()
        with self._reading() as reader:
            found = [
                Kept(letter, marks.get(letter_key(letter.id)))
                for letter in self._all(reader)
                if stage in (None, letter.stage) and (reason is None or reason.lower() in letter.reason.lower())
            ]
        found.sort(key=lambda kept: (kept.letter.timestamp_ms, kept.letter.id))
        # what says nothing of where it comes from is nobody's letter but its own
        once = {
            (kept.letter.stage, kept.letter.origin) if kept.letter.topic else kept.letter.id: kept for kept in found
        }
        return sorted(once.values(), key=lambda kept: (kept.letter.timestamp_ms, kept.letter.id), reverse=True)

    def letter(self, wanted: LetterId) -> tuple[Letter, Mark | None]:
        """One letter with its bytes. Raises NotFound."""
        with self._reading() as reader:
            (found,) = self._found(reader, [wanted])
        return found, self._marks.all().get(letter_key(wanted))

    def replay(self, letters: Sequence[LetterId]) -> Mapping[str, int]:
        """Put the original bytes back, in the order in which they lay; how many, by topic.

        A letter is marked once its record is acknowledged, so a command that is cut off puts
        nothing back that it does not mark, but for the last hundred; a record that comes twice
        changes nothing.

        Raises:
            NotFound: there is no such letter.
            Conflict: it was dealt with already, or came from a topic that no stage reads.
        """
        marks = self._marks.all()
        done: dict[str, int] = {}
        self._refuse_done(letters, marks)
        with self._reading() as reader:
            found = [replace(letter, value=None) for letter in self._found(reader, letters)]
            for part in _parts(sorted(found, key=self._place_of)):
                whole = {letter.id: letter for letter in self._found(reader, [letter.id for letter in part])}
                self._put_back([whole[letter.id] for letter in part])
                self._mark([letter.id for letter in part], "replayed")
                for letter in part:
                    done[letter.topic] = done.get(letter.topic, 0) + 1
        self._forget_old(marks)
        return done

    def drop(self, letters: Sequence[LetterId]) -> int:
        """Never show or replay them again; Kafka takes the bytes away with age. How many.

        Raises:
            NotFound: there is no such letter.
            Conflict: it was dealt with already.
        """
        marks = self._marks.all()
        self._refuse_done(letters, marks)
        with self._reading() as reader:
            for _ in self._found(reader, letters):
                pass
        self._mark(letters, "dropped")
        self._forget_old(marks)
        return len(letters)

    def halts(self) -> Mapping[str, Mark]:
        """Stages that stand still, and why."""
        return halts(self._marks)

    def resume(self, stage: str) -> None:
        """Let a stage go on. Raises Conflict when it does not stand still."""
        if stage not in self.halts():
            raise Conflict(f"{stage} does not stand still")
        self._marks.write({halt_key(stage): None})

    def effect(self, topic: str) -> str:
        """What putting a record back on this topic does."""
        names = self._topics
        others = "every stage that reads the topic reads them again"
        frames = (
            "frames are looked at again; those that succeed now replace their failed rows and count as processed. "
            "Tracks and events stay as they are: they went on without these frames"
        )
        rows = "rows are written again under the same ids, so what is there already is not counted twice"
        callbacks = "callbacks that were given up are made again; of another stage's letter, all of them"
        effects = {
            names.frames_live: frames,
            names.frames_batch: frames,
            names.detections: f"{rows}; analyse passes over frames that it is past, so tracks and events stay",
            names.tracks: f"{rows}; {others}",
            names.events: f"{rows}; {others}, and whoever consumes events, under the same CloudEvents ids. {callbacks}",
            names.stream_status: "an older status than the newest one changes nothing",
            names.stream_changes: callbacks,
            names.task_ends: callbacks,
        }
        return effects.get(topic, "")

    def _reading(self) -> AbstractContextManager[Reader]:
        largest: Any = {"fetch.message.max.bytes": letter_bytes(self._kafka)}
        return reading(self._kafka, "letter-box", **largest)

    def _all(self, reader: Reader) -> Iterator[Letter]:
        for partition in range(self._kafka.partitions):
            bounds = reader.bounds(self._topics.dead_letters, partition)
            for message in reader.records(self._topics.dead_letters, partition, *bounds):
                yield replace(read_letter(message), value=None)

    def _found(self, reader: Reader, wanted: Collection[LetterId]) -> Iterator[Letter]:
        """These letters, each partition read once, from the first to the last of them. Raises NotFound."""
        left = set(wanted)
        for partition in sorted({letter.partition for letter in left if letter.partition < self._kafka.partitions}):
            low, high = reader.bounds(self._topics.dead_letters, partition)
            offsets = {
                letter.offset for letter in left if letter.partition == partition and low <= letter.offset < high
            }
            if not offsets:
                continue
            for message in reader.records(self._topics.dead_letters, partition, min(offsets), max(offsets) + 1):
                if message.offset() in offsets:
                    letter = read_letter(message)
                    left.discard(letter.id)
                    yield letter
        if left:
            raise NotFound(f"there is no dead letter {min(left)}; it may have expired")

    def _refuse_done(self, letters: Iterable[LetterId], marks: Mapping[str, Mark]) -> None:
        for wanted in letters:
            mark = marks.get(letter_key(wanted))
            if mark is not None:
                raise Conflict(f"dead letter {wanted} was {mark.what} already")

    def _place_of(self, letter: Letter) -> tuple[str, int, int]:
        """Where the record lay. Raises Conflict for a place to which nothing can be put back."""
        if not self.effect(letter.topic) or not 0 <= letter.partition < self._kafka.partitions:
            raise Conflict(f"dead letter {letter.id} comes from {letter.origin}, which no stage of this broker reads")
        return letter.topic, letter.partition, letter.offset

    def _put_back(self, letters: Sequence[Letter]) -> None:
        failed: list[str] = []

        def arrived(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        largest = {"message.max.bytes": letter_bytes(self._kafka), "delivery.timeout.ms": int(TIMEOUT_S * 1000)}
        client: Producer = clients.producer(self._kafka, "letter-box", **largest)
        try:
            for letter in letters:
                client.produce(
                    letter.topic,
                    key=letter.key,
                    value=letter.value,
                    headers=[*letter.headers.items(), (REPLAY_OF, str(letter.id).encode())],
                    partition=letter.partition,
                    on_delivery=arrived,
                )
        except (BufferError, KafkaException) as error:
            failed.append(str(error))
        if client.flush(TIMEOUT_S + 1) or failed:
            raise BrokerUnavailable(f"not all could be put back: {failed[0] if failed else 'no answer'}")

    def _mark(self, letters: Iterable[LetterId], what: Literal["replayed", "dropped"]) -> None:
        self._marks.write({letter_key(letter): Mark(what, now_ms(self._clock)) for letter in letters})

    def _forget_old(self, marks: Mapping[str, Mark]) -> None:
        """Take away the marks of letters that Kafka keeps no longer."""
        letters = (LetterId.parse(key.removeprefix(LETTER)) for key in marks if key.startswith(LETTER))
        named = [letter for letter in letters if letter.partition < self._kafka.partitions]
        with self._reading() as reader:
            low = {each: reader.bounds(self._topics.dead_letters, each)[0] for each in {n.partition for n in named}}
        gone = [letter for letter in named if letter.offset < low[letter.partition]]
        if gone:
            self._marks.write({letter_key(letter): None for letter in gone})


def _parts(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """As many at once as are put back together."""
    part: list[Letter] = []
    for letter in letters:
        part.append(letter)
        if len(part) == AT_ONCE or sum(each.size for each in part) >= AT_ONCE_BYTES:
            yield part
            part = []
    if part:
        yield part
