"""Sizes, turns and JPEG."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import simplejpeg

from ingest.picture import Size, scaled, squared, to_jpeg, upright


def quarters(height: int = 64, width: int = 96) -> np.ndarray:
    """Red, green over blue, white: which way is up can be told."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (0, 0, 255)
    image[height // 2 :, width // 2 :] = (255, 255, 255)
    return image


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        (Size(1920, 1080), Size(960, 540)),
        (Size(1080, 1920), Size(540, 960)),
        (Size(960, 540), Size(960, 540)),
        (Size(320, 180), Size(320, 180)),
        (Size(4096, 2), Size(960, 1)),
        (Size(1921, 1), Size(960, 1)),
    ],
)
def test_the_long_side_is_scaled_down_and_never_up(size: Size, fitted: Size) -> None:
    assert size.fitted(960) == fitted


@pytest.mark.parametrize(
    ("aspect", "square"),
    [
        (None, Size(352, 288)),
        (Fraction(0), Size(352, 288)),
        (Fraction(1), Size(352, 288)),
        (Fraction(525, 352), Size(525, 288)),
        (Fraction(1, 2), Size(352, 576)),
    ],
)
def test_pixels_become_square_without_losing_detail(aspect: Fraction | None, square: Size) -> None:
    assert squared(Size(352, 288), aspect) == square


@pytest.mark.parametrize(
    ("degrees", "top_left", "shape"),
    [
        (0, (255, 0, 0), (64, 96)),
        (90, (0, 0, 255), (96, 64)),
        (180, (255, 255, 255), (64, 96)),
        (270, (0, 255, 0), (96, 64)),
    ],
)
def test_turns_are_clockwise(degrees: int, top_left: tuple[int, int, int], shape: tuple[int, int]) -> None:
    turned = upright(quarters(), degrees)
    assert turned.shape[:2] == shape
    assert tuple(turned[0, 0]) == top_left
    assert turned.flags["C_CONTIGUOUS"]
    assert Size(96, 64).turned(degrees) == Size(shape[1], shape[0])


def test_scaling_down_averages_and_the_right_size_is_left_alone() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, ::2] = 200
    assert (scaled(image, Size(2, 2)) == 100).all()
    assert scaled(image, Size(4, 4)) is image
    assert scaled(image, Size(8, 4)).shape == (4, 8, 3)


def test_the_same_pixels_give_the_same_bytes_and_colours_survive() -> None:
    one, two = to_jpeg(quarters(), 90), to_jpeg(quarters(), 90)
    assert one == two
    back = simplejpeg.decode_jpeg(one)
    for row, column in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(back[row, column].astype(int) - quarters()[row, column]).max() <= 6
    assert len(to_jpeg(quarters(), 20)) < len(one)
