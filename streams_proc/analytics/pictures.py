"""The best picture of each track so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.ids import TrackId
from streams_proc.analytics.analytic import Picture


@dataclass(slots=True)
class Pictures:
    """Of the tracks that an analytic is interested in; plain data."""

    best: dict[TrackId, Picture] = field(default_factory=dict)

    def take(self, pictures: Mapping[TrackId, Picture]) -> None:
        """Those that are taken in this frame."""
        for track, picture in pictures.items():
            known = self.best.get(track)
            if known is None or picture.quality > known.quality:
                self.best[track] = picture

    def of(self, track: TrackId) -> str | None:
        """Media key of the track's best."""
        found = self.best.get(track)
        return None if found is None else found.media_key

    def drop(self, track: TrackId) -> None:
        """The track is over."""
        self.best.pop(track, None)

    def forget(self, media_keys: Collection[str]) -> None:
        """These could not be taken."""
        self.best = {track: picture for track, picture in self.best.items() if picture.media_key not in media_keys}
