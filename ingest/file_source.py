"""A local video file, read to its end by the decoder that can be trusted with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from ingest import decode_av, decode_decord
from ingest.decoded import Decoded, ProblemSink, Times, Unneeded, all_needed
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
        broken, lost: always None; damaged places of a file are problems, and its end is its end.
    """

    path: Path
    probe: Probe
    max_pixels: int
    careful: bool = False
    decoder: str = ""
    broken: str | None = None
    lost: str | None = None
    times: Times = "recorded"

    @classmethod
    def open(cls, path: Path, max_pixels: int, rotation: int | None, *, careful: bool = False) -> FileSource:
        """Look at `path`. Raises UnsupportedMedia, LimitExceeded."""
        return cls(path, probe_file(str(path), max_pixels, rotation, options=LOCAL_OPTIONS), max_pixels, careful)

    def frames(self, problem: ProblemSink, unneeded: Unneeded = all_needed) -> Iterator[Decoded]:
        """Every frame that can be decoded, in order of presentation; `problem` hears of the others.

        Args:
            unneeded: asked behind the first frame; those up to that time are left out, as far as the file can be
                entered behind them.
        """
        yield from self._frames(problem, unneeded)
        if self.probe.short is not None:
            problem(self.probe.short)

    def _frames(self, problem: ProblemSink, unneeded: Unneeded) -> Iterator[Decoded]:
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
        yield from self._by_av(problem, passed, unneeded)

    def _by_av(self, problem: ProblemSink, skip: int, unneeded: Unneeded) -> Iterator[Decoded]:
        entry = 0
        for number, frame in enumerate(self._decoded(problem)):
            if number >= skip:
                yield frame
            if number == skip == 0 and (until := unneeded()) is not None:
                entry = self._entry(until)
                if entry:
                    break
        if entry:
            yield from self._decoded(problem, entry)

    def _decoded(self, problem: ProblemSink, entry: int = 0) -> Iterator[Decoded]:
        with self._container() as container:
            yield from decode_av.decode(container, video_stream(container, self.max_pixels), problem, entry)

    def _entry(self, until: Fraction) -> int:
        with self._container() as container:
            return decode_av.entry(container, video_stream(container, self.max_pixels), until)

    def _container(self) -> InputContainer:
        return av.open(str(self.path), metadata_errors=TAGS, options=LOCAL_OPTIONS)
