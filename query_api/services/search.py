"""Pictures that are like a picture."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple, TypeVar
from uuid import UUID

import simplejpeg

from core.analytics import REGISTRY
from core.errors import BadImage, InvalidInput, ModelError, NotFound
from core.ids import StreamId, engine_stream_id
from core.messages import Box, Keyspace
from core.settings import Settings
from inference.cards import load_card
from query_api.ports import Collaborators
from query_api.types.common import span_ms
from query_api.types.engine import SmartSearchHit, SmartSearchRequest
from warehouse.embeddings import Neighbour

T = TypeVar("T")
KEYSPACES: dict[str, Keyspace] = {"object_detection": "appearance", "face_detection": "face"}
ANALYTICS: dict[Keyspace, str] = {keyspace: name for name, keyspace in KEYSPACES.items()}
FACE_WIDENED = 0.3
ENGINE_ID_LENGTH = 16


class Named(NamedTuple):
    """What a hit says of its stream."""

    name: str
    node_num: int


class SmartSearch:
    """Search by image over the stored embeddings."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._settings = settings
        self._parts = parts

    async def search(self, request: SmartSearchRequest) -> list[SmartSearchHit]:
        """The most alike first.

        Raises:
            InvalidInput: another type, no JPEG, or an id that is none.
            BadImage: a JPEG that cannot be decoded.
            ModelUnavailable, StoreUnavailable: later it may work.
        """
        if request.type != "image":
            raise InvalidInput("invalid query type")
        image = jpeg_of(request.query, self._settings.ingest.max_pixels)
        keyspaces = _keyspaces(request.analytic_ids)
        streams = await self._parts.pool.run(self._streams, request.stream_ids)
        vectors = {keyspace: await self._vector(keyspace, image) for keyspace in keyspaces}
        return await self._parts.pool.run(self._hits, request, streams, vectors)

    async def _vector(self, keyspace: Keyspace, image: bytes) -> tuple[float, ...] | None:
        """The picture's vector in a keyspace; None when it shows no face. Somebody waits: it goes before batches."""
        models = self._settings.models
        if keyspace == "appearance":
            return _answered(await self._parts.models.embed(models.embedder, [image], lane="live"))
        faces = _answered(await self._parts.models.detect_faces(models.face_detector, [image], lane="live"))
        if not faces:
            return None
        crop = await self._parts.pool.run(cut, image, faces[0].box, self._widened())
        return _answered(await self._parts.models.embed(models.face_embedder, [crop], lane="live"))

    def _widened(self) -> float:
        try:
            return load_card(self._parts.models_dir, self._settings.models.face_embedder).widen
        except ModelError:
            return FACE_WIDENED

    def _streams(self, given: Sequence[str] | None) -> list[StreamId] | None:
        """Full ids, or engine ids looked up; ids of no stream find nothing."""
        if given is None:
            return None
        found = []
        for text in given:
            try:
                found.append(self._stream(text))
            except NotFound:
                continue
        return found

    def _stream(self, text: str) -> StreamId:
        if len(text) == ENGINE_ID_LENGTH and all(letter in "0123456789abcdef" for letter in text):
            return self._parts.control.stream_by_engine_id(text).stream_id
        try:
            return StreamId(UUID(text))
        except ValueError as error:
            raise InvalidInput("a stream's id is a UUID or 16 hex digits", "stream_ids") from error

    def _hits(
        self,
        request: SmartSearchRequest,
        streams: list[StreamId] | None,
        vectors: dict[Keyspace, tuple[float, ...] | None],
    ) -> list[SmartSearchHit]:
        found: list[tuple[Keyspace, Neighbour]] = []
        from_ms, to_ms = span_ms(request.from_, request.to)
        for keyspace, vector in vectors.items():
            if vector is None or streams == []:
                continue
            neighbours = self._parts.embeddings.search(
                keyspace,
                vector,
                limit=request.limit,
                stream_ids=streams,
                from_ms=from_ms,
                to_ms=to_ms,
                threshold=request.threshold or None,
                model=self._model(keyspace),
            )
            found.extend((keyspace, neighbour) for neighbour in neighbours)
        gone = self._parts.control.tombstones({neighbour.stream_id for _, neighbour in found}) if found else frozenset()
        kept = [(keyspace, neighbour) for keyspace, neighbour in found if neighbour.stream_id not in gone]
        kept.sort(key=lambda pair: -pair[1].similarity)
        known: dict[StreamId, Named] = {}
        return [self._hit(keyspace, neighbour, known) for keyspace, neighbour in kept[: request.limit]]

    def _model(self, keyspace: Keyspace) -> str:
        models = self._settings.models
        return models.embedder if keyspace == "appearance" else models.face_embedder

    def _hit(self, keyspace: Keyspace, found: Neighbour, known: dict[StreamId, Named]) -> SmartSearchHit:
        if found.stream_id not in known:
            known[found.stream_id] = self._named(found.stream_id)
        return SmartSearchHit(
            stream_id=engine_stream_id(found.stream_id),
            analytic_id=ANALYTICS[keyspace],
            node_num=known[found.stream_id].node_num,
            timestamp_ms=found.ts_ms,
            similarity=round(found.similarity, 6),
            image_jpeg=self._picture(found.media_key),
            primary_text=found.label,
            secondary_text=known[found.stream_id].name,
        )

    def _named(self, stream: StreamId) -> Named:
        try:
            row = self._parts.control.stream(stream)
        except NotFound:
            return Named("", 0)
        return Named(row.spec.name, row.node_num)

    def _picture(self, key: str) -> str:
        try:
            return base64.b64encode(self._parts.media.get(key)).decode()
        except NotFound:
            return ""


