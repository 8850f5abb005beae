"""Asking the models: pictures in, detections, faces and embeddings out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from core import metrics
from core.errors import BadImage, ModelError, ModelUnavailable
from core.messages import Box, Detection, Face, Lane
from core.settings import Breaker, Models
from inference import pictures
from inference.cards import Kind, ModelCard, load_card
from inference.protos import GetModelStatusRequest, ModelVersionStatus, PredictRequest, PredictResponse
from inference.replicas import Replicas, Server
from inference.tensors import floats, strings
from inference.wire import lane_metadata

R = TypeVar("R")
Parse = Callable[[PredictResponse, int], list[R]]

MOST_IMAGES = 32
MOST_BYTES = 56 * 1024**2
_SUSPICIONS = 3
_HEADLINES = ("Graph execution error", "Detected at node", "Node:", "[[")
_ABOUT_INPUT = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
)
_WHITE_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)


class ModelClient:
    """Client of all model servers; one per process and event loop.

    Every method takes encoded pictures (JPEG or PNG) and gives one result for each, in order: a
    picture that cannot be decoded gives its BadImage and takes no other down with it.
    All raise ModelUnavailable (CircuitOpen among them) when no server answers in time, and
    ModelError when the model is not there, or fails whatever the picture.

    Args:
        models: addresses and deadline.
        breaker: parameters of each address's circuit breaker.
        models_dir: where the model cards are.
        replicas: the servers, when not those of `models`.
    """

    def __init__(self, models: Models, breaker: Breaker, models_dir: Path, *, replicas: Replicas | None = None) -> None:
        self._deadline_s = models.deadline_s
        self._crops = models.crops
        self._models_dir = models_dir
        self._replicas = replicas or Replicas(models.addresses, breaker)
        self._cards: dict[str, ModelCard] = {}
        self._versions: dict[str, int] = {}

    async def detect(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch", floor: float | None = None
    ) -> list[tuple[Detection, ...] | BadImage]:
        """Objects of each picture, by falling score, from the card's floor (or `floor`) up.

        Args:
            lane: live pictures go before those of files at the model server.
        """
        card = self._card(model, "detector")
        least = card.floor if floor is None else floor
        metrics.histogram("sightline_detect_batch_size").labels(model).observe(len(images))
        with metrics.histogram("sightline_detect_seconds").labels(model).time():
            return await self._ask(card, images, lane, lambda answer, rows: _detections(answer, rows, card, least))

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch"
    ) -> list[tuple[Face, ...] | BadImage]:
        """Faces of each picture, by falling score."""
        card = self._card(model, "face_detector")
        return await self._ask(card, images, lane, lambda answer, rows: _faces(answer, rows, card.floor))

    async def embed(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch"
    ) -> list[tuple[float, ...] | BadImage]:
        """L2-normalised vector of each picture; the card says by how much a box is widened before it is cropped."""
        card = self._card(model, "embedder")
        return await self._ask(card, images, lane, _embeddings, self._crops)

    async def version(self, model: str) -> int:
        """Version that answered last, or would answer now."""
        if model not in self._versions:
            self._versions[model] = await self._ask_version(model)
        return self._versions[model]

    async def ready(self, model: str) -> bool:
        """Ask the server now whether it has the model. Raises ModelUnavailable, ModelError."""
        self._versions[model] = await self._ask_version(model)
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._replicas.close()

    def card(self, model: str) -> ModelCard:
        """The model's card. Raises ModelError."""
        if model not in self._cards:
            self._cards[model] = load_card(self._models_dir, model)
        return self._cards[model]

    def _card(self, model: str, kind: Kind) -> ModelCard:
        card = self.card(model)
        if card.kind != kind:
            raise ModelError(f"model {model} is a {card.kind}, not a {kind}")
        return card

    async def _ask(
        self, card: ModelCard, images: Sequence[bytes], lane: Lane, parse: Parse[R], most: int = MOST_IMAGES
    ) -> list[R | BadImage]:
        results: list[R | BadImage] = [BadImage("not asked yet")] * len(images)
        good = []
        for place, image in enumerate(images):
            try:
                pictures.check(image)
                good.append(place)
            except BadImage as error:
                results[place] = error
        for part in _parts(good, images, most):
            answers = await self._divide(card, [images[place] for place in part], lane, parse)
            for place, answer in zip(part, answers, strict=True):
                results[place] = answer
            if all(isinstance(answer, BadImage) for answer in answers):
                await self._prove(card, lane)
        return results

    async def _divide(
        self, card: ModelCard, images: Sequence[bytes], lane: Lane, parse: Parse[R]
    ) -> list[R | BadImage]:
        """Answers for `images`; a graph fails whole, so halves are tried until the bad ones are alone."""
        try:
            return [*parse(await self._predict(card, images, lane), len(images))]
        except grpc.RpcError as error:
            self._outcome(card.name, error.code().name.lower())
            if error.code() not in _ABOUT_INPUT:
                raise ModelError(f"{card.name}: {error.code().name} {error.details()}") from error
            if len(images) == 1:
                return [await self._suspect(card, images[0], lane, parse)]
        middle = len(images) // 2
        first = await self._divide(card, images[:middle], lane, parse)
        return [*first, *await self._divide(card, images[middle:], lane, parse)]

    async def _suspect(self, card: ModelCard, image: bytes, lane: Lane, parse: Parse[R]) -> R | BadImage:
        """Try a picture again before it is called bad: a server may have run it with another's bad one."""
        for last in (False,) * (_SUSPICIONS - 2) + (True,):
            try:
                return parse(await self._predict(card, [image], lane), 1)[0]
            except grpc.RpcError as error:
                if error.code() not in _ABOUT_INPUT:
                    raise ModelError(f"{card.name}: {error.code().name} {error.details()}") from error
                if last:
                    return BadImage(_reason(error.details()))
        raise AssertionError("the last try returns")

    async def _prove(self, card: ModelCard, lane: Lane) -> None:
        """That the model answers a picture that is surely good. Raises ModelError."""
        try:
            await self._predict(card, [_WHITE_PNG], lane)
        except grpc.RpcError as error:
            why = f"{error.code().name} {_first_line(error.details())}"
            raise ModelError(f"model {card.name} fails on every picture: {why}") from error

    async def _predict(self, card: ModelCard, images: Sequence[bytes], lane: Lane) -> PredictResponse:
        request = PredictRequest()
        request.model_spec.name = card.name
        request.inputs[card.input].CopyFrom(strings(images))
        metadata = lane_metadata(lane)

        async def call(server: Server, timeout_s: float) -> PredictResponse:
            return await server.predict(request, timeout_s, metadata)

        try:
            response: PredictResponse = await self._replicas.call(call, self._deadline_s)
        except ModelUnavailable:
            self._outcome(card.name, "unavailable")
            raise
        self._outcome(card.name, "ok")
        self._versions[card.name] = response.model_spec.version.value
        return response

    async def _ask_version(self, model: str) -> int:
        request = GetModelStatusRequest()
        request.model_spec.name = model

        async def call(server: Server, timeout_s: float) -> list[int]:
            answer = await server.status(request, timeout_s)
            return [v.version for v in answer.model_version_status if v.state == ModelVersionStatus.AVAILABLE]

        try:
            versions: list[int] = await self._replicas.call(call, self._deadline_s)
        except grpc.RpcError as error:
            raise ModelError(f"{model}: {error.code().name} {error.details()}") from error
        if not versions:
            raise ModelUnavailable(f"no version of {model} is available yet")
        return max(versions)

    @staticmethod
    def _outcome(model: str, outcome: str) -> None:
        metrics.counter("sightline_model_requests_total").labels(model, outcome).inc()


