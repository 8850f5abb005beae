"""What is looked at in a picture before it is sent anywhere: its kind and its size."""

from __future__ import annotations

import struct

import simplejpeg

from core.errors import BadImage

MAX_PIXELS = 64 * 1024**2
MAX_BYTES = 48 * 1024**2
_PNG = b"\x89PNG\r\n\x1a\n"


def check(image: bytes) -> None:
    """That `image` claims to be a JPEG or PNG of a size that can be decoded. Raises BadImage.

    Only the header is read: a decoder would reserve memory for the size it names.
    """
    width, height = size(image)
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise BadImage(f"the picture is {width}x{height}; {MAX_PIXELS} pixels are the most")
    if len(image) > MAX_BYTES:
        raise BadImage(f"the picture has {len(image)} bytes; {MAX_BYTES} are the most")


def size(image: bytes) -> tuple[int, int]:
    """Width and height in pixels by the header. Raises BadImage."""
    if image.startswith(_PNG):
        if len(image) < 24 or image[12:16] != b"IHDR":
            raise BadImage("the PNG has no header")
        width, height = struct.unpack(">II", image[16:24])
        return width, height
    if not image.startswith(b"\xff\xd8"):
        raise BadImage("neither a JPEG nor a PNG")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    except ValueError as error:
        raise BadImage(f"the JPEG's header cannot be read: {error}") from error
    return int(width), int(height)
