"""`sightline dlq`: records that could not be handled, kept with where they came from and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from core.clock import rfc3339
from core.errors import InvalidInput
from core.settings import load
from infra.cli.exits import StackDown, exits, say
from infra.cli.hexdump import payload
from infra.cli.standstill import standstill
from infra.cli.tables import output, table
from infra.stack.readiness import broker_answers
from streams_proc.letter import Letter, LetterId
from streams_proc.letter_box import Kept, LetterBox
from streams_proc.marks import Mark

Stage = Annotated[str | None, typer.Option(help="Of this stage only.")]
Reason = Annotated[str | None, typer.Option(help="Only those whose reason has these words.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `sightline dlq list` shows them.")]
Every = Annotated[bool, typer.Option("--all", help="All that wait, within --stage and --reason.")]


def show_all(
    stage: Stage = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    done: Annotated[bool, typer.Option("--done", help="Those that were replayed or dropped, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what waits: id, time, stage, reason, origin, size; and which stages stand still."""
    with _box() as box:
        found = [kept for kept in box.kept(stage=stage, reason=reason) if done or kept.mark is None]
        for halted, mark in box.halts().items():
            say(Console(stderr=True), standstill(halted, mark))
        if json:
            for kept in found[:limit]:
                typer.echo(msgspec.json.encode(_described(kept.letter, kept.mark)))
            return
        _table(found[:limit], done=done)
        if len(found) > limit:
            typer.echo(f"{len(found) - limit} older ones are not shown (--limit).")


def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="As `sightline dlq list` shows it.")],
    bytes_: Annotated[int, typer.Option("--bytes", min=0, help="Most bytes of a payload that is shown in hex.")] = 512,
    save: Annotated[Path | None, typer.Option("--save", help="Write the original bytes to this file.")] = None,
) -> None:
    """Show one: where it came from, why it failed, its headers, and what it holds."""
    with _box() as box:
        found, mark = box.letter(LetterId.parse(letter))
        if save is not None:
            save.write_bytes(found.value or b"")
        for name, value in _described(found, mark).items():
            if name != "headers":
                typer.echo(f"{name:11}{value}")
        for header, content in found.headers.items():
            typer.echo(f"header     {header}: {content.decode(errors='backslashreplace')}")
        typer.echo(f"\n{found.trace.rstrip()}\n")
        typer.echo(payload(found.value, bytes_))


def replay(ids: Ids = None, every: Every = False, stage: Stage = None, reason: Reason = None) -> None:
    """Put the original records back on their topics, under their keys, marked as replays."""
    with _box() as box:
        counts = box.replay(_chosen(box, ids, every=every, stage=stage, reason=reason))
        for topic, count in counts.items():
            typer.echo(f"{count} put back on {topic}: {box.effect(topic)}.")
        if not counts:
            typer.echo("Nothing waits.")


def drop(ids: Ids = None, every: Every = False, stage: Stage = None, reason: Reason = None) -> None:
    """Lay them down for good: they are neither shown nor replayed any more."""
    with _box() as box:
        count = box.drop(_chosen(box, ids, every=every, stage=stage, reason=reason))
        typer.echo(f"{count} dropped." if count else "Nothing waits.")


def resume(stage: Annotated[str, typer.Argument(help="As `sightline dlq list` names it.")]) -> None:
    """Let a stage go on that stands still because too many of its records failed."""
    with _box() as box:
        box.resume(stage)
        typer.echo(f"{stage} goes on within seconds, with the record before which it stopped.")


@contextmanager
def _box() -> Iterator[LetterBox]:
    with exits(Console(stderr=True)):
        kafka = load().kafka
        if not broker_answers(kafka):
            raise StackDown(f"no broker answers at {kafka.address}")
        yield LetterBox(kafka)


def _chosen(
    box: LetterBox, ids: list[str] | None, *, every: bool, stage: str | None, reason: str | None
) -> list[LetterId]:
    if bool(ids) == every or (ids and (stage or reason)):
        raise InvalidInput("give ids, or --all with --stage and --reason on wish")
    if ids:
        return list(dict.fromkeys(LetterId.parse(text) for text in ids))
    return [kept.letter.id for kept in box.kept(stage=stage, reason=reason) if kept.mark is None]


def _described(letter: Letter, mark: Mark | None) -> dict[str, Any]:
    return {
        "id": str(letter.id),
        "time": rfc3339(letter.timestamp_ms),
        "stage": letter.stage,
        "reason": letter.reason,
        "origin": letter.origin,
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "size": letter.size,
        "state": "waits" if mark is None else f"{mark.what} {rfc3339(mark.ts_ms)}",
        "replay_of": letter.replay_of or None,
        "headers": {name: value.decode(errors="backslashreplace") for name, value in letter.headers.items()},
    }


def _table(found: list[Kept], *, done: bool) -> None:
    columns = ("id", "time", "stage", "reason", "origin", "size")
    shown = table(*columns, *(("state",) if done else ()))
    for kept in found:
        said = _described(kept.letter, kept.mark)
        if kept.letter.replay_of:
            said["reason"] += f" (a replay of {kept.letter.replay_of})"
        shown.add_row(*(Text(str(said[name])) for name in columns), *((said["state"],) if done else ()))
    output().print(shown)
