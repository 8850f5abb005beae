"""Good videos made bad: a fixed few of those that ``python -m tests.hostile`` reads (``--host``: as a host's tasks)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.mutations import Good, goods, mutant
from tests.hostile.reading import read_apart, read_as_host, settings_of

SEED = 1
ONCE_FATAL = (873, 907)
"""A stream that no header names, and a table at which decord aborts."""


@pytest.fixture(scope="module")
def videos(shared: Path) -> list[Good]:
    return goods(shared / "data" / "videos")


@pytest.mark.parametrize("number", [*range(14), *ONCE_FATAL])
def test_a_mutant_is_analysed_or_refused_with_a_reason(number: int, videos: list[Good], tmp_path: Path) -> None:
    made = mutant(SEED, number, videos)
    path = tmp_path / made.name
    path.write_bytes(made.data)
    result, _ = read_as_host(path, settings_of(tmp_path), limit_s=60, limit_mb=2048)
    assert result.outcome in {"whole", "early", "refused"}, result
    assert result.outcome == "whole" or result.why
    assert result.wrong == ""


def test_the_decoder_that_crashes_is_left_out_the_second_time(videos: list[Good], tmp_path: Path) -> None:
    made = mutant(SEED, 907, videos)
    path = tmp_path / made.name
    path.write_bytes(made.data)
    first = read_apart(path, settings_of(tmp_path), limit_s=60, limit_mb=2048)
    assert first.outcome == "crashed", "else this mutant shows nothing any more: take another"
    second = read_apart(path, settings_of(tmp_path), limit_s=60, limit_mb=2048, careful=True)
    assert (second.outcome, second.decoded > 0) == ("early", True)


def test_a_reader_that_wants_too_much_memory_ends_alone(videos: list[Good], tmp_path: Path) -> None:
    """A small file that says it is large; what would hold its frames is more than the reader may have."""
    gif = next(v for v in videos if v.path.name == "demo.gif")
    path = tmp_path / "large.gif"
    path.write_bytes(gif.data[:6] + (8191).to_bytes(2, "little") * 2 + gif.data[10:])
    settings = settings_of(tmp_path)
    small = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"reader_memory_mb": 512})})
    result = read_apart(path, small, limit_s=60, limit_mb=1024)
    assert result.outcome in {"refused", "crashed"}, result
    assert result.peak_mb < 700
