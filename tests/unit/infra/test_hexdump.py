from __future__ import annotations

import json
from uuid import UUID

from core.ids import Run, Seq, StreamId
from core.messages import Frame, encode_frame
from infra.cli.hexdump import hexdump, payload


def test_a_frame_is_shown_without_its_picture() -> None:
    frame = Frame(StreamId(UUID(int=1)), Run(1), Seq(4), 5, 0.5, 6, 64, 48, b"\xff\xd8" * 100, "m")
    shown = json.loads(payload(encode_frame(frame), 10))
    assert (shown["seq"], shown["jpeg"]) == (4, "200 bytes")


def test_json_is_shown_as_json_and_nothing_as_nothing() -> None:
    assert json.loads(payload(b'{"a": [1]}', 10)) == {"a": [1]}
    assert payload(None, 10) == "(no value)"


def test_anything_else_is_shown_in_hex_as_far_as_wanted() -> None:
    shown = payload(bytes(range(20)) + b"abc\xff", 20).splitlines()
    assert shown == [
        "00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................",
        "00000010  10 11 12 13                                      ....",
        "... 4 bytes more",
    ]
    assert hexdump(b"ab", 1).endswith("... 1 byte more")
    assert hexdump(b"", 10) == ""
    assert hexdump(b"a\xe9", 10).endswith("a.")
