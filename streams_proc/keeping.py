"""How an event's whole picture is kept: an analytic's `image_retain_policy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import simplejpeg

from inference.pictures import check

LEAST_QUALITY, MOST_QUALITY = 1, 100


@dataclass(frozen=True, slots=True)
class Keeping:
    """As the frame is, unless something else is asked for.

    Attributes:
        quality: of a JPEG, 0..1; None: the frame's own.
        max_size: pixels of the longer side; 0: the frame's own.
    """

    mimetype: Literal["JPEG", "PNG"] = "JPEG"
    quality: float | None = None
    max_size: int = 0

    @classmethod
    def of(cls, policy: Mapping[str, Any] | None) -> Keeping:
        """What the parameter says."""
        asked = policy or {}
        return cls(asked.get("mimetype", "JPEG"), asked.get("quality"), asked.get("max_size", 0))

    @property
    def suffix(self) -> str:
        """Of its media key."""
        return "png" if self.mimetype == "PNG" else "jpg"

    def picture(self, jpeg: bytes) -> bytes:
        """The frame's picture as it is to be kept. Raises ValueError, BadImage for one that cannot be read."""
        if self == Keeping():
            return jpeg
        import cv2  # noqa: PLC0415  # seldom asked for

        check(jpeg)  # before anything is decoded: it may claim a size that no frame has
        image = simplejpeg.decode_jpeg(jpeg, "BGR")
        longer = max(image.shape[:2])
        if 0 < self.max_size < longer:
            scale = self.max_size / longer
            size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        _, made = cv2.imencode(f".{self.suffix}", image, self._options())
        return bytes(made)

    def _options(self) -> list[int]:
        import cv2  # noqa: PLC0415

        if self.mimetype == "PNG":
            return []
        quality = 0.9 if self.quality is None else self.quality
        return [cv2.IMWRITE_JPEG_QUALITY, min(MOST_QUALITY, max(LEAST_QUALITY, round(quality * 100)))]
