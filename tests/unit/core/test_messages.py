"""Reading bytes that are no message."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import messages as m
from core.contracts import examples
from core.errors import BadMessage
from core.ids import Run, new_stream_id

JSON_DECODERS = [m.decode_spec, m.decode_detections, m.decode_tracks, m.decode_event, m.decode_status]
ALL_DECODERS = [*JSON_DECODERS, m.decode_frames]


@pytest.mark.parametrize("decode", ALL_DECODERS)
@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"message":"other"}', b"[" * 5000])
def test_rubbish_is_a_bad_message(decode: object, value: bytes | None) -> None:
    with pytest.raises(BadMessage):
        decode(value)  # type: ignore[operator]


@given(value=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    for decode in ALL_DECODERS:
        with pytest.raises(BadMessage):
            decode(value)


def test_a_truncated_frame_is_a_bad_message() -> None:
    value = m.encode_frame(msgspec.convert(examples("frames")[1], m.FramesMessage))
    with pytest.raises(BadMessage):
        m.decode_frames(value[:-3])


def test_a_huge_value_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadMessage, match="bytes"):
        m.decode_event(b" " * (m.MAX_JSON_BYTES + 1))


@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_a_score_outside_its_range_is_a_bad_message(score: float) -> None:
    value = msgspec.json.encode({"label": "cat", "score": score, "box": [0, 0, 1, 1]})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(value, type=m.Detection)


@pytest.mark.parametrize("ephemeral", [False, True])
def test_the_end_of_a_run_that_is_kept_is_known_by_its_bytes(ephemeral: bool) -> None:
    stream, counts = new_stream_id(), m.IngestCounts()
    end = m.RunEnd(stream, Run(1), "failure", counts, 9, error='{"message":"run_end"', ephemeral=ephemeral)
    assert m.closes_run(m.encode_json(end)) is not ephemeral
    for name in ("detections", "tracks", "events"):
        others = [example for example in examples(name) if example.get("message") != "run_end"]
        assert not any(m.closes_run(msgspec.json.encode(example)) for example in others)
    assert not m.closes_run(None)
