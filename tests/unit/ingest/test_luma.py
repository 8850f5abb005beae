"""The small luma picture of frames."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.luma import LEAST_SIDE, MOST_ACROSS, Grid, Luma, of_plane, of_rgb
from ingest.picture import Size


def halves(height: int, width: int) -> NDArray[np.uint8]:
    """Dark on the left, bright on the right."""
    plane = np.full((height, width), 50, np.uint8)
    plane[:, width // 2 :] = 200
    return plane


@pytest.mark.parametrize(
    ("coded", "side", "cells"),
    [
        (Size(1920, 1080), 12, Size(160, 90)),
        (Size(1080, 1920), 12, Size(90, 160)),
        (Size(640, 480), 4, Size(160, 120)),
        (Size(768, 432), 5, Size(153, 86)),
        (Size(64, 48), 4, Size(16, 12)),
        (Size(4096, 2), 26, Size(157, 1)),
        (Size(1, 1), 4, Size(1, 1)),
    ],
)
def test_cells_are_square_and_few(coded: Size, side: int, cells: Size) -> None:
    grid = Grid.of(coded)
    assert (grid.side, grid.cells) == (side, cells)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_grid_fits_its_picture_and_its_rows_are_looked_at_evenly(width: int, height: int) -> None:
    grid = Grid.of(Size(width, height))
    assert max(grid.cells.width, grid.cells.height) <= MOST_ACROSS
    assert grid.side >= LEAST_SIDE
    assert grid.side % grid.step == 0
    assert grid.side // grid.step >= 4


def test_a_cell_is_the_mean_of_its_pixels() -> None:
    plane = np.random.default_rng(1).integers(0, 256, (48, 60), np.uint8)
    cells = of_plane(plane)
    means = plane.reshape(12, 4, 15, 4).mean(axis=(1, 3))
    assert cells.luma.shape == means.shape
    assert np.abs(cells.luma - means).max() <= 0.51


def test_where_cells_are_large_some_of_their_rows_stand_for_all() -> None:
    plane = np.zeros((1080, 1920), np.uint8)
    plane[::3] = 90
    assert (of_plane(plane).luma == 90).all(), "every third row is looked at"


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (2, 4096), (4096, 2), (5, 700), (33, 161)])
def test_every_size_has_cells(shape: tuple[int, int]) -> None:
    cells = of_plane(np.full(shape, 77, np.uint8))
    assert cells.luma.shape == (cells.grid.cells.height, cells.grid.cells.width)
    assert (cells.luma == 77).all()


def test_cells_do_not_hold_their_frame() -> None:
    for shape in [(48, 64), (2, 3)]:
        plane = np.full(shape, 7, np.uint8)
        cells = of_plane(plane)
        plane[:] = 99
        assert (cells.luma == 7).all()


def test_a_planar_frame_is_looked_at_as_it_was_decoded() -> None:
    plane = halves(242, 322)  # its lines are padded
    frame = VideoFrame.from_ndarray(plane, format="gray")
    assert np.array_equal(Luma().of_frame(frame).luma, of_plane(plane).luma)


def test_the_luma_of_a_colour_frame_is_its_first_plane() -> None:
    frame = VideoFrame.from_ndarray(np.repeat(halves(240, 320)[:, :, None], 3, axis=2), format="rgb24")
    planar = frame.reformat(format="yuv420p")
    first = planar.to_ndarray()[:240]
    assert np.array_equal(Luma().of_frame(planar).luma, of_plane(np.ascontiguousarray(first)).luma)


def test_any_other_frame_is_made_grey() -> None:
    luma = Luma()
    grey = np.repeat(halves(240, 320)[:, :, None], 3, axis=2)
    for kind in ("rgb24", "bgra", "yuyv422", "yuv420p10le"):
        frame = VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=kind)
        cells = luma.of_frame(frame)
        assert cells.luma.shape == (60, 80)
        left, right = cells.luma[:, :38].astype(int), cells.luma[:, 42:].astype(int)
        assert np.ptp(left) <= 2, kind
        assert np.ptp(right) <= 2, kind
        assert (right.mean() - left.mean()) > 100, kind


def test_a_frame_that_there_is_as_rgb_only_is_made_grey() -> None:
    cells = of_rgb(np.repeat(halves(240, 320)[:, :, None], 3, axis=2))
    assert np.array_equal(cells.luma, of_plane(halves(240, 320)).luma)
