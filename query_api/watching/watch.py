"""One stream that is watched: its newest picture, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from core import log, metrics
from core.bounds import check_key
from core.errors import BadMessage
from core.messages import (
    Frame,
    FramesMessage,
    FrameTracks,
    RunBegin,
    StreamSpec,
    TracksMessage,
    VideoInfo,
    decode_frames,
    decode_tracks,
)
from query_api.watching.pairing import WAIT_S, Pairing
from query_api.watching.pictures import Darkroom, Picture, Scene, Shot, Wish
from query_api.watching.tails import Heard

logger = log.get(__name__)
NOTHING = (0, -1)
"""Before the first frame: its run and number."""


class Feed:
    """The newest shot, for those who want the stream in this way; the ones before it are gone."""

    def __init__(self) -> None:
        self.latest: Shot | None = None
        self.viewers: set[Viewer] = set()
        self._shots = 0

    def show(self, frame: Frame, scene: Scene, tracks: FrameTracks | None = None) -> None:
        """Make this the newest."""
        self._shots += 1
        self.latest = Shot(self._shots, frame, scene, tracks)
        for viewer in self.viewers:
            viewer.wake()


class Watch:
    """A stream, for all who watch it.

    Lives on the event loop. Each viewer takes the newest picture when it is ready for one, so a
    slow one keeps nothing but what it is sending, and nobody waits for it.

    Args:
        frames: the topic of the frames.
        wait_s: how long a frame waits for what was tracked in it, where that is drawn.
    """

    def __init__(
        self,
        spec: StreamSpec,
        video: VideoInfo | None,
        darkroom: Darkroom,
        *,
        key: bytes,
        frames: str,
        wait_s: float = WAIT_S,
    ) -> None:
        self.key = key
        self._scene = Scene(spec, video)
        self._darkroom = darkroom
        self._frames = frames
        self._plain, self._tracked = Feed(), Feed()
        self._pairing = Pairing(self._paired, wait_s)
        self._timer: asyncio.TimerHandle | None = None
        self._newest = self._drawn = NOTHING
        self._made: dict[Wish, tuple[Shot, asyncio.Future[Picture | None]]] = {}

    @property
    def viewers(self) -> int:
        """How many there are."""
        return len(self._plain.viewers) + len(self._tracked.viewers)

    def join(self, viewer: Viewer) -> None:
        """One more."""
        self.feed(viewer.wish).viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """One less; what only it wished for is forgotten."""
        feed = self.feed(viewer.wish)
        feed.viewers.discard(viewer)
        if not any(other.wish == viewer.wish for other in feed.viewers):
            self._made.pop(viewer.wish, None)
        if not self._tracked.viewers:
            self._tracked.latest, self._drawn = None, NOTHING
            self._pairing.clear()
            self._set_timer()

    def end(self) -> None:
        """Nothing more will come."""
        for viewer in [*self._plain.viewers, *self._tracked.viewers]:
            viewer.close()

    def feed(self, wish: Wish) -> Feed:
        """Where the shots for this wish come from."""
        return self._plain if wish.analytic is None else self._tracked

    async def picture(self, shot: Shot, wish: Wish) -> Picture | None:
        """The picture of a shot, made once for all who wish the same; None where it cannot be made."""
        same = self._darkroom.as_it_is(shot, wish)
        if same is not None:
            return same
        made = self._made.get(wish)
        if made is None or made[0] is not shot:
            made = shot, self._darkroom.make(shot, wish)
            self._made[wish] = made
        return await asyncio.shield(made[1])

    def hear(self, heard: Heard) -> None:
        """A record of the stream; one that cannot be read is passed over, as every stage does."""
        try:
            message: FramesMessage | TracksMessage
            message = decode_frames(heard.value) if heard.topic == self._frames else decode_tracks(heard.value)
            check_key(heard.key, message.stream_id)
        except BadMessage as error:
            logger.warning("a record is passed over", topic=heard.topic, offset=heard.offset, error=str(error))
            metrics.counter("sightline_viewed_pictures_total").labels("unreadable").inc()
            return
        match message:
            case RunBegin() if heard.topic == self._frames:
                self._scene = Scene(message.spec, message.video)
            case Frame():
                self._frame(message)
            case FrameTracks() if self._tracked.viewers:
                self._pairing.tracks(message)
                self._set_timer()

    def _frame(self, frame: Frame) -> None:
        """One that is no newer than what is shown may still be new to those who want it drawn into."""
        where = (int(frame.run), int(frame.seq))
        if where > self._newest:
            self._newest = where
            self._plain.show(frame, self._scene)
        if self._tracked.viewers and where > self._drawn:
            self._drawn = where
            self._pairing.frame(frame, asyncio.get_running_loop().time())
            self._set_timer()

    def _paired(self, frame: Frame, tracks: FrameTracks | None) -> None:
        self._tracked.show(frame, self._scene, tracks)

    def _set_timer(self) -> None:
        """Have frames that wait too long shown."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pairing.due is not None:
            self._timer = asyncio.get_running_loop().call_at(self._pairing.due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._pairing.expire(asyncio.get_running_loop().time())
        self._set_timer()


class Viewer:
    """One who watches.

    Args:
        fps: pictures a second, at most; 0: all that come.
        left: told when it leaves.
    """

    def __init__(self, watch: Watch, wish: Wish, fps: int, left: Callable[[Viewer], None]) -> None:
        self.watch = watch
        self.wish = wish
        self.closed = False
        self._gap_s = 1.0 / fps if fps else 0.0
        self._left = left
        self._changed = asyncio.Event()
        self._seen: Shot | None = None
        self._due = 0.0

    def wake(self) -> None:
        """Something has changed."""
        self._changed.set()

    def close(self) -> None:
        """Leave; who has left already stays away."""
        if not self.closed:
            self.closed = True
            self.wake()
            self._left(self)

    async def next(self, timeout_s: float) -> Picture | None:
        """The newest picture, once it is a new one and the rate allows it; None after the time, or once closed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not self.closed:
            now = loop.time()
            shot = self.watch.feed(self.wish).latest
            fresh = shot is not None and shot is not self._seen
            if shot is not None and fresh and now >= self._due:
                self._due = now + self._gap_s
                self._take(shot)
                picture = await self.watch.picture(shot, self.wish)
                if picture is not None:
                    return None if self.closed else picture
                continue
            if now >= until:
                return None
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(until, self._due) if fresh else until):
                    await self._changed.wait()
        return None

    def _take(self, shot: Shot) -> None:
        passed_over = shot.number - self._seen.number - 1 if self._seen is not None else 0
        metrics.counter("sightline_viewed_pictures_total").labels("skipped").inc(max(0, passed_over))
        self._seen = shot
