"""Crops and what is remembered of frames."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg

from core.messages import Place
from streams_proc.frame_reader import ByteCache
from streams_proc.views import cut, quality_of
from tests.unit.analyse.scenes import jpeg


def size(crop: bytes | None) -> tuple[int, int]:
    assert crop is not None
    height, width, *_ = simplejpeg.decode_jpeg_header(crop)
    return width, height


def test_a_crop_is_widened_by_half_on_each_side_and_stays_in_the_picture() -> None:
    image = simplejpeg.decode_jpeg(jpeg(200, 100), "RGB")
    assert size(cut(image, (0.25, 0.25, 0.75, 0.75), 0.0)) == (100, 50)
    assert size(cut(image, (0.25, 0.25, 0.75, 0.75), 0.2)) == (120, 60)
    assert size(cut(image, (0.0, 0.0, 0.5, 0.5), 0.2)) == (110, 55)
    assert cut(image, (0.5, 0.5, 0.52, 0.52), 0.0) is None


def test_a_crop_shows_its_part_of_the_picture() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[50:, 50:] = (255, 0, 0)
    crop = cut(image, (0.5, 0.5, 1.0, 1.0), 0.0)
    assert crop is not None
    assert np.allclose(simplejpeg.decode_jpeg(crop, "RGB").mean(axis=(0, 1)), (254, 0, 0), atol=3)


def test_quality_is_score_times_size_and_less_at_the_edge() -> None:
    assert quality_of(0.5, (0.2, 0.2, 0.4, 0.4)) == pytest.approx(0.1)
    assert quality_of(0.5, (0.0, 0.2, 0.2, 0.4)) == pytest.approx(0.07)
    assert quality_of(1.0, (0.0, 0.0, 1.0, 1.0)) <= 1.0
    assert quality_of(0.5, (0.4, 0.4, 0.2, 0.2)) == 0.0


def test_the_cache_is_bounded_in_bytes_and_drops_the_least_lately_used() -> None:
    cache = ByteCache(10)
    first, second, third = (Place("t", 0, n) for n in range(3))
    cache.put(first, b"aaaa")
    cache.put(second, b"bbbb")
    assert cache.get(first) == b"aaaa"
    cache.put(third, b"cccc")
    assert cache.get(second) is None
    assert (cache.get(first), cache.get(third)) == (b"aaaa", b"cccc")
    cache.put(first, b"aa")
    cache.put(second, b"bbbb")
    assert [cache.get(p) for p in (first, second, third)] == [b"aa", b"bbbb", b"cccc"]
    cache.put(first, b"x" * 11)
    assert cache.get(first) is None
