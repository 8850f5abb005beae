"""Views of tracks: when one is worth taking, cutting it out of its frame, and its embedding."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from core import metrics
from core.errors import BadImage, BadMessage
from core.ids import Run, Seq, StreamId, TrackId, ViewId, media_key, view_id
from core.messages import Box, Frame, Keyspace, Lane, Place, View, decode_frames
from inference.pictures import check
from streams_proc.keeping import Keeping
from streams_proc.tracking.track import Kind, Sighting

CLEARLY_BETTER = 1.2
"""A view replaces the best one when its quality is this many times as high."""

REFRESH = 10
"""A track that only gets worse is seen anew after this many intervals."""

CUT_BY_EDGE = 0.7
"""Share of the quality that is left to a thing the frame's edge cuts through."""

EDGE = 0.005
JPEG_QUALITY = 90
LEAST_PIXELS = 8
FRAMES_AT_ONCE = 16
"""Frames that are held for cutting; what is cut out of them is held for the whole chunk."""

DIGITS = 6
LANES: tuple[Lane, ...] = ("live", "batch")
KEYSPACES: Mapping[Kind, Keyspace] = {"object": "appearance", "face": "face"}
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A view that is to be taken.

    Attributes:
        embedded: False for the overview of a scene: a picture and nothing else.
        keeping: how an overview is kept.
        lane: live views go first at the model server.
    """

    stream_id: StreamId
    seq: Seq
    place: Place
    view_id: ViewId
    track_id: TrackId
    keyspace: Keyspace
    label: str
    score: float
    box: Box
    media_key: str
    quality: float
    lane: Lane
    embedded: bool = True
    keeping: Keeping = field(default_factory=Keeping)


@dataclass(slots=True)
class _Taken:
    at_s: float
    quality: float


@dataclass(slots=True)
class ViewPlan:
    """Decides which sightings of one run are worth a view; plain data, the same for the same frames.

    Args:
        interval_s: least seconds between two views of a track.
    """

    stream_id: StreamId
    run: Run
    lane: Lane
    interval_s: float
    _taken: dict[TrackId, _Taken] = field(default_factory=dict)

    def choose(self, sightings: Iterable[Sighting], clock_s: float, seq: Seq, place: Place) -> list[Wanted]:
        """The views to take of this frame; remembers that they were."""
        wanted = []
        for sighting in sightings:
            quality = quality_of(sighting.score, sighting.box)
            if self._worth(sighting.track_id, quality, clock_s):
                best = self._taken.get(sighting.track_id)
                self._taken[sighting.track_id] = _Taken(clock_s, max(quality, best.quality if best else 0.0))
                wanted.append(self._wanted(sighting, quality, seq, place))
        return wanted

    def forget(self, tracks: Iterable[TrackId]) -> None:
        """These tracks are over."""
        for track in tracks:
            self._taken.pop(track, None)

    def _worth(self, track: TrackId, quality: float, clock_s: float) -> bool:
        best = self._taken.get(track)
        if best is None:
            return True
        since = clock_s - best.at_s + 1e-6
        return since >= self.interval_s and (
            quality >= best.quality * CLEARLY_BETTER or since >= self.interval_s * REFRESH
        )

    def _wanted(self, sighting: Sighting, quality: float, seq: Seq, place: Place) -> Wanted:
        keyspace = KEYSPACES[sighting.kind]
        view = view_id(self.stream_id, self.run, sighting.track_id, seq, keyspace)
        return Wanted(
            stream_id=self.stream_id,
            seq=seq,
            place=place,
            view_id=view,
            track_id=sighting.track_id,
            keyspace=keyspace,
            label=sighting.label,
            score=sighting.score,
            box=sighting.box,
            media_key=media_key(self.stream_id, self.run, view),
            quality=quality,
            lane=self.lane,
        )


def quality_of(score: float, box: Box) -> float:
    """How good a picture of the thing this is, 0..1: score times relative size, less at the frame's edge."""
    area = max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
    cut = min(box[0], box[1]) <= EDGE or max(box[2], box[3]) >= 1.0 - EDGE
    return round(min(1.0, score * math.sqrt(area)) * (CUT_BY_EDGE if cut else 1.0), 5)


