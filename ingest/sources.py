"""From a stream's address to something that gives frames."""

from __future__ import annotations

import time
from pathlib import Path

from core.local_files import is_local, local_path
from core.messages import StreamSpec
from core.settings import Settings
from ingest.connection import Wait
from ingest.download import fetched
from ingest.file_source import FileSource
from ingest.live_source import LiveSource
from ingest.reading import Source


def open_source(
    spec: StreamSpec,
    settings: Settings,
    *,
    careful: bool = False,
    wait: Wait = time.sleep,
    before: Source | None = None,
) -> Source:
    """Open the spec's source.

    Files and uploads are read in place; a task's URL is fetched first, so that it is the same
    bytes however often it is read; any other address is read as it comes.

    Args:
        careful: a reader has died of it: leave out the decoder that may be why.
        wait: lets seconds pass; False when nobody wants to wait any longer.
        before: a connection that was lost, for the new one to go on behind.

    Raises:
        ClientError: not allowed, not there, or not a video.
        TransientError: not there for now.
    """
    source, limit = spec.source, settings.ingest.max_pixels
    # only one of the decoders tells decoding times, and gives luma, which the gate looks at; and it must see the same
    # whoever reads the file again
    careful = careful or source.timestamps == "dts" or spec.gate is not None
    if is_local(source.url):
        return FileSource.open(local_path(source.url, settings), limit, source.rotation, careful=careful)
    if spec.lane == "batch":
        path = fetched(source.url, _spool(spec, settings), settings, wait, within_s=source.timeout_s)
        return FileSource.open(path, limit, source.rotation, careful=careful)
    return LiveSource.open(
        source.url,
        settings,
        source.rotation,
        transport=source.transport,
        timeout_s=source.timeout_s,
        wait=wait,
        before=before,
    )


def forget_source(spec: StreamSpec, settings: Settings) -> None:
    """Remove what `open_source` fetched; for a run that has ended."""
    _spool(spec, settings).unlink(missing_ok=True)


def _spool(spec: StreamSpec, settings: Settings) -> Path:
    return settings.data_dir / "ingest" / f"{spec.stream_id}-{spec.run}"
