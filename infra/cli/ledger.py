"""`sightline ledger`: where every frame went, or is."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from core.errors import InvalidInput, NotFound
from core.settings import load
from infra.cli.exits import FAILED, exits, say
from infra.cli.query_service import FramePlace, RunLedger, service_of
from infra.cli.tables import output, table

SUMS = ("decoded", "sampled_out", "read", "processed", "gated", "dropped", "dead_lettered", "in_flight")


def ledger(
    stream: Annotated[UUID | None, typer.Option(metavar="ID", help="Of this stream or task only.")] = None,
    run: Annotated[int | None, typer.Option(min=1, help="Of this run only.")] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="List each frame in flight, with its record; needs --stream.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show where every frame of every run went, or is.

    decoded = sampled out + read; read = processed + gated + dropped + dead-lettered + in flight.
    Exit code 1 when a ledger does not sum.
    """
    screen = Console(stderr=True)
    with exits(screen), closing(service_of(load().query)) as service:
        if frames and stream is None:
            raise InvalidInput("--frames needs --stream")
        found = list(service.ledgers(stream, run))
        if stream is not None and not found:
            raise NotFound(f"there is no ledger of {stream}" + (f" run {run}" if run else ""))
        wrong = [said for item in found for said in complaints(item)]
        if json:
            for item in found:
                typer.echo(msgspec.json.encode(item))
        else:
            _show(found)
        if frames and stream is not None:
            _show_frames(service.frames_in_flight(stream, run), json=json)
        for said in wrong:
            say(screen, said)
        if wrong:
            raise typer.Exit(FAILED)


def complaints(item: RunLedger) -> list[str]:
    """What does not sum, as the service says and by counting it again here."""
    name = f"{item.stream_id} run {item.run}"
    found = [f"{name}: {said}" for said in item.differences]
    if item.imbalance and not found:
        found.append(f"{name}: {item.imbalance} frames are not accounted for")
    if item.decoded != item.sampled_out + item.read:
        found.append(f"{name}: {item.decoded} decoded are not {item.sampled_out} sampled out + {item.read} read")
    settled = item.processed + item.gated + item.drops + item.dead_lettered
    if item.read != settled + item.in_flight:
        found.append(f"{name}: {item.read} read are not {settled} settled + {item.in_flight} in flight")
    return found


def _show(found: list[RunLedger]) -> None:
    shown = table("stream", "run", "name", "state", *(word.replace("_", " ") for word in SUMS), "where", "sums")
    for item in found:
        shown.add_row(
            str(item.stream_id), str(item.run), Text(item.name), item.state, *_numbers(item), where(item), _sums(item)
        )
    if len(found) > 1:
        total = [str(sum(_number(item, word) for item in found)) for word in SUMS]
        shown.add_row("all", "", "", "", *total, "", Text("no", "red") if any(map(complaints, found)) else "yes")
    output().print(shown)


def where(item: RunLedger) -> str:
    """Where the frames in flight are, and what of a dropped frame's reasons there is to say."""
    places = item.places
    parts = [f"{count} dropped: {reason}" for reason, count in sorted(item.dropped.items()) if count]
    if places is not None:
        named = ((places.ingest, "at ingest"), (places.detect, "before detect"), (places.sink, "before the sink"))
        lost = ((places.missing, "missing"), (places.unlocated, "on Kafka, not looked for"))
        parts += [f"{count} {place}" for count, place in (*named, *lost) if count]
        parts += [f"{places.awaiting_analyse} to be followed"] if places.awaiting_analyse else []
    return ", ".join(parts)


def _numbers(item: RunLedger) -> Iterable[str]:
    return (str(_number(item, word)) for word in SUMS)


def _number(item: RunLedger, word: str) -> int:
    return item.drops if word == "dropped" else int(getattr(item, word))


def _sums(item: RunLedger) -> Text | str:
    return Text("no", "red") if complaints(item) else "yes"


def _show_frames(frames: Iterable[FramePlace], *, json: bool) -> None:
    if json:
        for frame in frames:
            typer.echo(msgspec.json.encode(frame))
        return
    shown = table("frame", "place", "record")
    for frame in frames:
        record = "" if frame.topic is None else f"{frame.topic}/{frame.partition}/{frame.offset}"
        shown.add_row(str(frame.seq), frame.place, record)
    output().print(shown)
