"""How well tracks follow a truth: MOTA, IDF1, HOTA and identity switches, by roboflow's `trackers`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackers.eval import box_iou, compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

from core.errors import InvalidInput
from infra.report.mot import MotRow, place, rows_by_line

MATCH_IOU = 0.5
"""Least overlap by which a box counts as the truth's (MOTA, IDF1); HOTA takes the mean over its own thresholds."""


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """Scores of one video.

    Attributes:
        mota, idf1, hota: 1 is perfect; MOTA may be negative.
        switches: times that a true object changed its track.
        truth_boxes, boxes: rows compared.
        false_positives, misses: rows without a partner.
    """

    mota: float
    idf1: float
    hota: float
    switches: int
    truth_boxes: int
    boxes: int
    false_positives: int
    misses: int


def evaluate(truth: Path, rows: Iterable[MotRow]) -> TrackingScores:
    """Compare tracked rows with a MOTChallenge truth file, rows of flag 0 left out.

    Raises:
        InvalidInput: the file cannot be read, or has no row that counts.
    """
    return compare(list(true_rows(truth).values()), list(rows))


def true_rows(truth: Path) -> dict[int, MotRow]:
    """Rows of a truth file that count, by line. Raises InvalidInput."""
    rows = {number: row for number, row in rows_by_line(truth).items() if row.score != 0}
    if not rows:
        raise InvalidInput(f"{truth.name} has no row that counts (every flag is 0, or the file is empty)")
    return rows


def refuse_beyond(truth: Path, rows: Mapping[int, MotRow], frames: int) -> None:
    """Raises InvalidInput for a row of a frame that a video of so many frames does not have."""
    for number, row in rows.items():
        if row.frame > frames:
            raise InvalidInput(f"{place(truth, number)}: there is no frame {row.frame}, the video has {frames}")


def compare(truth: Sequence[MotRow], rows: Sequence[MotRow]) -> TrackingScores:
    """Scores of `rows` against the rows of a truth, which must not be empty."""
    true_ids, ids, overlaps = _by_frame(truth, rows)
    clear = compute_clear_metrics(true_ids, ids, overlaps, threshold=MATCH_IOU)
    identity = compute_identity_metrics(true_ids, ids, overlaps, threshold=MATCH_IOU)
    hota = compute_hota_metrics(true_ids, ids, overlaps)
    return TrackingScores(
        mota=float(clear["MOTA"]),
        idf1=float(identity["IDF1"]),
        hota=float(hota["HOTA"]),
        switches=int(clear["IDSW"]),
        truth_boxes=len(truth),
        boxes=len(rows),
        false_positives=int(clear["CLR_FP"]),
        misses=int(clear["CLR_FN"]),
    )


def _by_frame(
    truth: Sequence[MotRow], rows: Sequence[MotRow]
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]], list[NDArray[np.float64]]]:
    """Ids counted from 0 and overlaps `[true, found]` of each frame that has any row."""
    true, found = _table(truth), _table(rows)
    _, true_index = np.unique(true[:, 1], return_inverse=True)
    _, index = np.unique(found[:, 1], return_inverse=True)
    true_ids, ids, overlaps = [], [], []
    for frame in np.union1d(true[:, 0], found[:, 0]):
        here, there = true[:, 0] == frame, found[:, 0] == frame
        true_ids.append(true_index[here])
        ids.append(index[there])
        overlaps.append(box_iou(true[here, 2:6], found[there, 2:6], box_format="xywh"))
    return true_ids, ids, overlaps


def _table(rows: Sequence[MotRow]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, len(MotRow._fields))
