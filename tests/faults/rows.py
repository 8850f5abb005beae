"""What the stores hold of a stream, row by row, in a form in which two analyses of one video are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import lancedb
import msgspec

from core.ids import Run, StreamId, ViewId
from core.messages import Event
from core.settings import Settings
from warehouse.analytics import AnalyticsStore
from warehouse.media import MediaStore

RUN = Run(1)
KINDS = ("frames", "detections", "track points", "views", "events", "vectors", "pictures")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Every row of one run: its kind's own key, then its content, without ids and wall-clock times."""

    by_kind: Mapping[str, Sequence[Row]]

    def missing_from(self, other: Rows) -> int:
        """Rows of this that the other has not."""
        return sum(_less(self.by_kind[kind], other.by_kind[kind]) for kind in KINDS)

    def duplicates(self) -> int:
        """Rows whose key is there more than once."""
        return sum(len(rows) - len({row[0] for row in rows}) for rows in self.by_kind.values())

    def counts(self) -> dict[str, int]:
        """Rows of each kind."""
        return {kind: len(self.by_kind[kind]) for kind in KINDS}

    def differences(self, expected: Rows, most: int = 3) -> list[str]:
        """Some rows that differ, for people."""
        lines = []
        for kind in KINDS:
            mine, theirs = Counter(map(repr, self.by_kind[kind])), Counter(map(repr, expected.by_kind[kind]))
            lines += [f"{kind}: missing {row[:300]}" for row in list((theirs - mine).elements())[:most]]
            lines += [f"{kind}: unexpected {row[:300]}" for row in list((mine - theirs).elements())[:most]]
        return lines


class Stores:
    """The stores of a stack, read past the query service."""

    def __init__(self, settings: Settings) -> None:
        self.analytics = AnalyticsStore.connect(settings)
        self._vectors = settings.lancedb_uri
        self._media = MediaStore.connect(settings)

    def rows(self, stream: StreamId, analytics: AnalyticsStore | None = None) -> Rows:
        """All rows of a stream's first run.

        Args:
            analytics: another database with the same stream's rows.
        """
        store = analytics or self.analytics
        frames = list(store.run_frames(stream, RUN))
        views = list(store.run_views(stream, RUN))
        events = sorted(store.run_events(stream, RUN), key=lambda e: (e.begin_seq, e.analytic_index, str(e.event_id)))
        vectors = self._vectors_of(stream) if analytics is None else []
        keys = {UUID(view.media_key.rpartition("/")[2].partition(".")[0]): view for view in views}
        return Rows(
            {
                "frames": [
                    (f.seq, f.index, f.media_s, f.width, f.height, f.model, f.model_version, f.error) for f in frames
                ],
                "detections": [
                    ((f.seq, kind, i), found)
                    for f in frames
                    for kind, list_ in (("object", f.objects), ("face", f.faces or ()))
                    for i, found in enumerate(list_)
                ],
                "track points": [
                    ((p.seq, p.track.track_id), p.index, p.media_s, p.track)
                    for p in store.run_track_points(stream, RUN)
                ],
                "views": [((v.track_id, v.seq, v.keyspace), v.score, v.quality, v.box) for v in views],
                "events": [_event(event) for event in events],
                "vectors": [
                    ((keys[v].track_id, keys[v].seq, space) if v in keys else (str(v), space), vector)
                    for v, space, vector in vectors
                ],
                "pictures": [
                    ((v.track_id, v.seq, v.keyspace),)
                    for v in views
                    if analytics is None and self._media.exists(v.media_key)
                ],
            }
        )

    def _vectors_of(self, stream: StreamId) -> list[tuple[ViewId, str, tuple[float, ...]]]:
        database = lancedb.connect(self._vectors)
        found = []
        for space in ("appearance", "face"):
            try:
                table = database.open_table(space)
            except (ValueError, FileNotFoundError):
                continue
            part = table.search().where(f"stream_id = '{stream}'").limit(1_000_000).to_arrow()
            found += [
                (ViewId(UUID(str(view))), space, tuple(vector))
                for view, vector in zip(part["view_id"].to_pylist(), part["vector"].to_pylist(), strict=True)
            ]
        return found


def _event(event: Event) -> Row:
    """Its own key is the place among its analytic's events, which is what its id is made of."""
    content = msgspec.to_builtins(event)
    for name in ("event_id", "stream_id", "ts_ms", "begin_ms", "end_ms", "image"):
        content.pop(name, None)
    return str(event.event_id), tuple(sorted((name, repr(value)) for name, value in content.items()))


def without_ids(rows: Rows) -> Rows:
    """For two analyses under different ids: events by content alone."""
    events = [(i, row[1]) for i, row in enumerate(sorted(rows.by_kind["events"], key=lambda row: repr(row[1])))]
    return Rows({**rows.by_kind, "events": events})


def _less(mine: Iterable[Row], other: Iterable[Row]) -> int:
    left = Counter(map(repr, mine)) - Counter(map(repr, other))
    return sum(left.values())
