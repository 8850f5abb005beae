"""Dead letters on a real broker: listed, shown, put back, laid down; and a stage that stands still for them."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from core.errors import Conflict, NotFound
from core.ids import Run, StreamId
from core.messages import RunBegin, encode_frame
from core.settings import ClickHouse, Control, Kafka, Settings, load
from core.topics import Topics
from infra.cli.main import app
from streams_proc.letter import LetterId
from streams_proc.letter_box import LetterBox
from streams_proc.marks import KafkaMarks
from tests.integration.streams_proc.processes import (
    committed,
    delete_before,
    ends,
    feed,
    follow,
    wait_for,
    workers,
)
from tests.integration.streams_proc.test_detecting import BAD, FRAMES, run_of
from tests.integration.streams_proc.test_stores import variables
from warehouse.analytics import AnalyticsStore
from warehouse.control.store import ControlStore
from warehouse.migrate import migrate
from warehouse.rows import FrameCounts

pytestmark = pytest.mark.kafka


@pytest.fixture
def command(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`sightline dlq` on the test's broker."""
    monkeypatch.setenv("SIGHTLINE_KAFKA__BOOTSTRAP", kafka.address)
    monkeypatch.setenv("SIGHTLINE_KAFKA__PREFIX", kafka.prefix)
    monkeypatch.setenv("SIGHTLINE_KAFKA__PARTITIONS", str(kafka.partitions))
    load.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, ["dlq", *arguments])
    load.cache_clear()


def listed(command: Any, *arguments: str) -> list[dict[str, Any]]:
    shown = command("list", "--json", *arguments)
    assert shown.exit_code == 0, shown.output
    return [json.loads(line) for line in shown.stdout.splitlines()]


@pytest.mark.clickhouse
def test_a_frame_that_succeeds_when_it_is_put_back_counts_as_analysed(
    kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path, command: Any
) -> None:
    control_url = SecretStr(f"sqlite:///{tmp_path}/c.db")
    settings = Settings(data_dir=tmp_path, kafka=kafka, clickhouse=clickhouse, control=Control(url=control_url))
    migrate(settings)
    topics, stream = Topics.of(kafka), StreamId(uuid.uuid4())
    messages = run_of(stream, "batch")
    begin = messages[0]
    assert isinstance(begin, RunBegin)
    ControlStore.connect(settings).create_stream(begin.spec)
    analytics = AnalyticsStore.connect(settings)

    def counts() -> FrameCounts:
        return analytics.frame_counts(stream, Run(1))

    feed(kafka, topics.frames_batch, [(str(stream).encode(), encode_frame(m)) for m in messages])
    with workers(kafka, tmp_path) as start:
        sink = start("streams_proc.__main__", "sink-clickhouse", **variables(settings))
        detect = start("detecting", "0.001")
        wait_for(lambda: counts() == FrameCounts(FRAMES - 1, 1), "all frames are stored, one as failed")
        assert detect.end() == 0
        (letter,) = listed(command)
        assert (letter["stage"], letter["reason"]) == ("detect", "BadImage: no picture")
        assert letter["origin"].startswith(topics.frames_batch)
        assert letter["key"] == str(stream)
        shown = command("show", letter["id"])
        assert f'"seq": {BAD}' in shown.stdout and "BadImage" in shown.stdout
        start("detecting", "0.001", "mended")
        put_back = command("replay", letter["id"])
        assert put_back.exit_code == 0, put_back.output
        assert f"1 put back on {topics.frames_batch}: frames are looked at again" in put_back.stdout
        wait_for(lambda: counts() == FrameCounts(FRAMES, 0), "the frame counts as analysed")
        assert sink.end() == 0, sink.log
    (frame,) = [f for f in analytics.run_frames(stream, Run(1)) if f.seq == BAD]
    assert (frame.error, len(frame.objects)) == (None, 2)
    assert listed(command) == []
    (done,) = listed(command, "--done")
    assert done["state"].startswith("replayed 20")
    again = command("replay", letter["id"])
    assert (again.exit_code, "was replayed already" in again.stderr) == (1, True)


