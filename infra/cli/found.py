"""What was found in a video, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.report.result import Ledger, Result

MOST_EVENTS = 20


def print_found(console: Console, result: Result) -> None:
    """Objects per class, tracks, events with begin and end, the ledger, the speed, what is wrong with the file."""
    video = result.video
    length = "" if video.duration_s is None else f", {video.duration_s:.2f} s"
    turned = f", turned by {video.rotation}°" if video.rotation else ""
    _say(console, f"{video.name}: {video.frames} frames of {video.width} x {video.height}{length}{turned}", "bold")
    if result.objects:
        console.print(_objects(result))
    else:
        _say(console, "Nothing was found.")
    _say(console, f"{_plural(len(result.tracks), 'track')}, {_plural(len(result.events), 'event')}")
    if result.events:
        console.print(_events(result))
    if len(result.events) > MOST_EVENTS:
        _say(console, f"... and {len(result.events) - MOST_EVENTS} more; --json and --report have them all")
    _say(console, "Frames: " + ledger_line(result.ledger))
    speed = result.speed
    _say(console, f"Speed: {speed.frames_per_s:.1f} frames/s ({speed.frames} in {speed.seconds:.1f} s)")
    for line in problem_lines(result):
        _say(console, line, "yellow")
    _say(console, f"Task {result.task_id}")


def ledger_line(ledger: Ledger) -> str:
    """Where every frame went, in one line."""
    parts = [f"{ledger.processed} processed"]
    parts += [f"{ledger.gated} held back without motion"] if ledger.gated else []
    parts += [f"{count} dropped ({reason})" for reason, count in sorted(ledger.dropped.items()) if count]
    parts += [f"{ledger.dead_lettered} dead-lettered", f"{ledger.in_flight} in flight"]
    return (
        f"{ledger.decoded} decoded = {ledger.sampled_out} sampled out + {ledger.read} read; "
        f"{ledger.read} read = {' + '.join(parts)}"
    )


def problem_lines(result: Result) -> Iterator[str]:
    """What is wrong with the file, a sentence each."""
    for problem in result.errors:
        where = "" if problem.at_frame is None else f" after frame {problem.at_frame}"
        when = "" if problem.at_s is None else f" at {problem.at_s:.2f} s"
        yield f"Problem of the file{where}{when}: {problem.reason}"


def _objects(result: Result) -> Table:
    table = _table("object", "visits", "frames", "most at once")
    for label, count in sorted(result.objects.items(), key=lambda item: (-item[1].visits, item[0])):
        table.add_row(Text(label), str(count.visits), str(count.frames), str(count.most_at_once))
    return table


def _events(result: Result) -> Table:
    table = _table("event", "object", "begin", "end", "track", "score", text_columns=2)
    for event in result.events[:MOST_EVENTS]:
        table.add_row(
            Text(event.type),
            Text(event.label),
            f"{event.begin_s:.2f} s",
            "" if event.end_s is None else f"{event.end_s:.2f} s",
            "" if event.track_id is None else str(event.track_id),
            "" if event.score is None else f"{event.score:.2f}",
        )
    return table


def _table(*names: str, text_columns: int = 1) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(names):
        table.add_column(name, justify="left" if position < text_columns else "right")
    return table


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style), soft_wrap=True)
