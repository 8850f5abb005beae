"""All that is watched in this worker: one reader for each partition of the live frames, whoever many watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core import metrics
from core.partitions import partition_of
from core.settings import Settings
from core.topics import Topics
from query_api.refusals import Busy
from query_api.watching.attended import Attended
from query_api.watching.pictures import Darkroom, Wish
from query_api.watching.recent import Recent
from query_api.watching.tails import Heard, Partition, Span, Tail, Tails
from query_api.watching.watch import Viewer, Watch
from warehouse.control.rows import StreamRow

LOOK_BACK = 256
"""Records read again when a reader begins, so that a still scene is seen at once."""

LINGER_S = 10.0


class Followed:
    """One partition of the frames and of the tracks, read while any of its streams is watched."""

    def __init__(self, number: int, topics: Topics, tails: Tails, linger_s: float) -> None:
        self.watches: dict[bytes, Watch] = {}
        self.attended = Attended(self._open, self._closed, linger_s)
        self._frames: Partition = (topics.frames_live, number)
        self._tracks: Partition = (topics.tracks, number)
        self._tails = tails
        self._recent = Recent(topics.frames_live)
        self._end = 0
        self._caught_up = False

    def add(self, watch: Watch) -> None:
        """Somebody has come to watch this stream: it is shown what is known of it."""
        self.watches[watch.key] = watch
        if self._caught_up:
            self._show_recent(watch)

    def begun(self, spans: Mapping[Partition, Span]) -> None:
        """See `Hearer.begun`."""
        span = spans[self._frames]
        self._end = span.end
        self._caught_up = span.begin >= span.end

    def take(self, records: Sequence[Heard]) -> None:
        """Show what comes; what was there before is shown once, when all of it was read."""
        for heard in records:
            self._recent.keep(heard)
            if self._caught_up:
                watch = self.watches.get(heard.key)
                if watch is not None:
                    watch.hear(heard)
            elif (heard.topic, heard.partition) == self._frames and heard.offset >= self._end - 1:
                self._caught_up = True
                for watch in self.watches.values():
                    self._show_recent(watch)

    def ended(self) -> None:
        """See `Hearer.ended`: whoever watches is told so."""
        self.attended.lost()
        self._closed()
        for watch in list(self.watches.values()):
            watch.end()

    def _show_recent(self, watch: Watch) -> None:
        for heard in self._recent.of(watch.key):
            watch.hear(heard)

    async def _open(self) -> Tail:
        back = {self._frames: LOOK_BACK, self._tracks: LOOK_BACK}
        return await self._tails.open(back, self, lost="latest")

    def _closed(self) -> None:
        self._recent.clear()
        self._caught_up = False


class Watches:
    """Who watches what.

    Args:
        linger_s: how long a reader goes on when the last viewer has left.
    """

    def __init__(self, settings: Settings, tails: Tails, *, linger_s: float = LINGER_S) -> None:
        self._kafka = settings.kafka
        self._topics = Topics.of(settings.kafka)
        self._query = settings.query
        self._tails = tails
        self._linger_s = linger_s
        self._darkroom = Darkroom(settings.ingest)
        self._followed: dict[int, Followed] = {}
        self._viewers = 0

    async def view(self, row: StreamRow, wish: Wish, fps: int = 0) -> Viewer:
        """One more viewer, who must be closed.

        Raises:
            Busy: as many as the settings allow watch already, or the service is being stopped.
            BrokerUnavailable: Kafka does not answer.
        """
        key = str(row.stream_id).encode()
        number = partition_of(key, self._kafka.partitions)
        followed = self._followed.get(number)
        if followed is None:
            followed = self._followed[number] = Followed(number, self._topics, self._tails, self._linger_s)
        watch = followed.watches.get(key)
        self._check_room(watch)
        if watch is None:
            watch = Watch(row.spec, row.current.video, self._darkroom, key=key, frames=self._topics.frames_live)
        viewer = self._seated(followed, watch, wish, fps)
        try:
            await followed.attended.open()
        except BaseException:
            viewer.close()
            raise
        return viewer

    def _check_room(self, watch: Watch | None) -> None:
        if self._viewers >= self._query.viewers:
            raise Busy(f"{self._query.viewers} viewers watch already, which are the most")
        if watch is not None and watch.viewers >= self._query.viewers_per_stream:
            raise Busy(f"{self._query.viewers_per_stream} viewers watch this stream already, which are the most")

    def _seated(self, followed: Followed, watch: Watch, wish: Wish, fps: int) -> Viewer:
        def left(viewer: Viewer) -> None:
            watch.leave(viewer)
            if watch.viewers == 0:
                followed.watches.pop(watch.key, None)
            self._viewers -= 1
            metrics.gauge("sightline_viewers").dec()
            followed.attended.leave()

        viewer = Viewer(watch, wish, fps, left)
        self._viewers += 1
        metrics.gauge("sightline_viewers").inc()
        watch.join(viewer)
        followed.attended.attend()
        followed.add(watch)
        return viewer
