"""Pictures inside of a page: small JPEGs as data addresses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import cv2
import numpy as np

LONG_SIDE = 280
QUALITY = 82


def inline(data: bytes | None) -> str | None:
    """A `data:` address of the picture, scaled down; None when there is no picture that can be read."""
    if not data:
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}" if done else None


class Album:
    """Pictures by their media key, each fetched once."""

    def __init__(self, fetch: Callable[[str], bytes | None]) -> None:
        self._fetch = fetch
        self._made: dict[str, str | None] = {}

    def __getitem__(self, key: str) -> str | None:
        if key not in self._made:
            self._made[key] = inline(self._fetch(key))
        return self._made[key]
