"""An analysis that is answered at once and leaves nothing.

It runs through the same pipeline, as an ephemeral stream that no sink stores; its rows in the
control database are removed however it ends: answered, failed, timed out, or its asker gone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from core import log
from core.clock import now_ms
from core.messages import StreamSpec
from core.settings import Settings
from query_api.following import Collected, Follower
from query_api.pool import Pool
from query_api.ports import Collaborators
from query_api.refusals import UnreadableVideo
from query_api.services.results import Findings
from warehouse.control.rows import StreamFilter

logger = log.get(__name__)


class Immediate:
    """Runs ephemeral streams, a few at once."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._parts = parts
        self._timeout_s = settings.query.immediate_timeout_s
        self._followers = Pool(settings.query.immediate_at_once, 0, self._timeout_s + 60)

    async def analyse(self, spec: StreamSpec, gone: Callable[[], Awaitable[None]]) -> Findings | None:
        """What was found; None when `gone` returned first.

        Raises:
            UnreadableVideo: the run failed, with its reason.
            Busy: too many at once, or not done in time.
        """
        await self._parts.pool.run(self._sweep)
        follower = await self._parts.pool.run(self._parts.followers.open, spec.stream_id)
        cancelled = threading.Event()
        try:
            return await self._race(spec, follower, cancelled, gone)
        finally:
            cancelled.set()
            await asyncio.shield(self._parts.pool.run(self._parts.control.delete_stream, spec.stream_id))

    async def _race(
        self, spec: StreamSpec, follower: Follower, cancelled: threading.Event, gone: Callable[[], Awaitable[None]]
    ) -> Findings | None:
        began = time.monotonic()
        watch = asyncio.ensure_future(gone())
        collecting = asyncio.ensure_future(self._followers.run(self._collect, spec, follower, cancelled))
        try:
            await asyncio.wait({watch, collecting}, return_when=asyncio.FIRST_COMPLETED)
            if not collecting.done():
                logger.info("immediate_analysis_abandoned", stream_id=str(spec.stream_id))
                return None
            collected = collecting.result()
            return None if collected is None else findings_of(spec, collected, time.monotonic() - began)
        finally:
            cancelled.set()
            watch.cancel()
            await asyncio.wait({collecting})

    def _collect(self, spec: StreamSpec, follower: Follower, cancelled: threading.Event) -> Collected | None:
        try:
            self._parts.control.create_stream(spec)
            return follower.collect(cancelled, self._timeout_s)
        finally:
            follower.close()

    def _sweep(self) -> None:
        """Remove what a killed service left behind."""
        before = now_ms(self._parts.clock) - int(2 * self._timeout_s * 1000)
        left = self._parts.control.streams(StreamFilter(ephemeral=True, created_to_ms=before), limit=100)
        for row in left.items:
            self._parts.control.delete_stream(row.stream_id)

    def close(self) -> None:
        """Take no more."""
        self._followers.close()


def findings_of(spec: StreamSpec, collected: Collected, seconds_taken: float) -> Findings:
    """What was collected, as the result's builder takes it. Raises UnreadableVideo.

    Pictures are not stored, so events name none.
    """
    end = collected.end
    if end is None or not collected.complete:
        reason = collected.failed.error if collected.failed is not None else None
        raise UnreadableVideo(reason or "the video could not be read")
    if end.state == "failure":
        raise UnreadableVideo(end.error or "the video could not be read")
    return Findings(
        spec=spec,
        video=end.video or collected.video,
        counts=end.counts,
        problems=end.problems,
        stored=collected.counts,
        points=collected.points,
        events=[replace(event, image=None) for event in collected.events.values()],
        seconds=seconds_taken,
    )
