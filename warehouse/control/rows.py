"""What the control database answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamProblem, StreamSpec, VideoInfo

RunState = Literal["pending", "in_progress", "done", "restart", "failure", "stop", "handler_lost", "unknown", "paused"]
TaskState = Literal["pending", "in_progress", "collecting", "done", "failed", "cancelled"]
UploadState = Literal["open", "complete"]
ENDED: frozenset[str] = frozenset({"done", "failure", "stop"})


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run of a stream as last heard of.

    Attributes:
        started_ms: first `in_progress`; ended_ms: of the state that ended it.
        updated_ms: time of the newest status that was recorded.
        imbalance: frames by which its ledger did not sum when it was last checked; None before.
    """

    stream_id: StreamId
    run: Run
    state: RunState
    created_ms: int
    updated_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    host: str = ""
    counts: IngestCounts = field(default_factory=IngestCounts)
    video: VideoInfo | None = None
    problems: tuple[StreamProblem, ...] = ()
    error: str | None = None
    total_frames: int | None = None
    last_media_s: float | None = None
    imbalance: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be read."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream and its current run.

    Attributes:
        version: grows with every change; `ControlStore.update_stream` can insist on it.
        current: the run that `spec.run` names.
    """

    stream_id: StreamId
    engine_id: str
    spec: StreamSpec
    extra: dict[str, Any]
    created_ms: int
    updated_ms: int
    version: int
    current: RunRow


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Streams for which everything given holds."""

    task: bool | None = None
    account_id: str | None = None
    stream_ids: tuple[StreamId, ...] | None = None
    names: tuple[str, ...] = ()
    desired: Literal["run", "stop"] | None = None
    states: tuple[RunState, ...] = ()
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    ephemeral: bool | None = False


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record of topic `streams` that is to be published; None deletes the key."""

    id: int
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A video that was, or is being, uploaded.

    Attributes:
        size: bytes in all, None while unknown.
        received: bytes that are safely kept.
        media_key: where it lies in the media store once complete.
    """

    upload_id: UUID
    name: str
    state: UploadState
    received: int
    created_ms: int
    updated_ms: int
    size: int | None = None
    media_key: str | None = None
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted stream whose rows must not come back."""

    stream_id: StreamId
    deleted_ms: int
    swept_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """A task's state, derived from its run and the sinks' receipts.

    Attributes:
        run: the run that the task consists of.
        missing: receipts still awaited, as (sink, topic without prefix).
        read_fraction: 0..1 of the source that ingest has read; None when its length is unknown.
        ended_ms: when it was over: for a task that is done, when the last sink had stored everything.
    """

    state: TaskState
    run: RunRow
    missing: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    read_fraction: float | None = None
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret for signed tokens; never shown."""

    key_id: int
    secret: bytes = field(repr=False)
