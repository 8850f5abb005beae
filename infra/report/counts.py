"""How many objects of each label are in view over time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from infra.report.result import Result
from infra.report.scale import TimeAxis
from infra.report.timeline import COLOURS, colours, ranked_labels

BINS = 240
HEIGHT = 44.0


@dataclass(frozen=True, slots=True)
class CountChart:
    """One label's chart: the outline of its area, `HEIGHT` tall, and the most at once.

    Attributes:
        outline: SVG path data, y 0 at the top.
    """

    label: str
    colour: str
    outline: str
    most: int


def count_charts(result: Result) -> list[CountChart]:
    """A chart for each of the most frequent labels, from the boxes in each analysed frame."""
    axis = TimeAxis(result.duration_s)
    bins = max(1, min(BINS, result.ledger.processed or BINS))
    labels = ranked_labels(result)
    colour = colours(labels)
    series = _series(result, bins)
    return [
        CountChart(label, colour[label], _outline(series[label], axis), max(series[label], default=0))
        for label in labels[:COLOURS]
    ]


def _series(result: Result, bins: int) -> dict[str, list[int]]:
    """Per label and slice of time, the most boxes in one frame of that slice."""
    in_frame: Counter[tuple[str, int, int]] = Counter()
    duration = result.duration_s or 1.0
    for track, box in result.boxes():
        in_frame[track.label, min(bins - 1, int(box.s / duration * bins)), box.frame] += 1
    series = {track.label: [0] * bins for track in result.tracks}
    for (label, slot, _), count in in_frame.items():
        series[label][slot] = max(series[label][slot], count)
    return series


def _outline(counts: list[int], axis: TimeAxis) -> str:
    most = max(1, *counts)
    width = axis.duration_s / len(counts)
    path = [f"M{axis.x(0)} {HEIGHT}"]
    for i, count in enumerate(counts):
        path.append(f"V{round(HEIGHT * (1 - count / most), 2)}H{axis.x((i + 1) * width)}")
    return "".join([*path, f"V{HEIGHT}Z"])
