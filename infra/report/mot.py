"""MOTChallenge rows: frame (from 1), id, left, top, width, height, score, -1, -1, -1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
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
    return list(rows_by_line(path).values())


def rows_by_line(path: Path) -> dict[int, MotRow]:
    """As `read_mot`, each row under its line's number, from 1."""
    rows: dict[int, MotRow] = {}
    seen: dict[tuple[int, int], int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        row = _row(line, place(path, number))
        if row.score != 0:
            first = seen.setdefault((row.frame, row.id), number)
            if first != number:
                raise InvalidInput(
                    f"{place(path, number)}: id {row.id} is in frame {row.frame} already, on line {first}"
                )
        rows[number] = row
    return rows


def place(path: Path, number: int) -> str:
    """A line of a file, as errors name it."""
    return f"{path.name}, line {number}"


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _row(line: bytes, where: str) -> MotRow:
    try:
        text = line.decode("utf-8-sig")
        frame, track, left, top, width, height, score = (float(field) for field in text.replace(",", " ").split()[:7])
    except UnicodeDecodeError:
        raise InvalidInput(f"{where}: this is no text") from None
    except ValueError:
        raise InvalidInput(f"{where}: expected frame, id, left, top, width, height, score; found {text!r}") from None
    if not all(map(isfinite, (frame, track, left, top, width, height, score))):
        raise InvalidInput(f"{where}: a value is no finite number: {text!r}")
    if not (frame.is_integer() and track.is_integer()):
        raise InvalidInput(f"{where}: frame and id must be whole numbers: {text!r}")
    if frame < 1:
        raise InvalidInput(f"{where}: frames count from 1, this is {frame:.0f}")
    if width <= 0 or height <= 0:
        raise InvalidInput(f"{where}: a box must have a width and a height, this is {width:g} x {height:g}")
    return MotRow(int(frame), int(track), left, top, width, height, score)


def _decimal(value: float) -> str:
    """At most five decimals, no trailing zeros, never an exponent."""
    return f"{value:.5f}".rstrip("0").rstrip(".")
