"""Filters, pages and cursors, before any store sees them."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.ids import Run, StreamId
from warehouse.clickhouse.exports import export_sql
from warehouse.clickhouse.questions import detection_question, event_question, track_question
from warehouse.clickhouse.statistics import counting
from warehouse.clickhouse.topology import Topology
from warehouse.filters import MAX_LIST, Filter
from warehouse.page import decode_cursor, digest, encode_cursor, page_of

A = StreamId(UUID(int=1))
ONE_SERVER = Topology("d")
PARTS = st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(PARTS, max_size=5), st.text(max_size=12))
def test_a_cursor_gives_back_its_key(key: list, question: str) -> None:
    cursor = encode_cursor(question, tuple(key))
    assert cursor.isascii()
    assert not set("+/=") & set(cursor)
    assert decode_cursor(cursor, question, [type(part) for part in key]) == tuple(key)


@given(st.text(max_size=60) | st.text(alphabet="abcXYZ019-_=", max_size=60))
def test_no_text_breaks_a_cursor_s_reading(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_cursor(text, "q", [int])
    assert caught.value.field == "cursor"


def test_a_cursor_of_other_parts_is_refused() -> None:
    cursor = encode_cursor("q", (1, "a"))
    for types in ([int], [str, int], [int, str, int]):
        with pytest.raises(InvalidInput, match="not one"):
            decode_cursor(cursor, "q", types)
    with pytest.raises(InvalidInput, match="another question"):
        decode_cursor(cursor, "other", [int, str])


def test_digests_differ_as_questions_do() -> None:
    filters = [Filter(), Filter(run=Run(1)), Filter(stream_ids=()), Filter(stream_ids=(A,)), Filter(labels=("a",))]
    assert len({digest("x", f) for f in filters} | {digest("y", f) for f in filters}) == 10


def test_a_page_has_a_next_one_only_if_there_is_more() -> None:
    assert page_of([1, 2, 3], 3, "q", lambda n: (n,)).next_cursor is None
    page = page_of([1, 2, 3, 4], 3, "q", lambda n: (n,))
    assert page.items == (1, 2, 3)
    assert page.next_cursor is not None
    assert decode_cursor(page.next_cursor, "q", [int]) == (3,)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"from_ms": 5, "to_ms": 4}, "to_ms"),
        ({"min_score": 1.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"area": (0.5, 0, 0.5, 1)}, "area"),
        ({"area": (0, 0.6, 1, 0.5)}, "area"),
        ({"area": (-0.1, 0, 1, 1)}, "area"),
        ({"area": (0, 0, 1, float("nan"))}, "area"),
        ({"labels": ("x",) * (MAX_LIST + 1)}, "labels"),
        ({"stream_ids": (A,) * (MAX_LIST + 1)}, "stream_ids"),
    ],
)
def test_filters_that_cannot_be_meant_are_refused(wrong: dict, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Filter(**wrong)
    assert caught.value.field == field


HOSTILE = "') OR 1=1; DROP TABLE d.events --"


def test_no_value_is_part_of_a_statement() -> None:
    filter_ = Filter(stream_ids=(A,), labels=(HOSTILE,), min_score=0.123456789, area=(0.1, 0.2, 0.3, 0.4))
    told = Filter(types=(HOSTILE,), event_types=(HOSTILE,), labels=(HOSTILE,))
    statements = [
        detection_question(filter_, ONE_SERVER).sql(limit=5),
        track_question(filter_, ONE_SERVER).sql(),
        event_question(told, ONE_SERVER).sql(descending=True),
        export_sql("detections", filter_, ONE_SERVER)[0],
        export_sql("tracks", filter_, ONE_SERVER)[0],
        export_sql("events", told, ONE_SERVER)[0],
        *(
            counting(filter_, ONE_SERVER, metric, bucket="day", group_by=("label",), limit=9).sql
            for metric in ("detections", "objects", "visits", "events", "max_at_once")
        ),
    ]
    for statement in statements:
        assert "DROP" not in statement
        assert "0.123456789" not in statement
        assert str(A) not in statement
        assert "{labels:Array(String)}" in statement
