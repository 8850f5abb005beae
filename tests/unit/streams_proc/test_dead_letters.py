from __future__ import annotations

import pytest

from core.errors import BadImage, FatalError
from streams_proc.dead_letters import DeadLetters
from streams_proc.stage import Output, Poison, Record
from tests.unit.streams_proc.stage_fakes import record


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


def test_too_many_in_a_row_stop_the_line_and_a_good_one_begins_the_count_anew() -> None:
    letters = DeadLetters("dead", "detect", most=3)
    poison = Poison(BadImage("no"))
    for offset in range(3):
        letters.outputs(record(offset), poison)
    assert letters.outputs(record(3), ()) == ()
    for offset in range(4, 7):
        letters.outputs(record(offset), poison)
    with pytest.raises(FatalError, match="in/0/7"):
        letters.outputs(record(7), poison)
