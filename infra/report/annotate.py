"""The video again, with what was found drawn into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from core.errors import UnsupportedMedia
from infra.report.motion import Motion, Place
from infra.report.result import Result
from infra.report.upright import UprightVideo

QUALITY = "21"
TRACE_S = 2.0


class Drawing:
    """Boxes, labels, ids and traces, one colour per track, sized to the picture.

    Args:
        width, height: pixels of the pictures.
        rate: frames a second, for the length of the traces.
    """

    def __init__(self, width: int, height: int, rate: float) -> None:
        thickness: int = sv.calculate_optimal_line_thickness((width, height))
        scale: float = sv.calculate_optimal_text_scale((width, height))
        lookup = sv.ColorLookup.TRACK
        self._annotators = (
            sv.TraceAnnotator(
                thickness=thickness,
                trace_length=max(2, round(rate * TRACE_S)),
                color_lookup=lookup,
            ),
            sv.BoxAnnotator(thickness=thickness, color_lookup=lookup),
        )
        self._labels = sv.LabelAnnotator(text_scale=scale, text_padding=max(2, round(8 * scale)), color_lookup=lookup)
        self._size = (width, height)

    def draw(self, image: NDArray[np.uint8], places: Sequence[Place]) -> NDArray[np.uint8]:
        """Draw into `image`, BGR, and give it back."""
        detections = self._detections(places)
        for annotator in self._annotators:
            image = annotator.annotate(image, detections)
        labels = [f"{place.track.label} #{place.track.track_id} {place.score:.0%}" for place in places]
        drawn: NDArray[np.uint8] = self._labels.annotate(image, detections, labels=labels)
        return drawn

    def _detections(self, places: Sequence[Place]) -> Any:
        scale = np.array(self._size * 2, dtype=np.float64)
        return sv.Detections(
            xyxy=np.array([place.box for place in places], dtype=np.float64).reshape(-1, 4) * scale,
            confidence=np.array([place.score for place in places], dtype=np.float64),
            class_id=np.zeros(len(places), dtype=int),
            tracker_id=np.array([place.track.track_id for place in places], dtype=int),
        )


def annotate(video: Path, result: Result, target: Path, progress: Callable[[int], None] = lambda done: None) -> int:
    """Write `target`, an H.264 mp4 of the video's own rate and upright size (made even), frame for frame.

    Args:
        progress: told how many frames are written, after each.

    Returns:
        Frames written.

    Raises:
        UnsupportedMedia: the video cannot be read, or no frame of it.
    """
    if not result.video.width or not result.video.height:
        raise UnsupportedMedia(f"{video.name}: no frame of it was read")
    width, height = (max(2, side - side % 2) for side in (result.video.width, result.video.height))
    motion = Motion(result)
    written = 0
    with closing(UprightVideo(video, result.video.rotation, (width, height))) as source:
        drawing = Drawing(width, height, float(source.rate))
        with closing(_Mp4(target, (width, height), source.rate, source.time_base)) as mp4:
            for picture in source.pictures():
                mp4.write(drawing.draw(picture.image, motion.at(picture.index)), picture.pts)
                written += 1
                progress(written)
    if not written:
        target.unlink(missing_ok=True)
        raise UnsupportedMedia(f"{video.name}: no frame of it can be decoded")
    return written


class _Mp4:
    """An H.264 file that any browser plays."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> None:
        self._time_base = time_base
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": QUALITY})
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = time_base

    def write(self, image: NDArray[np.uint8], pts: int) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
