from __future__ import annotations

import struct

import numpy as np
import pytest
import simplejpeg

from core.errors import BadImage
from inference import pictures


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\x00\x00\x00" + b"0" * 4


def test_reads_the_size_of_both_kinds() -> None:
    jpeg = simplejpeg.encode_jpeg(np.zeros((24, 40, 3), np.uint8))
    assert pictures.size(jpeg) == (40, 24)
    assert pictures.size(png(70_000, 3)) == (70_000, 3)
    pictures.check(jpeg)
    pictures.check(png(8192, 8192))


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"GIF89a" + bytes(30),
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0" + bytes(40),
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        b"\x89PNG\r\n\x1a\n",
        png(0, 5),
        png(8193, 8192),
        png(2**31, 2**31),
        png(4, 4) + bytes(pictures.MAX_BYTES),
    ],
)
def test_refuses_by_the_header_alone(image: bytes) -> None:
    with pytest.raises(BadImage):
        pictures.check(image)
