"""`sightline evaluate detection`: COCO AP, measured through the model server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.errors import InvalidInput, ModelUnavailable
from core.settings import load
from infra.cli.exits import StackDown, exits


def detection(
    annotations: Annotated[Path, typer.Option(help="COCO's instances JSON.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures that it names.")],
    model: Annotated[str | None, typer.Option(help="Detector; the settings' when not given.")] = None,
) -> None:
    """Measure the detector on labelled pictures, all its boxes counted, through the model server."""
    screen, out = Console(stderr=True), Console()
    with exits(screen):
        if not annotations.is_file() or not images.is_dir():
            raise InvalidInput("--annotations is a file and --images a folder; one of them is not there")
        from inference.evaluate import evaluate_detection  # noqa: PLC0415 - heavy

        settings = load()
        name = model or settings.models.detector
        try:
            found = evaluate_detection(settings, annotations, images, name)
        except ModelUnavailable as error:
            raise StackDown(f"no model server answers ({error})") from error
        out.print(f"{name}: AP {found['AP']:.3f}", highlight=False)
        out.print(f"{name}: AP50 {found['AP50']:.3f}", highlight=False)
        out.print(f"{found['images']:.0f} images, {found['frames_per_s']:.1f} images/s", highlight=False)
