from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidInput
from infra.report.mot import MotRow, read_mot, write_mot
from infra.report.tracking_metrics import evaluate, refuse_beyond, true_rows


@pytest.mark.parametrize(
    ("name", "mota", "idf1", "hota"), [("TUD-Campus", 0.526, 0.558, 0.391), ("TUD-Stadtmitte", 0.564, 0.645, 0.398)]
)
def test_the_scores_of_the_published_sets(shared: Path, name: str, mota: float, idf1: float, hota: float) -> None:
    folder = shared / "data/gt" / name
    scores = evaluate(folder / "gt.txt", read_mot(folder / "test.txt"))
    assert (round(scores.mota, 3), round(scores.idf1, 3), round(scores.hota, 3)) == (mota, idf1, hota)
    assert scores.switches == 7


def test_a_truth_against_itself_is_perfect(shared: Path) -> None:
    truth = shared / "data/gt/TUD-Campus/gt.txt"
    scores = evaluate(truth, read_mot(truth))
    assert (scores.mota, scores.idf1, scores.hota, scores.switches) == (1.0, 1.0, pytest.approx(1.0), 0)
    assert (scores.misses, scores.false_positives) == (0, 0)


def test_rows_of_flag_0_are_left_out(tmp_path: Path) -> None:
    counted = [MotRow(frame, 1, 10.0, 10.0, 20.0, 20.0, 1.0) for frame in range(1, 5)]
    left_out = [MotRow(frame, 2, 200.0, 10.0, 20.0, 20.0, 0.0) for frame in range(1, 5)]
    write_mot(tmp_path / "gt.txt", counted + left_out)
    scores = evaluate(tmp_path / "gt.txt", [row._replace(id=9) for row in counted])
    assert (scores.truth_boxes, scores.mota, scores.misses) == (4, 1.0, 0)


def test_a_change_of_id_is_one_switch(tmp_path: Path) -> None:
    rows = [MotRow(frame, 1, 10.0, 10.0, 20.0, 20.0, 1.0) for frame in range(1, 9)]
    write_mot(tmp_path / "gt.txt", rows)
    scores = evaluate(tmp_path / "gt.txt", [row._replace(id=1 if row.frame < 5 else 2) for row in rows])
    assert scores.switches == 1
    assert scores.mota == pytest.approx(1 - 1 / 8)


def test_nothing_found_is_all_missed(tmp_path: Path) -> None:
    write_mot(tmp_path / "gt.txt", [MotRow(1, 1, 0.0, 0.0, 5.0, 5.0, 1.0)])
    scores = evaluate(tmp_path / "gt.txt", [])
    assert (scores.mota, scores.hota, scores.misses) == (0.0, 0.0, 1)


GOOD = b"1,1,0,0,5,5,1,-1,-1,-1"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"1,2,nan,0,5,5,1", "finite"),
        (b"1,2,0,0,inf,5,1", "finite"),
        (b"1,2,0,0,5,\xff,1", "no text"),
        (b"0,2,0,0,5,5,1", "frames count from 1"),
        (b"2.5,2,0,0,5,5,1", "whole"),
        (b"2,2,0,0,0,5,1", "0 x 5"),
        (b"2,2,0,0,5,-1,1", "5 x -1"),
        (b"1,1,9,9,5,5,1", "id 1 is in frame 1 already, on line 1"),
        (b"1,2,0,0,5", "expected frame"),
    ],
)
def test_a_malformed_row_is_refused_by_its_line(tmp_path: Path, line: bytes, says: str) -> None:
    (tmp_path / "gt.txt").write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n\n" + line + b"\n")
    with pytest.raises(InvalidInput, match=f"gt.txt, line 3: .*{says}"):
        true_rows(tmp_path / "gt.txt")


def test_rows_of_flag_0_may_have_one_id_twice(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_bytes(GOOD + b"\n1,2,0,0,5,5,0\n1,2,9,9,5,5,0\n")
    assert list(true_rows(tmp_path / "gt.txt")) == [1]


def test_a_row_behind_the_video_s_end_is_refused_by_its_line(tmp_path: Path) -> None:
    truth = tmp_path / "gt.txt"
    truth.write_bytes(GOOD + b"\n9,1,0,0,5,5,1\n")
    refuse_beyond(truth, true_rows(truth), 9)
    with pytest.raises(InvalidInput, match=r"gt\.txt, line 2: there is no frame 9, the video has 8"):
        refuse_beyond(truth, true_rows(truth), 8)


def test_a_truth_without_a_row_that_counts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,0,0,5,5,0,-1,-1,-1\n")
    with pytest.raises(InvalidInput, match="no row that counts"):
        evaluate(tmp_path / "gt.txt", [])
