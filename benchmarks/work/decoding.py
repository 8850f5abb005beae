"""Ingest's work without ingest: decode, scale and encode every frame of a file, in one loop.

``python -m benchmarks.work.decoding FILE`` prints the number of frames and ends.
"""

from __future__ import annotations

import sys

import cv2
import decord
import simplejpeg

from core.settings import Ingest


def main(path: str) -> int:
    """Frames done."""
    ingest = Ingest()
    reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=0)
    frames = len(reader)
    for _ in range(frames):
        image = reader.next().asnumpy()
        height, width = image.shape[:2]
        part = min(1.0, ingest.long_side / max(width, height))
        if part < 1.0:
            image = cv2.resize(image, (round(width * part), round(height * part)), interpolation=cv2.INTER_AREA)
        simplejpeg.encode_jpeg(image, quality=ingest.jpeg_quality, colorspace="RGB", colorsubsampling="420")
    return frames


if __name__ == "__main__":
    print(main(sys.argv[1]))
