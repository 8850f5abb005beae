from __future__ import annotations

import pytest

from core.errors import BadImage, InvalidInput, TooManyDeadLetters
from core.settings import DeadLetters as Limits
from streams_proc.dead_letters import DeadLetters
from streams_proc.letter import LetterId
from streams_proc.stage import Output, Poison, Record
from tests.unit.streams_proc.stage_fakes import record

POISON = Poison(BadImage("no"))


def test_a_letter_says_where_it_comes_from_and_why_and_keeps_the_bytes() -> None:
    original = Record("frames", 3, 17, b"stream", b"\x00bytes", {"trace_id": b"abc"}, 5)
    instead = Output("detections", b"stream", b"empty")
    letter, *rest = DeadLetters("dead", "detect").outputs(original, Poison(BadImage("no jpeg"), (instead,)))
    assert rest == [instead]
    assert letter.topic == "dead"
    assert letter.key == b"frames/3/17"
    assert letter.value == b"\x00bytes"
    headers = dict(letter.headers)
    assert b"BadImage" in headers.pop("trace")
    assert headers == {
        "trace_id": b"abc",
        "origin_topic": b"frames",
        "origin_partition": b"3",
        "origin_offset": b"17",
        "origin_key": b"stream",
        "stage": b"detect",
        "reason": b"BadImage: no jpeg",
    }


def test_a_key_that_was_none_is_told_from_an_empty_one() -> None:
    letters = DeadLetters("dead", "detect")
    (of_none,) = letters.outputs(Record("frames", 0, 1, None, b""), POISON)
    (of_empty,) = letters.outputs(Record("frames", 0, 2, b"", b""), POISON)
    assert "origin_key" not in of_none.headers
    assert of_empty.headers["origin_key"] == b""


def test_too_many_in_a_row_stop_the_line_and_a_good_one_begins_the_count_anew() -> None:
    letters = DeadLetters("dead", "detect", Limits(in_a_row=3))
    for offset in range(3):
        letters.outputs(record(offset), POISON)
    assert letters.outputs(record(3), ()) == ()
    for offset in range(4, 7):
        letters.outputs(record(offset), POISON)
    with pytest.raises(TooManyDeadLetters, match=r"4 records in a row .* in/0/7"):
        letters.outputs(record(7), POISON)


def test_too_many_within_a_minute_stop_the_line_also_with_good_ones_between() -> None:
    now = [0.0]
    letters = DeadLetters("dead", "detect", Limits(in_a_row=2, per_minute=4), clock=lambda: now[0])
    for offset in range(4):
        letters.outputs(record(offset), POISON)
        letters.outputs(record(offset), ())
        now[0] += 10
    with pytest.raises(TooManyDeadLetters, match=r"5 records within a minute .* in/0/4"):
        letters.outputs(record(4), POISON)
    now[0] = 60.0  # the first of them is a minute old
    assert letters.outputs(record(4), POISON)
    with pytest.raises(TooManyDeadLetters):
        letters.outputs(record(5), POISON)


@pytest.mark.parametrize("text", ["", "1", "1/", "/2", "a/1", "1/-2", "1/2/3", "\u0661/2"])
def test_what_names_no_letter_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="dlq list"):
        LetterId.parse(text)


def test_a_letter_is_named_by_its_place() -> None:
    assert LetterId.parse("2/17") == LetterId(2, 17)
    assert str(LetterId(2, 17)) == "2/17"
