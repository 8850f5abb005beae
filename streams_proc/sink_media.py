"""sink-media: pictures of tracks' views into the media store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.errors import BadMessage, InvalidInput
from core.messages import FrameTracks
from streams_proc.sink import Message, count_rows
from streams_proc.stage import Poison

NAME = "sink-media"


class Pictures(Protocol):
    """The part of `warehouse.media.MediaStore` that is written to. Blocking."""

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under a key."""
        ...


class MediaSink:
    """Writes each view's picture under its media key."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def write(self, messages: Sequence[tuple[int, Message]]) -> dict[int, Poison]:
        """Store the pictures; a frame with a key that is none is poison."""
        poisoned: dict[int, Poison] = {}
        written = 0
        for place, message in messages:
            if isinstance(message, FrameTracks):
                try:
                    written += self._put(message)
                except InvalidInput as error:
                    poisoned[place] = Poison(BadMessage(str(error)))
        count_rows("media", "pictures", written)
        return poisoned

    def _put(self, tracks: FrameTracks) -> int:
        pictures = [view for view in tracks.views if view.jpeg]
        for view in pictures:
            self._pictures.put(view.media_key, view.jpeg)
        return len(pictures)
