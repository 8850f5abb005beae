from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from infra.report.counts import count_charts
from infra.report.page import SHOWN_AT_ONCE, Made, ledger_bars, render, write_page
from infra.report.result import FoundEvent, Ledger, Problem, Result, Video
from infra.report.scale import TimeAxis, clock
from infra.report.timeline import timeline
from tests.unit.report.results import make_result

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
MADE = Made(datetime(2026, 3, 1, tzinfo=UTC), "0.1.0", 10.0, ("object_detection",))


class Seen(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def _jpeg(width: int = 900, height: int = 300) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def _nothing(key: str) -> None:
    return None


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    seen = Seen(render(make_result(30), MADE, lambda key: _jpeg()))
    assert not {"script", "link", "iframe", "object"} & set(seen.tags)
    for name, value in seen.attributes:
        assert not name.startswith("on")
        if name in {"src", "href", "srcset"}:
            assert value.startswith("data:image/jpeg;base64,")
    assert ("http-equiv", "Content-Security-Policy") in seen.attributes


@pytest.mark.parametrize("tracks", [1, 60])
def test_names_labels_and_reasons_cannot_become_markup(tracks: int) -> None:
    result = make_result(tracks, labels=(EVIL,), name=EVIL, problems=(Problem(EVIL, 3, 0.1),))
    made = msgspec.structs.replace  # results are structs, Made is a dataclass
    result = made(result, task_id=EVIL, events=(*result.events, FoundEvent("e", EVIL, EVIL, 0.5)))
    plain = Seen(render(make_result(tracks, labels=("x",), problems=(Problem("x", 3, 0.1),)), MADE, _nothing))
    seen = Seen(render(result, MADE, _nothing))
    assert "script" not in seen.tags
    assert "onerror" not in {name for name, _ in seen.attributes}
    assert "img" not in seen.tags and "img" not in plain.tags
    assert EVIL in seen.text


def test_pictures_are_scaled_down_and_fetched_once() -> None:
    result = make_result(4)
    events = tuple(msgspec.structs.replace(event, image="one.jpg") for event in result.events)
    asked: list[str] = []

    def fetch(key: str) -> bytes:
        asked.append(key)
        return _jpeg(4000, 3000)

    page = render(msgspec.structs.replace(result, events=events), MADE, fetch)
    assert asked == ["one.jpg"]
    assert Seen(page).tags.count("img") == 4
    assert len(page) < 100_000


@pytest.mark.parametrize("data", [None, b"", b"no picture"])
def test_a_picture_that_cannot_be_had_is_said(data: bytes | None) -> None:
    seen = Seen(render(make_result(2), MADE, lambda key: data))
    assert "img" not in seen.tags
    assert seen.text.count("no picture") == 2


def test_all_tracks_and_events_are_on_the_page() -> None:
    result = make_result(150, frames=3600)
    told: list[float] = []
    seen = Seen(render(result, MADE, _nothing, told.append))
    assert seen.text.count(f"{150 - SHOWN_AT_ONCE} more events") == 1
    assert seen.tags.count("li") >= 150
    drawn = timeline(result)
    assert sum(len(group.bars) for group in drawn.groups) == 150
    assert told == sorted(told) and told[-1] == 1.0


@pytest.mark.parametrize("tracks", [3, 150])
def test_bars_of_a_lane_do_not_touch_and_lie_in_the_drawing(tracks: int) -> None:
    drawn = timeline(make_result(tracks))
    for group in drawn.groups:
        lanes: dict[float, list[tuple[float, float]]] = {}
        for bar in group.bars:
            assert group.y <= bar.y < group.y + group.height
            assert bar.life.x + bar.life.width <= 1000
            lanes.setdefault(bar.y, []).append((bar.life.x, bar.life.x + bar.life.width))
        for spans in lanes.values():
            spans.sort()
            assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert drawn.groups[-1].y + drawn.groups[-1].height <= drawn.height


def test_events_of_no_track_have_lanes_of_their_own() -> None:
    result = make_result(2)
    crowd = FoundEvent("c", "people_count", "", 1.0, None)
    drawn = timeline(msgspec.structs.replace(result, events=(*result.events, crowd)))
    assert drawn.groups[-1].name == "people_count"
    assert drawn.groups[-1].bars[0].title == "people_count: scene, 1.00 s to lasting"


def test_a_chart_shows_the_most_at_once() -> None:
    result = make_result(80)
    for chart in count_charts(result):
        assert chart.most == result.objects[chart.label].most_at_once


def test_a_video_in_which_nothing_was_found_has_a_page(tmp_path: Path) -> None:
    result = Result("t", Video("empty.mp4", 0, 0, 0.0))
    write_page(tmp_path / "r.html", result, Made(MADE.at, "0.1.0", 0.0, ()), _nothing)
    seen = Seen((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Nothing was found in this video." in seen.text
    assert "every frame" in seen.text
    assert "svg" not in seen.tags


def test_the_ledger_s_bars_add_up() -> None:
    ledger = Ledger(100, 40, 60, 50, 4, {"backlog": 3, "expired": 1}, 1, 1)
    (_, decoded), (_, read) = ledger_bars(ledger)
    assert sum(share.count for share in decoded) == 100
    assert sum(share.count for share in read) == 60
    assert sum(share.part for share in read) == pytest.approx(1)


@pytest.mark.parametrize(
    ("duration", "most"), [(0.0, 1), (0.05, 11), (1.0, 11), (59.0, 11), (61.0, 11), (3600.0, 13), (90_000.0, 11)]
)
def test_the_axis_has_a_handful_of_rising_ticks(duration: float, most: int) -> None:
    ticks = TimeAxis(duration).ticks
    assert 1 <= len(ticks) <= most
    assert [tick.x for tick in ticks] == sorted({tick.x for tick in ticks})
    assert len({tick.text for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.00 s"), (12.5, "12.50 s"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
