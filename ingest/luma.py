"""The small picture of a frame that the motion gate looks at: the mean luma of square cells.

It is made of the decoder's own luma plane, before the frame is converted or scaled, so that a frame
which is held back costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ingest.picture import Rgb, Size

Plane: TypeAlias = NDArray[np.uint8]
"""``uint8[height, width]``."""

MOST_ACROSS = 160
"""Cells along the longer side of a picture, at most."""

LEAST_SIDE = 4
"""Pixels: the mean of fewer would follow the noise."""

ROWS_OF_A_CELL = 4
"""That are looked at, at least, where it has more: sums over them are as steady, at a fraction of the price."""

LUMA_FIRST = frozenset(
    {
        *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p"),
        *("yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "yuvj411p"),
        *("yuva420p", "yuva422p", "yuva444p"),
        *("nv12", "nv21", "nv16", "nv24", "nv42", "gray"),
    }
)
"""Pixel formats whose first plane is luma, a byte each; any other is made grey first, at the size of the cells."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How a picture is divided into cells; what is left at its right and lower edge, less than a cell, is in none.

    Attributes:
        coded: pixels of the picture as it is decoded.
        side: pixels of a cell across and down.
    """

    coded: Size
    side: int

    @classmethod
    def of(cls, coded: Size) -> Grid:
        """The finest with at most `MOST_ACROSS` cells along the longer side, and none smaller than `LEAST_SIDE`."""
        return cls(coded, max(LEAST_SIDE, -(-max(coded.width, coded.height) // MOST_ACROSS)))

    @property
    def cells(self) -> Size:
        """Cells across and down."""
        return Size(max(1, self.coded.width // self.side), max(1, self.coded.height // self.side))

    @property
    def step(self) -> int:
        """Of a cell's rows every so many is looked at, the first among them; divides `side`."""
        steps = range(self.side // ROWS_OF_A_CELL, 1, -1)
        return next((step for step in steps if self.side % step == 0), 1)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A frame as the gate sees it, neither turned nor with square pixels.

    Attributes:
        luma: mean of each cell, ``uint8[rows, columns]``; its own memory, not the frame's.
    """

    grid: Grid
    luma: Plane


class Luma:
    """Makes the cells of one source's frames; keeps what converting them needs."""

    def __init__(self) -> None:
        self._converter = VideoReformatter()

    def of_frame(self, frame: VideoFrame) -> Cells:
        """Cells of a frame as FFmpeg decoded it. Raises `ingest.probe.FAULTS` for one that has no grey."""
        if frame.format.name in LUMA_FIRST:
            return of_plane(_first_plane(frame))
        grid = Grid.of(Size(frame.width, frame.height))
        small = self._converter.reformat(
            frame, grid.cells.width, grid.cells.height, "gray", interpolation=Interpolation.AREA, threads=1
        )
        return Cells(grid, np.array(small.to_ndarray(), dtype=np.uint8))


def of_plane(plane: Plane) -> Cells:
    """Cells of a luma plane."""
    grid = _grid(plane)
    return _means(grid, _looked_at(grid, plane))


def of_rgb(image: Rgb) -> Cells:
    """Cells of a frame that there is as RGB only."""
    grid = _grid(image)
    grey = cv2.cvtColor(_looked_at(grid, image), cv2.COLOR_RGB2GRAY)
    return _means(grid, np.asarray(grey, dtype=np.uint8))


def _grid(picture: NDArray[np.uint8]) -> Grid:
    return Grid.of(Size(picture.shape[1], picture.shape[0]))


def _looked_at(grid: Grid, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A view of those rows and columns of `picture` that the means are taken of."""
    cells = grid.cells
    return picture[: cells.height * grid.side : grid.step, : cells.width * grid.side]


def _means(grid: Grid, picture: Plane) -> Cells:
    small = cv2.resize(picture, (grid.cells.width, grid.cells.height), interpolation=cv2.INTER_AREA)
    return Cells(grid, np.asarray(small, dtype=np.uint8))


def _first_plane(frame: VideoFrame) -> Plane:
    """A view of the frame's first plane, top row first, without what its lines are padded with."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
    return rows[::-1] if plane.line_size < 0 else rows
