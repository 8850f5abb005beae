"""A local video file, read to its end by the decoder that can be trusted with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from ingest import decode_av, decode_decord
from ingest.decoded import Decoded, ProblemSink
from ingest.probe import TAGS, Probe, probe_file, video_stream

CONTAINERS = ",".join(
    (
        "mov,mp4,m4a,3gp,3g2,mj2",
        "matroska,webm",
        "avi",
        "flv",
        "live_flv",
        "ogg",
        "gif",
        "mpegts",
        "mpeg",
        "mpegvideo",
        "asf",
        "ivf",
        "obu",
        "av1",
        "h264",
        "hevc",
        "vvc",
        "h263",
        "m4v",
        "mjpeg",
        "mxf",
        "nut",
        "rm",
        "dv",
        "y4m",
        "yuv4mpegpipe",
        "wtv",
        "dav",
        "apng",
    )
)
"""Demuxers that files are opened with; none of them opens another file, as playlists do."""

LOCAL_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}


@dataclass(slots=True)
class FileSource:
    """A file that has been looked at and can be read, once or again and again.

    Attributes:
        decoder: names of what has read it so far.
        careful: leave out the decoder that a damaged file may crash.
        broken: always None; damaged places of a file are problems, and its end is its end.
    """

    path: Path
    probe: Probe
    max_pixels: int
    careful: bool = False
    decoder: str = ""
    broken: str | None = None

    @classmethod
    def open(cls, path: Path, max_pixels: int, rotation: int | None, *, careful: bool = False) -> FileSource:
        """Look at `path`. Raises UnsupportedMedia, LimitExceeded."""
        return cls(path, probe_file(str(path), max_pixels, rotation, options=LOCAL_OPTIONS), max_pixels, careful)

    def frames(self, problem: ProblemSink) -> Iterator[Decoded]:
        """Every frame that can be decoded, in order of presentation; `problem` hears of the others."""
        yield from self._frames(problem)
        if self.probe.short is not None:
            problem(self.probe.short)

    def _frames(self, problem: ProblemSink) -> Iterator[Decoded]:
        passed = 0
        reader = None if self.careful else decode_decord.open_checked(str(self.path), self.probe)
        if reader is not None:
            self.decoder = "decord"
            for frame in decode_decord.decode(reader, self.probe):
                yield frame
                passed += not frame.failed
            if passed == self.probe.expected:
                return
        self.decoder = "decord, then pyav" if passed else "pyav"
        yield from self._by_av(problem, passed)

    def _by_av(self, problem: ProblemSink, skip: int) -> Iterator[Decoded]:
        with av.open(str(self.path), metadata_errors=TAGS, options=LOCAL_OPTIONS) as container:
            stream = video_stream(container, self.max_pixels)
            for number, frame in enumerate(decode_av.decode(container, stream, problem)):
                if number >= skip:
                    yield frame