def jpeg_of(text: str, max_pixels: int) -> bytes:
    """The JPEG in a base64 text, a ``data:`` URL too; its header is read, its pixels are not.

    Raises InvalidInput.
    """
    payload = text.partition(",")[2] if text.startswith("data:image/jpeg;base64,") else text
    try:
        image = base64.b64decode(payload, validate=True)
        height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("the query is no JPEG in base64", "query") from error
    if height * width > max_pixels:
        raise InvalidInput(f"the picture has {width} x {height} pixels; {max_pixels} are the most", "query")
    return image


def cut(image: bytes, box: Box, widened: float) -> bytes:
    """A JPEG of what the box holds, widened by this part of its size, half on each side. Raises BadImage."""
    try:
        pixels = simplejpeg.decode_jpeg(image, "RGB")
    except ValueError as error:
        raise BadImage(str(error)) from error
    height, width = pixels.shape[:2]
    x_min, y_min, x_max, y_max = box
    dx, dy = (x_max - x_min) * widened / 2, (y_max - y_min) * widened / 2
    left, right = int(max(0.0, x_min - dx) * width), int(min(1.0, x_max + dx) * width)
    top, bottom = int(max(0.0, y_min - dy) * height), int(min(1.0, y_max + dy) * height)
    piece = pixels[top : max(bottom, top + 1), left : max(right, left + 1)].copy()
    jpeg: bytes = simplejpeg.encode_jpeg(piece, quality=95, colorspace="RGB", colorsubsampling="444")
    return jpeg


def _keyspaces(analytic_ids: Sequence[str] | None) -> list[Keyspace]:
    """What to search; appearance when nothing was named. Raises InvalidInput for unknown analytics."""
    if analytic_ids is None:
        return ["appearance"]
    for name in analytic_ids:
        if name not in REGISTRY:
            raise InvalidInput(f"no analytic {name!r}; there are {', '.join(REGISTRY)}", "analytic_ids")
    return [keyspace for name, keyspace in KEYSPACES.items() if name in analytic_ids]


def _answered(answers: Sequence[T | BadImage]) -> T:
    answer = answers[0]
    if isinstance(answer, BadImage):
        raise answer
    return answer
