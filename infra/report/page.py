"""One self-contained HTML page of a result: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from infra.report.counts import HEIGHT as COUNT_HEIGHT
from infra.report.counts import count_charts
from infra.report.pictures import Album
from infra.report.result import FoundEvent, Ledger, Result
from infra.report.scale import LEFT, RIGHT, WIDTH, TimeAxis, clock
from infra.report.timeline import colours, ranked_labels, timeline

MOST_PICTURES = 300
SHOWN_AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Made:
    """How a result came about, for the foot of the page."""

    at: datetime
    version: str
    fps: float
    analytics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    model: str | None = None

    @property
    def rate(self) -> str:
        """The sampling, in words."""
        return f"{self.fps:g} frames/s" if self.fps else "every frame"


@dataclass(frozen=True, slots=True)
class Card:
    """An event with its picture."""

    event: FoundEvent
    colour: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a stacked bar; `part` is 0..1 of the whole."""

    name: str
    count: int
    part: float
    kind: str


def render(
    result: Result,
    made: Made,
    picture: Callable[[str], bytes | None],
    progress: Callable[[float], None] = lambda part: None,
) -> str:
    """The page's HTML.

    Args:
        picture: bytes of a media key's picture, None when there is none.
        progress: told the part of the pictures that is done, 0..1.
    """
    cards = list(_cards(result, Album(picture), progress))
    template = _environment().get_template("report.html.j2")
    return template.render(
        result=result,
        video=result.video,
        made=made,
        cards=cards,
        shown_at_once=SHOWN_AT_ONCE,
        most_pictures=MOST_PICTURES,
        timeline=timeline(result),
        charts=count_charts(result),
        count_height=COUNT_HEIGHT,
        axis=TimeAxis(result.duration_s),
        labels=ranked_labels(result),
        colour=colours(ranked_labels(result)),
        bars=ledger_bars(result.ledger),
        left=LEFT,
        right=RIGHT,
        width=WIDTH,
    )


def write_page(
    path: Path,
    result: Result,
    made: Made,
    picture: Callable[[str], bytes | None],
    progress: Callable[[float], None] = lambda part: None,
) -> None:
    """Write `render`'s page."""
    path.write_text(render(result, made, picture, progress), encoding="utf-8")


def ledger_bars(ledger: Ledger) -> list[tuple[str, list[Share]]]:
    """What was decoded, and what was read, each divided into where the frames went."""
    decoded = [("sampled out", ledger.sampled_out, "quiet"), ("read", ledger.read, "good")]
    read = [("processed", ledger.processed, "good"), ("held back: no motion", ledger.gated, "quiet")]
    read += [(f"dropped: {reason}", count, "warn") for reason, count in sorted(ledger.dropped.items())]
    read += [("dead-lettered", ledger.dead_lettered, "bad"), ("in flight", ledger.in_flight, "wait")]
    return [
        (f"{ledger.decoded} frames decoded", _shares(decoded, ledger.decoded)),
        (f"{ledger.read} frames read", _shares(read, ledger.read)),
    ]


def _shares(parts: list[tuple[str, int, str]], whole: int) -> list[Share]:
    return [Share(name, count, count / whole if whole else 0.0, kind) for name, count, kind in parts]


def _cards(result: Result, album: Album, progress: Callable[[float], None]) -> Iterator[Card]:
    colour = colours(ranked_labels(result))
    for i, event in enumerate(result.events):
        wanted = event.image is not None and i < MOST_PICTURES
        yield Card(event, colour.get(event.label, "cx"), album[event.image or ""] if wanted else None)
        progress((i + 1) / len(result.events))
    progress(1.0)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("infra.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["clock"] = clock
    return environment
