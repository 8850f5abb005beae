"""Making the pictures that are sent out of the frames that come in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import simplejpeg

from core import metrics
from core.log import get
from core.messages import Frame, FrameTracks, StreamSpec, VideoInfo
from core.settings import Ingest
from query_api.watching.overlay import Bgr, chosen, draw
from query_api.watching.shapes import shapes_of

logger = get(__name__)
THREADS = 2


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody wants to see a stream; who wish the same share one picture.

    Attributes:
        height: most pixels down; 0: as the frames are. Nothing is ever made larger.
        quality: of the JPEG, 1 to 100.
        analytic: draw what it follows; None draws nothing.
    """

    height: int = 0
    quality: int = 100
    analytic: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a stream beside its frames.

    Attributes:
        video: None before it is known.
    """

    spec: StreamSpec
    video: VideoInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame as it is shown.

    Attributes:
        number: counts the stream's shots, so that it can be told how many were passed over.
        tracks: None where none are known.
    """

    number: int
    frame: Frame
    scene: Scene
    tracks: FrameTracks | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and the wall time of its frame."""

    jpeg: bytes
    ts_ms: int


class Darkroom:
    """Makes pictures, on threads of its own.

    Args:
        threads: pictures made at once.
    """

    def __init__(self, ingest: Ingest, threads: int = THREADS) -> None:
        self._ingest = ingest
        metrics.counter("sightline_viewed_pictures_total")  # made here, not by two threads at once
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="picture")

    def as_it_is(self, shot: Shot, wish: Wish) -> Picture | None:
        """The frame's own JPEG where nothing smaller and nothing drawn is wished; else None."""
        whole = wish.height == 0 or wish.height >= shot.frame.height
        if wish.analytic is None and whole and wish.quality >= self._ingest.jpeg_quality:
            return Picture(shot.frame.jpeg, shot.frame.ts_ms)
        return None

    def make(self, shot: Shot, wish: Wish) -> asyncio.Future[Picture | None]:
        """The picture; None where the frame cannot be decoded."""
        work = partial(picture_of, shot, wish, self._ingest.max_pixels)
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


def picture_of(shot: Shot, wish: Wish, max_pixels: int) -> Picture | None:
    """The picture that is wished; None where the frame cannot be decoded."""
    try:
        pixels = _decoded(shot.frame.jpeg, wish.height, max_pixels)
        if wish.analytic is not None:
            _draw(pixels, shot, wish.analytic)
        jpeg = simplejpeg.encode_jpeg(pixels, quality=wish.quality, colorspace="BGR", colorsubsampling="420")
    except (ValueError, cv2.error) as error:
        logger.warning("frame_not_shown", stream_id=str(shot.frame.stream_id), seq=shot.frame.seq, error=str(error))
        metrics.counter("sightline_viewed_pictures_total").labels("unreadable").inc()
        return None
    metrics.counter("sightline_viewed_pictures_total").labels("rendered").inc()
    return Picture(jpeg, shot.frame.ts_ms)


def _decoded(jpeg: bytes, height: int, max_pixels: int) -> Bgr:
    """Pixels that can be drawn into, scaled down to `height` while decoding as far as that goes. Raises ValueError."""
    high, wide, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    if high * wide > max_pixels:
        raise ValueError(f"{wide} x {high} pixels; {max_pixels} are the most")
    height = min(height or high, high)
    size = (max(1, round(wide * height / high)), height)
    pixels = simplejpeg.decode_jpeg(jpeg, "BGR", min_height=height)
    if pixels.shape[:2] != size[::-1]:  # the decoder's steps keep the aspect only nearly
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    writable: Bgr = np.require(pixels, np.uint8, ["C", "W"])
    return writable


def _draw(pixels: Bgr, shot: Shot, name: str) -> None:
    scene = shot.scene
    analytic = next((one for one in scene.spec.analytics if one.name == name), None)
    video = scene.video
    width, height = (video.width, video.height) if video is not None else (shot.frame.width, shot.frame.height)
    shapes = shapes_of(analytic.parameters, width, height) if analytic is not None else ()
    draw(pixels, chosen(shot.tracks.tracks if shot.tracks is not None else (), analytic), shapes)
