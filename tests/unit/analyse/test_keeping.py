"""An event's whole picture, as its analytic wants it kept."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from core.errors import BadImage
from streams_proc.keeping import Keeping

MAGIC = {"PNG": b"\x89PNG", "JPEG": b"\xff\xd8\xff"}


def picture(width: int = 64, height: int = 48) -> bytes:
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 5, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    jpeg: bytes = simplejpeg.encode_jpeg(image, quality=95, colorspace="RGB")
    return jpeg


def test_an_overview_is_kept_as_it_is_unless_something_is_asked_for() -> None:
    jpeg = picture()
    assert Keeping.of(None).picture(jpeg) is jpeg
    assert Keeping.of({"ttl": -1}).picture(jpeg) is jpeg


@pytest.mark.parametrize(
    ("policy", "kind", "size", "suffix"),
    [
        ({"mimetype": "PNG"}, "PNG", (64, 48), "png"),
        ({"mimetype": "PNG", "max_size": 32}, "PNG", (32, 24), "png"),
        ({"max_size": 32, "quality": 0.5}, "JPEG", (32, 24), "jpg"),
        ({"max_size": 1000, "quality": 0.0}, "JPEG", (64, 48), "jpg"),
        ({"max_size": 1}, "JPEG", (1, 1), "jpg"),
    ],
)
def test_an_overview_is_kept_as_it_is_asked_for(
    policy: dict[str, Any], kind: str, size: tuple[int, int], suffix: str
) -> None:
    keeping = Keeping.of(policy)
    data = keeping.picture(picture())
    made = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert made is not None
    assert data.startswith(MAGIC[kind])
    assert (made.shape[1::-1], keeping.suffix) == (size, suffix)


def test_a_lower_quality_is_fewer_bytes() -> None:
    low, high = (len(Keeping.of({"quality": q}).picture(picture())) for q in (0.1, 0.95))
    assert low < high


@pytest.mark.parametrize("data", [b"no picture", picture()[:200], b""])
def test_a_picture_that_cannot_be_read_cannot_be_kept_otherwise(data: bytes) -> None:
    with pytest.raises((ValueError, BadImage)):
        Keeping.of({"mimetype": "PNG"}).picture(data)


def test_a_picture_that_claims_to_be_huge_is_not_decoded() -> None:
    jpeg = picture()
    at = jpeg.index(b"\xff\xc0") + 5
    with pytest.raises(BadImage):
        Keeping.of({"max_size": 32}).picture(jpeg[:at] + b"\xff\xff\xff\xff" + jpeg[at + 4 :])
