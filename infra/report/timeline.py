"""Tracks and events as swimlanes over time, one group of lanes per label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.report.result import FoundEvent, Result, Track
from infra.report.scale import WIDTH, TimeAxis, clock

COLOURS = 8
FEW = 40
"""Up to so many tracks, lanes are tall and bars carry their track's number."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a lane."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One track: where it lasts, where it was seen, its events; `number` is shown behind it if not empty."""

    y: float
    colour: str
    title: str
    life: Span
    seen: tuple[Span, ...]
    events: tuple[Span, ...]
    number: str


@dataclass(frozen=True, slots=True)
class Group:
    """A label's lanes, or those of the events that belong to no track."""

    name: str
    note: str
    y: float
    height: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing `WIDTH` wide."""

    axis: TimeAxis
    groups: tuple[Group, ...]
    height: float
    bar_height: float


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour class for each label, in their order; labels beyond the palette share one."""
    return {label: f"c{i}" if i < COLOURS else "cx" for i, label in enumerate(labels)}


def ranked_labels(result: Result) -> list[str]:
    """All labels of tracks, the most frequent first."""
    counts: dict[str, int] = defaultdict(int)
    for track in result.tracks:
        counts[track.label] += 1
    return sorted(counts, key=lambda label: (-counts[label], label))


def timeline(result: Result) -> Timeline:
    """Lay out every track and event of the result."""
    axis = TimeAxis(result.duration_s)
    few = len(result.tracks) <= FEW
    lane, gap = (22.0, 44.0) if few else (11.0, 4.0)
    layout = _Layout(axis, lane, gap, few, result.sampling_step)
    by_label: dict[str, list[Track]] = defaultdict(list)
    for track in result.tracks:
        by_label[track.label].append(track)
    by_track, of_scene = _divided(result)
    labels = ranked_labels(result)
    colour = colours(labels)
    groups: list[Group] = []
    y = 8.0
    for label in labels:
        groups.append(layout.tracks(label, by_label[label], by_track, colour[label], y))
        y = groups[-1].y + groups[-1].height + 10
    for kind, events in of_scene.items():
        groups.append(layout.scene(kind, events, y))
        y = groups[-1].y + groups[-1].height + 10
    return Timeline(axis, tuple(groups), y, 10.0 if few else 6.0)


@dataclass(frozen=True, slots=True)
class _Layout:
    axis: TimeAxis
    lane: float
    gap: float
    numbered: bool
    step: int

    def tracks(
        self, label: str, tracks: Sequence[Track], events: Mapping[int, Sequence[FoundEvent]], colour: str, y: float
    ) -> Group:
        lives = [self._span(track.first_s, track.last_s) for track in tracks]
        rows = _packed(lives, self.gap)
        bars = tuple(
            Bar(
                y + row * self.lane,
                colour,
                _track_title(track, events.get(track.track_id, ())),
                life,
                self._seen(track),
                tuple(self._event(event) for event in events.get(track.track_id, ())),
                f"#{track.track_id}" if self.numbered else "",
            )
            for track, life, row in zip(tracks, lives, rows, strict=True)
        )
        note = f"{len(tracks)} track{'' if len(tracks) == 1 else 's'}"
        return Group(label, note, y, max(26.0, (max(rows) + 1) * self.lane), bars)

    def scene(self, kind: str, events: Sequence[FoundEvent], y: float) -> Group:
        lives = [self._event(event) for event in events]
        rows = _packed(lives, 3.0)
        bars = tuple(
            Bar(y + row * self.lane, "cx", event_title(event), life, (), (life,), "")
            for event, life, row in zip(events, lives, rows, strict=True)
        )
        note = f"{len(events)} event{'' if len(events) == 1 else 's'}"
        return Group(kind, note, y, max(26.0, (max(rows) + 1) * self.lane), bars)

    def _seen(self, track: Track) -> tuple[Span, ...]:
        pieces: list[list[float]] = []
        last_frame = None
        for box in track.boxes:
            if last_frame is None or box.frame - last_frame > 2 * self.step:
                pieces.append([box.s, box.s])
            pieces[-1][1] = box.s
            last_frame = box.frame
        return tuple(self._span(begin, end) for begin, end in pieces)

    def _event(self, event: FoundEvent) -> Span:
        return self._span(event.begin_s, self.axis.duration_s if event.end_s is None else event.end_s)

    def _span(self, begin_s: float, end_s: float) -> Span:
        x = self.axis.x(begin_s)
        return Span(x, round(max(2.0, self.axis.x(end_s) - x), 2))


def _divided(result: Result) -> tuple[dict[int, list[FoundEvent]], dict[str, list[FoundEvent]]]:
    """Events by the track they are about, and the others by their type."""
    known = {track.track_id for track in result.tracks}
    by_track: dict[int, list[FoundEvent]] = defaultdict(list)
    of_scene: dict[str, list[FoundEvent]] = defaultdict(list)
    for event in result.events:
        if event.track_id in known and event.track_id is not None:
            by_track[event.track_id].append(event)
        else:
            of_scene[event.type].append(event)
    return by_track, of_scene


def _packed(spans: Sequence[Span], gap: float) -> list[int]:
    """A row for each span, so that none touches another in its row."""
    ends: list[float] = []
    rows = [0] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: (spans[i].x, i)):
        row = next((r for r, end in enumerate(ends) if end + gap <= spans[i].x), len(ends))
        if row == len(ends):
            ends.append(0.0)
        ends[row] = spans[i].x + spans[i].width
        rows[i] = row
    return rows


def event_title(event: FoundEvent) -> str:
    """One line about an event."""
    until = "lasting" if event.end_s is None else clock(event.end_s)
    return f"{event.type}: {event.label or 'scene'}, {clock(event.begin_s)} to {until}"


def _track_title(track: Track, events: Iterable[FoundEvent]) -> str:
    head = f"{track.label} #{track.track_id}: {clock(track.first_s)} to {clock(track.last_s)}, score {track.score:.2f}"
    return "\n".join([head, *(event_title(event) for event in events)])


__all__ = ["WIDTH", "Bar", "Group", "Span", "Timeline", "colours", "event_title", "ranked_labels", "timeline"]
