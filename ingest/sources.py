"""From a stream's address to something that gives frames."""

from __future__ import annotations

from pathlib import Path

from core.local_files import is_local, local_path
from core.messages import StreamSpec
from core.settings import Settings
from ingest.download import fetched
from ingest.file_source import FileSource
from ingest.live_source import LiveSource
from ingest.reading import Source


def open_source(spec: StreamSpec, settings: Settings, *, careful: bool = False) -> Source:
    """Open the spec's source.

    Files and uploads are read in place; a task's URL is fetched first, so that it is the same
    bytes however often it is read; any other address is read as it comes.

    Args:
        careful: a reader has died of it: leave out the decoder that may be why.

    Raises:
        ClientError: not allowed, not there, or not a video.
        TransientError: not there for now.
    """
    url, limit, rotation = spec.source.url, settings.ingest.max_pixels, spec.source.rotation
    # the gate looks at luma, which decord does not give, and sees the same whoever reads the file again
    careful = careful or spec.gate is not None
    if is_local(url):
        return FileSource.open(local_path(url, settings), limit, rotation, careful=careful)
    if spec.lane == "batch":
        path = fetched(url, _spool(spec, settings), settings)
        return FileSource.open(path, limit, rotation, careful=careful)
    return LiveSource.open(url, settings, rotation)


def forget_source(spec: StreamSpec, settings: Settings) -> None:
    """Remove what `open_source` fetched; for a run that has ended."""
    _spool(spec, settings).unlink(missing_ok=True)


def _spool(spec: StreamSpec, settings: Settings) -> Path:
    return settings.data_dir / "ingest" / f"{spec.stream_id}-{spec.run}"