class Frames(Protocol):
    """Where frames can be read again."""

    async def read(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        """Values of the records at `places`; those that are kept no longer are absent.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        ...


class Embedder(Protocol):
    """The model server, as far as views need it."""

    async def embed(
        self, model: str, images: Sequence[bytes], *, lane: Lane = "batch"
    ) -> Sequence[tuple[float, ...] | BadImage]:
        """L2-normalised vectors of JPEG crops, in order. Raises ModelUnavailable, ModelError."""
        ...


@dataclass(frozen=True, slots=True)
class Embedding:
    """How one keyspace's embeddings are made.

    Attributes:
        widen: by how much of its size a box is widened, in all, before it is cropped.
    """

    model: str
    widen: float = 0.0


class ViewTaker:
    """Reads the frames of wanted views, crops them and asks for their embeddings, many at once.

    Args:
        most_bytes: of a message; pictures of one frame beyond half of it are left out, since they travel in one record.
    """

    def __init__(
        self, frames: Frames, embedder: Embedder, embeddings: Mapping[Keyspace, Embedding], most_bytes: int = 16 << 20
    ) -> None:
        self._frames = frames
        self._most_cut = most_bytes // 2
        self._embedder = embedder
        self._embeddings = embeddings

    async def take(self, wanted: Sequence[Wanted]) -> dict[ViewId, View]:
        """The views that could be taken; the rest are counted with their reason.

        Raises:
            TransientError: broker or model server; nothing is counted then.
        """
        if not wanted:
            return {}
        crops: dict[ViewId, bytes] = {}
        outcomes: dict[ViewId, str] = {}
        for group in _groups(wanted):
            records = await self._frames.read(sorted({w.place for w in group}, key=_by_place))
            cut_out, reasons = await asyncio.to_thread(self._crop, group, records)
            crops |= cut_out
            outcomes |= reasons
        vectors = await self._embed([w for w in wanted if w.view_id in crops], crops)
        views: dict[ViewId, View] = {}
        for want in wanted:
            vector = vectors.get(want.view_id, () if not want.embedded else None)
            if want.view_id in crops and vector is not None:
                views[want.view_id] = self._view(want, crops[want.view_id], vector)
            outcome = "taken" if want.view_id in views else outcomes.get(want.view_id, "bad_crop")
            metrics.counter("sightline_views_total").labels(want.keyspace, outcome).inc()
        return views

    def _crop(
        self, wanted: Sequence[Wanted], records: Mapping[Place, bytes]
    ) -> tuple[dict[ViewId, bytes], dict[ViewId, str]]:
        """JPEGs of the crops, and why the others have none. Each frame is decoded once."""
        crops: dict[ViewId, bytes] = {}
        reasons: dict[ViewId, str] = {}
        pixels: dict[Place, NDArray[np.uint8] | None] = {}
        cut_out: dict[Place, int] = defaultdict(int)
        for want in wanted:
            frame = _frame(want, records.get(want.place))
            if frame is None:
                reasons[want.view_id] = "frame_gone"
            elif not want.embedded:
                try:
                    crops[want.view_id] = want.keeping.picture(frame.jpeg)
                except (ValueError, BadImage):
                    reasons[want.view_id] = "bad_frame"
            else:
                if want.place not in pixels:
                    pixels[want.place] = _pixels(frame.jpeg)
                image = pixels[want.place]
                crop = None if image is None else cut(image, want.box, self._embeddings[want.keyspace].widen)
                if crop is None:
                    reasons[want.view_id] = "bad_frame" if image is None else "bad_crop"
                else:
                    crops[want.view_id] = crop
            cut_out[want.place] += len(crops.get(want.view_id, b""))
            if cut_out[want.place] > self._most_cut:
                crops.pop(want.view_id, None)
                reasons.setdefault(want.view_id, "too_large")
        return crops, reasons

    async def _embed(self, wanted: Sequence[Wanted], crops: Mapping[ViewId, bytes]) -> dict[ViewId, tuple[float, ...]]:
        vectors: dict[ViewId, tuple[float, ...]] = {}
        for lane in LANES:
            for keyspace, embedding in sorted(self._embeddings.items()):
                asked = [w.view_id for w in wanted if (w.lane, w.keyspace, w.embedded) == (lane, keyspace, True)]
                if asked:
                    answers = await self._embedder.embed(embedding.model, [crops[v] for v in asked], lane=lane)
                    for view, answer in zip(asked, answers, strict=True):
                        if not isinstance(answer, BadImage):
                            vectors[view] = tuple(round(x, DIGITS) for x in answer)
        return vectors

    def _view(self, want: Wanted, jpeg: bytes, vector: tuple[float, ...]) -> View:
        return View(
            view_id=want.view_id,
            track_id=want.track_id,
            keyspace=want.keyspace,
            label=want.label,
            score=want.score,
            box=want.box,
            media_key=want.media_key,
            jpeg=jpeg,
            model=self._embeddings[want.keyspace].model if want.embedded else "",
            embedding=vector,
            quality=want.quality,
        )


def cut(image: NDArray[np.uint8], box: Box, widen: float) -> bytes | None:
    """JPEG of `box` (0..1), widened by `widen` of its size in all; None when nothing to speak of is left."""
    height, width = image.shape[:2]
    dx, dy = (box[2] - box[0]) * widen / 2, (box[3] - box[1]) * widen / 2
    left, right = _span(box[0] - dx, box[2] + dx, width)
    top, bottom = _span(box[1] - dy, box[3] + dy, height)
    if right - left < LEAST_PIXELS or bottom - top < LEAST_PIXELS:
        return None
    crop = np.ascontiguousarray(image[top:bottom, left:right])
    jpeg: bytes = simplejpeg.encode_jpeg(crop, quality=JPEG_QUALITY, colorspace="RGB")
    return jpeg


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    return max(0, round(low * size)), min(size, round(high * size))


def _frame(want: Wanted, value: bytes | None) -> Frame | None:
    """The wanted frame; None when its record is gone, or another lies in its place by now."""
    if value is None:
        return None
    try:
        message = decode_frames(value)
    except BadMessage:
        return None
    same = isinstance(message, Frame) and message.stream_id == want.stream_id and message.seq == want.seq
    return message if same and isinstance(message, Frame) else None


def _pixels(jpeg: bytes) -> NDArray[np.uint8] | None:
    """The picture; None for one that is none, or claims a size that no frame has."""
    try:
        check(jpeg)
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg, "RGB")
    except (ValueError, BadImage):
        return None
    return image


def _groups(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """The views of so many frames at a time, in order; all views of one frame together."""
    by_place: dict[Place, list[Wanted]] = defaultdict(list)
    for want in wanted:
        by_place[want.place].append(want)
    of_frames = [by_place[place] for place in sorted(by_place, key=_by_place)]
    for first in range(0, len(of_frames), FRAMES_AT_ONCE):
        yield [want for views in of_frames[first : first + FRAMES_AT_ONCE] for want in views]


def _by_place(place: Place) -> tuple[str, int, int]:
    return place.topic, place.partition, place.offset
