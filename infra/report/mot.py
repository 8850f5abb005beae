"""MOTChallenge rows: frame (from 1), id, left, top, width, height, score, -1, -1, -1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import InvalidInput
from infra.report.result import Result, pixels


class MotRow(NamedTuple):
    """One box of one object in one frame, in pixels of the upright video; frames count from 1.

    In a truth file `score` is the flag: 0 means that the row is not to be counted.
    """

    frame: int
    id: int
    left: float
    top: float
    width: float
    height: float
    score: float


def mot_rows(result: Result, label: str | None = None) -> Iterator[MotRow]:
    """The result's tracked boxes, all or one label's, in the order of frames."""
    video = result.video
    for track, box in result.boxes():
        if label is None or track.label == label:
            yield MotRow(box.frame + 1, track.track_id, *pixels(box.box, video.width, video.height), box.score)


def write_mot(path: Path, rows: Iterable[MotRow]) -> None:
    """Write the rows as text, one a line."""
    lines = (",".join(_decimal(value) for value in row) for row in rows)
    path.write_text("".join(f"{line},-1,-1,-1\n" for line in lines), encoding="ascii")


def read_mot(path: Path) -> list[MotRow]:
    """Rows of a truth or result file; fields after the seventh are passed over. Raises InvalidInput."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            rows.append(_row(line, f"{path.name}, line {number}"))
    return rows


def _row(line: str, place: str) -> MotRow:
    fields = line.replace(",", " ").split()
    try:
        frame, track, left, top, width, height, score = (float(field) for field in fields[:7])
    except ValueError:
        raise InvalidInput(f"{place}: expected frame, id, left, top, width, height, score; found {line!r}") from None
    return MotRow(int(frame), int(track), left, top, width, height, score)


def _decimal(value: float) -> str:
    """At most five decimals, no trailing zeros, never an exponent."""
    return f"{value:.5f}".rstrip("0").rstrip(".")
