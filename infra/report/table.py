"""The CSV of a result: a row per tracked box."""

from __future__ import annotations

import csv
from pathlib import Path

from infra.report.result import Result, pixels

COLUMNS = (
    "frame",
    "second",
    "track_id",
    "label",
    "score",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
    "left",
    "top",
    "width",
    "height",
)
"""`frame` counts from 0; the corners are 0..1; left, top, width and height are pixels of the upright video."""


def write_csv(path: Path, result: Result) -> None:
    """Write every tracked box in the order of frames, then of tracks, under a line of names."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for track, box in result.boxes():
            place = pixels(box.box, result.video.width, result.video.height)
            writer.writerow([box.frame, box.s, track.track_id, track.label, box.score, *box.box, *place])
