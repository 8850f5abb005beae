"""Ending a run so that every topic knows: `RunEnd`, the last status, the last checkpoint, in this order.

A process killed between two of them leaves the rest to the next, which finds the `RunEnd` again.
"""

from __future__ import annotations

from core.errors import Backlogged, policy_of
from core.messages import IngestCounts, RunBegin, RunEnd, StreamSpec, StreamStatus, VideoInfo
from ingest.progress import Checkpoint
from ingest.publisher import Publisher
from ingest.recover import Standing

UNKNOWN_VIDEO = VideoInfo(width=0, height=0, fps=0.0, frames=0, duration_s=0.0)
"""Of a run whose source could not be opened."""

BACKLOG = policy_of(Backlogged).reason


def close_run(publisher: Publisher, host: str, checkpoint: Checkpoint, end: RunEnd, *, published: bool) -> None:
    """Say everywhere that the run has ended; returns when the broker has it all.

    Args:
        published: the `RunEnd` is on the frames topic already.

    Raises:
        BrokerUnavailable: not all was acknowledged; to be repeated.
    """
    if not published:
        publisher.end(end)
        publisher.flush()
    publisher.status(final_status(host, end))
    publisher.flush()
    publisher.checkpoint(final_checkpoint(checkpoint, publisher, end))
    publisher.flush()


def begin_if_missing(publisher: Publisher, spec: StreamSpec, *, begun: bool) -> None:
    """A run without a frame still begins before it ends."""
    if not begun:
        publisher.begin(RunBegin(spec.stream_id, spec.run, spec, UNKNOWN_VIDEO))


def final_status(host: str, end: RunEnd) -> StreamStatus:
    """The status that a run ends with."""
    return StreamStatus(
        stream_id=end.stream_id,
        run=end.run,
        state=end.state,
        ts_ms=end.ts_ms,
        host=host,
        counts=end.counts,
        error=end.error,
        problems=end.problems,
        video=end.video,
        last_media_s=end.video.duration_s if end.video else None,
        total_frames=end.video.frames if end.video else None,
        ephemeral=end.ephemeral,
    )


def final_checkpoint(checkpoint: Checkpoint, publisher: Publisher, end: RunEnd) -> Checkpoint:
    """The checkpoint after which the run is not run again."""
    reached = publisher.acknowledged
    return Checkpoint(
        stream_id=end.stream_id,
        run=end.run,
        lane=checkpoint.lane,
        state=end.state,
        offset=reached.offset,
        next_seq=reached.next_seq,
        index=reached.index,
        media_s=reached.media_s,
        counts=end.counts,
        video=end.video,
        problems=end.problems,
        error=end.error,
        ephemeral=end.ephemeral,
    )


def settled(counts: IngestCounts, standing: Standing, *, again: bool = False) -> IngestCounts:
    """`counts` as they must be for what is on the topic: every frame there was read and published.

    The newest frame's position tells how many were decoded up to it, and the frames themselves how many were held
    back before them. Those that neither the counts nor the topic know of were passed by in the second before a
    process died: left out by sampling where the run leaves frames out, else given up for want of room.

    Args:
        again: what came after the newest frame is read again, and is not counted yet.
    """
    sampled_out, dropped = counts.sampled_out, dict(counts.dropped)
    gated = standing.gated if again else max(counts.gated, standing.gated)
    known = standing.next_seq + gated + sum(dropped.values()) + sampled_out
    decoded = 0 if standing.last is None else standing.last.index + 1
    if decoded > known:
        if sampled_out:
            sampled_out += decoded - known
        else:
            dropped[BACKLOG] = dropped.get(BACKLOG, 0) + decoded - known
    elif again:
        left = known - decoded
        left -= (back := min(left, sampled_out))
        sampled_out -= back
        for reason in sorted(dropped):
            left -= (back := min(left, dropped[reason]))
            dropped[reason] -= back
    read = standing.next_seq + gated + sum(dropped.values())
    return IngestCounts(
        decoded=read + sampled_out,
        sampled_out=sampled_out,
        read=read,
        gated=gated,
        published=standing.next_seq,
        dropped={reason: n for reason, n in dropped.items() if n},
    )
