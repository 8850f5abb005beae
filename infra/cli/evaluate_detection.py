"""`sightline evaluate detection`: COCO AP, measured through the model server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from core.errors import InvalidInput, ModelUnavailable
from core.settings import load
from infra.cli.exits import StackDown, exits
from infra.cli.inputs import check_file
from infra.cli.model_choice import check_model


def detection(
    annotations: Annotated[Path, typer.Option(help="COCO's instances JSON.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures that it names.")],
    model: Annotated[str | None, typer.Option(help="Detector; the settings' when not given.")] = None,
) -> None:
    """Measure the detector on labelled pictures, all its boxes counted, through the model server."""
    screen, out = Console(stderr=True), Console()
    with exits(screen):
        check_file(annotations, "COCO's instances JSON")
        if not images.is_dir():
            raise InvalidInput(f"{images} is {'no folder' if images.exists() else 'not there'}; --images is a folder")
        check_coco(annotations)
        from inference.evaluate import evaluate_detection  # noqa: PLC0415 - heavy

        settings = load()
        check_model(settings, model)
        name = model or settings.models.detector
        try:
            found = evaluate_detection(settings, annotations, images, name)
        except ModelUnavailable as error:
            raise StackDown(f"no model server answers ({error})") from error
        out.print(f"{name}: AP {found['AP']:.3f}", highlight=False)
        out.print(f"{name}: AP50 {found['AP50']:.3f}", highlight=False)
        out.print(f"{found['images']:.0f} images, {found['frames_per_s']:.1f} images/s", highlight=False)


class _Image(msgspec.Struct):
    id: int
    file_name: str


class _Coco(msgspec.Struct):
    """What a file of COCO's instances has at least."""

    images: list[_Image]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


def check_coco(file: Path) -> None:
    """Refuse what is no COCO JSON. Raises InvalidInput."""
    try:
        msgspec.json.decode(file.read_bytes(), type=_Coco)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{file} is no COCO instances JSON: {error}") from error
