"""How right the detector is: COCO's average precision, measured through the model server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import BadImage, InvalidInput
from core.messages import Detection
from core.settings import Settings
from inference.client import ModelClient

BATCH = 8
IN_FLIGHT = 2
_AP, _AP50 = 0, 1


def evaluate_detection(settings: Settings, annotations: Path, images: Path, model: str) -> dict[str, float]:
    """AP and AP50 of `model` on labelled pictures, all its boxes counted, whatever their score.

    Args:
        annotations: COCO's instances JSON.
        images: folder of the files that it names.

    Returns:
        ``AP``, ``AP50`` (0..1), ``images``, and ``frames_per_s`` of the calls together.

    Raises:
        InvalidInput: the annotations or a picture cannot be read.
        ModelUnavailable, ModelError: as `ModelClient`.
    """
    truth = _read(annotations)
    files = [images / image["file_name"] for image in truth["images"]]
    began = time.perf_counter()
    found = asyncio.run(_detect_all(settings, model, files))
    seconds = time.perf_counter() - began
    rows = [row for image, boxes in zip(truth["images"], found, strict=True) for row in _rows(truth, image, boxes)]
    precision = _score(truth, rows)
    return {
        "AP": precision[_AP],
        "AP50": precision[_AP50],
        "images": len(files),
        "frames_per_s": len(files) / seconds,
    }


def _read(annotations: Path) -> dict[str, Any]:
    try:
        truth: dict[str, Any] = json.loads(annotations.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{annotations}: {error}", "annotations") from error
    missing = {"images", "annotations", "categories"} - set(truth)
    if missing or not truth["images"]:
        raise InvalidInput(f"{annotations} is no COCO file with pictures", "annotations")
    return truth


async def _detect_all(settings: Settings, model: str, files: Sequence[Path]) -> list[tuple[Detection, ...]]:
    client = ModelClient(settings.models, settings.breaker, settings.models_dir)
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def batch(part: Sequence[Path]) -> list[tuple[Detection, ...]]:
        async with slots:
            answers = await client.detect(model, [_bytes(file) for file in part], floor=0.0)
        return [_good(file, answer) for file, answer in zip(part, answers, strict=True)]

    try:
        parts = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
        return [boxes for part in await asyncio.gather(*map(batch, parts)) for boxes in part]
    finally:
        await client.close()


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}", "images") from error


def _good(file: Path, answer: tuple[Detection, ...] | BadImage) -> tuple[Detection, ...]:
    if isinstance(answer, BadImage):
        raise InvalidInput(f"{file}: {answer}", "images") from answer
    return answer


def _rows(truth: Mapping[str, Any], image: Mapping[str, Any], boxes: Sequence[Detection]) -> list[dict[str, Any]]:
    """COCO result rows; what the annotations have no category for is not asked."""
    categories = {category["name"]: category["id"] for category in truth["categories"]}
    width, height = image["width"], image["height"]
    rows = []
    for found in boxes:
        if found.label in categories:
            x_min, y_min, x_max, y_max = found.box
            box = [x_min * width, y_min * height, (x_max - x_min) * width, (y_max - y_min) * height]
            category = categories[found.label]
            rows.append({"image_id": image["id"], "category_id": category, "bbox": box, "score": found.score})
    return rows


def _score(truth: dict[str, Any], rows: list[dict[str, Any]]) -> list[float]:
    """COCO's twelve figures."""
    if not rows:
        return [0.0] * 12
    from pycocotools.coco import COCO  # noqa: PLC0415  # heavy, and only needed here
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):  # the library talks to standard output
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]