GARBAGE = (b"\xc1 nobody reads this", b"", b"\x00" * 70_000, b'{"message": "frame"}')


def test_what_no_contract_reads_is_kept_whole_and_fails_again_when_put_back(
    kafka: Kafka, tmp_path: Path, command: Any
) -> None:
    topics, box = Topics.of(kafka), LetterBox(kafka)
    # as large as the broker takes: the letter about it is larger
    largest = b"\xc1" * (kafka.max_message_bytes - 200)
    feed(kafka, topics.frames_live, [(b"k%d" % i, value) for i, value in enumerate((*GARBAGE, largest))])
    with workers(kafka, tmp_path) as start:
        start("detecting", "0.001")
        wait_for(lambda: len(box.kept()) == len(GARBAGE) + 1, "all are put aside")
        found = [box.letter(kept.letter.id)[0] for kept in box.kept()]
        assert {(f.key, f.value) for f in found} == {(b"k%d" % i, value) for i, value in enumerate((*GARBAGE, largest))}
        assert all(f.topic == topics.frames_live and f.kind == "BadMessage" and not f.headers for f in found)
        (one,) = [f for f in found if f.key == b"k0"]
        saved = tmp_path / "bytes"
        shown = command("show", str(one.id), "--save", str(saved))
        assert "00000000  c1 20 6e" in shown.stdout
        assert saved.read_bytes() == GARBAGE[0]
        assert command("replay", str(one.id)).exit_code == 0
        wait_for(lambda: any(k.letter.replay_of for k in box.kept()), "it is put aside again")
    (second,) = [kept.letter for kept in box.kept() if kept.letter.replay_of]
    assert (second.replay_of, second.key, second.value) == (str(one.id), b"k0", None)
    assert box.letter(second.id)[0].value == GARBAGE[0]
    assert command("list").stdout.count("(a replay of") == 1
    # filters, and laying down
    assert {item["id"] for item in listed(command, "--reason", "badmessage", "--stage", "detect")} == {
        str(k.letter.id) for k in box.kept() if k.mark is None
    }
    assert listed(command, "--stage", "analyse") == []
    assert len(listed(command, "--limit", "2")) == 2
    assert command("drop", str(second.id)).stdout.strip() == "1 dropped."
    assert command("drop", "--all", "--stage", "detect").stdout.strip() == "4 dropped."
    assert command("drop", "--all").stdout.strip() == "Nothing waits."
    assert command("replay", "--all").stdout.strip() == "Nothing waits."
    assert listed(command) == []


def test_what_cannot_be_done_is_refused_in_a_sentence_and_nothing_is_half_done(kafka: Kafka, command: Any) -> None:
    topics, box = Topics.of(kafka), LetterBox(kafka)
    feed(kafka, topics.dead_letters, [(b"x", b"no headers at all")])
    ((strange,),) = [box.kept()]
    assert (strange.letter.stage, strange.letter.topic, strange.letter.partition) == ("", "", -1)
    with pytest.raises(Conflict, match="which no stage of this broker reads"):
        box.replay([strange.letter.id])
    with pytest.raises(NotFound):
        box.drop([strange.letter.id, LetterId(0, 10_000)])
    assert box.kept()[0].mark is None, "one that is not there leaves the other as it was"
    for words, code in ((("show", "9/9"), 1), (("show", "x"), 2), (("drop",), 2), (("drop", "0/0", "--all"), 2)):
        shown = command(*words)
        assert shown.exit_code == code, shown.output
        assert "Traceback" not in shown.output
    assert command("resume", "detect").exit_code == 1


