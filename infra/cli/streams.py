"""`sightline streams`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from core.settings import load
from infra.cli.exits import exits
from infra.cli.inputs import check_file
from infra.cli.query_service import QueryService, service_of
from infra.cli.tables import output, table


def add(  # noqa: PLR0917 Typer makes the options of them
    source: Annotated[str, typer.Argument(metavar="URL|FILE", help="A camera's or a stream's URL, or a video file.")],
    name: Annotated[
        str | None, typer.Option(help="Shown to people; the file's or the URL's own when not given.")
    ] = None,
    analytics: Annotated[str, typer.Option(help="Analytics to run, with commas between.")] = "object_detection",
    fps: Annotated[
        float | None, typer.Option(min=0, max=1000, help="Frames a second to analyse; 0: every frame.")
    ] = None,
    loop: Annotated[bool, typer.Option(help="Begin a file again at its end.")] = False,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Hold frames back while nothing moves; else look at every frame.")
    ] = True,
) -> None:
    """Watch a URL, or a file played at its own pace; prints the stream's id."""
    with _service() as service:
        file = Path(source)
        if "://" not in source:
            check_file(file, "a URL or a video file")
        url = service.upload(file).url if file.is_file() else source
        body: dict[str, Any] = {
            "url": url,
            "name": name or (file.name if file.is_file() else shown_name(source)),
            "analytics": [{"name": word} for word in analytics.split(",") if word],
            "realtime": True,
            "loop": loop,
            "gate": gate,
        }
        typer.echo(service.add_stream(body if fps is None else {**body, "fps": fps}).stream_id)


def show() -> None:
    """Show the streams: id, name, state, rate, address (secrets masked)."""
    with _service() as service:
        shown = table("stream", "name", "state", "fps", "url")
        for stream in service.streams():
            shown.add_row(str(stream.stream_id), Text(stream.name), stream.state, f"{stream.fps:g}", Text(stream.url))
        output().print(shown)


def remove(stream: Annotated[UUID, typer.Argument(metavar="ID", help="As `sightline streams list` shows it.")]) -> None:
    """Remove a stream and everything that it left."""
    with _service() as service:
        service.remove_stream(stream)
        typer.echo(f"{stream} is removed.")


def shown_name(url: str) -> str:
    """The last part of a URL's path, or its host; never its credentials.

    >>> shown_name("rtsp://user:secret@camera.local/door?key=1")
    'door'
    """
    rest = url.partition("://")[2].partition("?")[0].rpartition("@")[2].rstrip("/")
    return rest.rpartition("/")[2] or "stream"


@contextmanager
def _service() -> Iterator[QueryService]:
    with exits(Console(stderr=True)), closing(service_of(load().query)) as service:
        yield service
