from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import pytest

from core.errors import BadMessage, InvalidInput
from infra.report.mot import MotRow, mot_rows, read_mot, write_mot
from infra.report.result import Ledger, Result, Track, TrackBox, Video, pixels, pretty_json, read_result
from infra.report.table import COLUMNS, write_csv
from tests.unit.report.results import make_result


def _one_box() -> Result:
    box = TrackBox(4, 0.16, (0.1, 0.25, 0.35, 0.75), 0.87654)
    track = Track(3, "person", 0.87654, 4, 4, 0.16, 0.16, (box,))
    return Result("t", Video("a", 1280, 720, 25.0), Ledger(10, 0, 10, 10), tracks=(track,))


def test_mot_rows_are_pixels_of_the_upright_video_with_frames_from_one(tmp_path: Path) -> None:
    write_mot(tmp_path / "m.txt", mot_rows(_one_box()))
    assert (tmp_path / "m.txt").read_text() == "5,3,128,180,320,360,0.87654,-1,-1,-1\n"


def test_mot_rows_can_be_of_one_label() -> None:
    assert list(mot_rows(_one_box(), "car")) == []
    assert len(list(mot_rows(_one_box(), "person"))) == 1


def test_mot_rows_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows = list(mot_rows(make_result(20)))
    write_mot(tmp_path / "m.txt", rows)
    assert read_mot(tmp_path / "m.txt") == rows
    assert [row.frame for row in rows] == sorted(row.frame for row in rows)


def test_a_number_is_never_written_with_an_exponent(tmp_path: Path) -> None:
    write_mot(tmp_path / "m.txt", [MotRow(1_000_000, 12_345_678, 0.00001, 0.0, 123_456_789.5, 2.0, 0.5)])
    assert (tmp_path / "m.txt").read_text().startswith("1000000,12345678,0.00001,0,123456789.5,2,0.5,")


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d,e,f,g", "1;2;3;4;5;6;7"])
def test_a_line_that_is_no_mot_row_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "gt.txt").write_text(f"1,1,0,0,1,1,1\n\n{line}\n")
    with pytest.raises(InvalidInput, match=r"gt\.txt, line 3"):
        read_mot(tmp_path / "gt.txt")


def test_csv_has_a_row_for_each_tracked_box(tmp_path: Path) -> None:
    result = make_result(12, labels=('a "quoted", label\nof two lines', "b"))
    write_csv(tmp_path / "t.csv", result)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(track.boxes) for track in result.tracks)
    for row, (track, box) in zip(rows, result.boxes(), strict=True):
        assert (int(row["frame"]), int(row["track_id"]), row["label"]) == (box.frame, track.track_id, track.label)
        assert (float(row["x_min"]), float(row["y_max"])) == (box.box[0], box.box[3])
        assert float(row["width"]) == pytest.approx((box.box[2] - box.box[0]) * 640, abs=0.011)


def test_a_result_survives_json_and_unknown_fields() -> None:
    result = make_result(5)
    tree = msgspec.json.decode(msgspec.json.encode(result))
    tree["video_data"] = {"later": 1}
    data = msgspec.json.encode(tree)
    assert read_result(data) == result
    assert read_result(pretty_json(data)) == result
    assert msgspec.json.decode(pretty_json(data)) == tree


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"task_id": 1, "video": {}}'])
def test_what_is_no_result_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        read_result(data)


def test_the_sampling_step_is_rounded_up_and_at_least_one() -> None:
    assert [Result("t", Video("a", 1, 1, 1), Ledger(d, 0, r)).sampling_step for d, r in ((0, 0), (9, 9), (10, 3))] == [
        1, 1, 4,
    ]  # fmt: skip


def test_pixels_of_the_whole_picture() -> None:
    assert pixels((0.0, 0.0, 1.0, 1.0), 1919, 1081) == (0.0, 0.0, 1919.0, 1081.0)