def _parts(places: Sequence[int], images: Sequence[bytes], most: int) -> list[list[int]]:
    """`places` in runs of at most `most` that one call can carry."""
    parts: list[list[int]] = []
    size = 0
    for place in places:
        size += len(images[place])
        if not parts or len(parts[-1]) == most or size > MOST_BYTES:
            parts.append([])
            size = len(images[place])
        parts[-1].append(place)
    return parts


def _detections(answer: PredictResponse, rows: int, card: ModelCard, floor: float) -> list[tuple[Detection, ...]]:
    boxes = _boxes(answer, rows)
    scores = _rounded(floats(answer, "detection_scores", rows))
    classes = floats(answer, "detection_classes", rows).astype(np.int32) - 1
    kept = _kept(answer, rows, floor)
    found = []
    for row in range(rows):
        numbers, values, places = classes[row].tolist(), scores[row].tolist(), boxes[row].tolist()
        found.append(
            tuple(
                Detection(label, values[i], _box(places[i]))
                for i in kept[row]
                if (label := card.label(numbers[i])) and _has_area(places[i])
            )
        )
    return found


def _faces(answer: PredictResponse, rows: int, floor: float) -> list[tuple[Face, ...]]:
    boxes = _boxes(answer, rows)
    scores = _rounded(floats(answer, "detection_scores", rows))
    points = _rounded(floats(answer, "detection_keypoints", rows)[..., ::-1])
    kept = _kept(answer, rows, floor)
    return [
        tuple(
            Face(float(scores[row, i]), _box(boxes[row, i].tolist()), tuple((x, y) for x, y in points[row, i].tolist()))
            for i in kept[row]
            if _has_area(boxes[row, i].tolist())
        )
        for row in range(rows)
    ]


def _embeddings(answer: PredictResponse, rows: int) -> list[tuple[float, ...]]:
    return [tuple(row) for row in floats(answer, "embedding", rows).tolist()]


def _boxes(answer: PredictResponse, rows: int) -> npt.NDArray[np.float64]:
    """``[rows, K, 4]`` as x_min, y_min, x_max, y_max within 0..1."""
    return _rounded(np.clip(floats(answer, "detection_boxes", rows)[..., [1, 0, 3, 2]], 0.0, 1.0))


def _kept(answer: PredictResponse, rows: int, floor: float) -> list[list[int]]:
    """Positions from `floor` up, by falling score, equal scores in the model's order."""
    scores = floats(answer, "detection_scores", rows)
    counts = floats(answer, "num_detections", rows)
    kept = []
    for row in range(rows):
        valid = scores[row, : int(counts[row])]
        order = np.argsort(-valid, kind="stable")
        kept.append(order[valid[order] >= floor].tolist())
    return kept


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return values.astype(np.float64).round(5)


def _box(values: Sequence[float]) -> Box:
    x_min, y_min, x_max, y_max = values
    return (x_min, y_min, x_max, y_max)


def _has_area(box: Sequence[float]) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def _reason(text: str | None) -> str:
    """What the graph says of a picture, without the graph's own headline."""
    lines = [line for line in (text or "").splitlines() if line.strip() and not line.startswith(_HEADLINES)]
    return f"the picture cannot be decoded: {lines[0][:200]}" if lines else "the picture cannot be decoded"


def _first_line(text: str | None) -> str:
    return (text or "no reason given").splitlines()[0][:300]