def test_marks_go_when_their_letters_have_expired(kafka: Kafka) -> None:
    topics, box = Topics.of(kafka), LetterBox(kafka)
    feed(kafka, topics.dead_letters, [(b"x", b"1")])
    ((first,),) = [box.kept()]
    box.drop([first.letter.id])
    assert KafkaMarks(kafka).all()
    feed(kafka, topics.dead_letters, [(b"x", b"2")])
    delete_before(kafka, topics.dead_letters, {first.letter.id.partition: first.letter.id.offset + 1})
    (second,) = box.kept()
    box.drop([second.letter.id])
    assert list(KafkaMarks(kafka).all()) == [f"letter/{second.letter.id}"]


STRANGE_KEYS = (b"", b"\xff", b"letter/", b"letter/x/y", b"letter/-1/2", b"letter/9999/1", b"halt", b"else/1/2")


def test_rubbish_among_dead_letters_and_their_marks_is_shown_or_left_alone(kafka: Kafka, command: Any) -> None:
    topics, box, chance = Topics.of(kafka), LetterBox(kafka), random.Random(5)
    values = [b"", b"{", b"\xc1", b"null", b'{"what": "eaten", "ts_ms": 1}', b'{"what": "dropped", "ts_ms": 1}']
    values += [chance.randbytes(chance.randrange(1, 5000)) for _ in range(50)]
    feed(kafka, topics.dead_letter_marks, [(key, value) for key in STRANGE_KEYS for value in values])
    values.append(b"\x00" * (kafka.max_message_bytes - 1000))
    feed(kafka, topics.dead_letter_marks, [(b"letter/0/0", values[-1])])
    feed(kafka, topics.dead_letters, [(chance.choice(STRANGE_KEYS), value) for value in values])
    assert len(listed(command, "--limit", "100")) == len(values)
    ours = box.kept()[0].letter.id
    assert command("show", str(ours)).exit_code == 0
    refused = command("replay", str(ours))
    assert refused.exit_code == 1
    assert "no stage of this broker reads" in refused.stderr
    assert command("drop", str(ours)).exit_code == 0
    assert [kept.letter.id for kept in box.kept() if kept.mark is not None] == [ours]
    assert "56 dropped" in command("drop", "--all").stdout


def test_a_stage_whose_records_all_fail_stands_still_through_restarts_and_loses_nothing(
    kafka: Kafka, tmp_path: Path, command: Any
) -> None:
    topics, box = Topics.of(kafka), LetterBox(kafka)
    feed(kafka, topics.frames_batch, [(b"k", b"\xc1 %d" % i) for i in range(20)])
    limits = {"SIGHTLINE_DEAD_LETTERS__IN_A_ROW": "5"}
    with workers(kafka, tmp_path) as start, follow(kafka, topics.dead_letters) as letters:
        first = start("detecting", "0.001", **limits)
        assert first.wait() == 1
        assert "6 records in a row can never succeed" in first.log
        assert "sightline dlq resume detect" in first.log
        assert len(letters.read(1.0)) == 5
        second = start("detecting", "0.001", **limits)
        second.until("stands still")
        second.until("joined")
        time.sleep(2)
        assert len(letters.read(1.0)) == 5, "a restart lets nothing more through"
        assert second.end() == 0, "and it can be stopped"
        assert "detect stands still since" in command("list").stderr

        third = start("detecting", "0.001", **limits)
        third.until("stands still")
        assert command("resume", "detect").exit_code == 0
        assert third.wait() == 1, "it stops again, for nothing was mended"
        origins = {m.key() for m in letters.read(1.0)}
        assert 5 <= len(origins) <= 10, "what was not committed comes again"
        assert committed(kafka, "detect", topics.frames_batch).get(min(ends(kafka, topics.frames_batch)), 0) <= 10

        # those who mean it raise the limit
        assert command("resume", "detect").exit_code == 0
        last = start("detecting", "0.001", SIGHTLINE_DEAD_LETTERS__IN_A_ROW="1000")
        end = ends(kafka, topics.frames_batch)
        wait_for(lambda: committed(kafka, "detect", topics.frames_batch) == end, "everything is put aside")
        assert last.end() == 0
        assert len({m.key() for m in letters.read(1.0)}) == 20
    assert len(box.kept()) == 20
    assert box.halts() == {}
