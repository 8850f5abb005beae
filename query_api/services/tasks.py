"""Tasks: how far they are, what they found, and their end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.clock import now_ms, rfc3339
from core.errors import Conflict, NotFound
from core.ids import StreamId, TaskId, TrackId
from core.messages import IngestCounts, StreamSpec
from core.profile import StreamProfile, extra_of
from core.settings import Settings
from query_api.ports import Collaborators
from query_api.services.ledger import balance
from query_api.services.results import Findings, problems_shown, task_result, video_facts
from query_api.services.submissions import analytics_shown
from query_api.services.uploads import Uploads
from query_api.types.agent import VideoTask
from query_api.types.query import Ledger, TaskDetail, TaskItem, TaskResult, TasksPage
from warehouse.control.rows import StreamFilter, StreamRow, TaskProgress, TaskState
from warehouse.rows import FrameCounts

STATUS: Final[dict[TaskState, int]] = {
    "pending": 0,
    "in_progress": 1,
    "cancelled": 2,
    "failed": 3,
    "collecting": 4,
    "done": 5,
}
OVER = frozenset({"done", "failed", "cancelled"})


class Tasks:
    """Deferred tasks; blocking. Every method raises NotFound for an id that is no task's."""

    def __init__(self, settings: Settings, parts: Collaborators, uploads: Uploads) -> None:
        self._settings = settings
        self._parts = parts
        self._uploads = uploads

    def submit(self, spec: StreamSpec, told: StreamProfile) -> TaskId:
        """Store the task and who is told of it; the pipeline takes it from there."""
        self._parts.control.create_stream(spec, extra_of(told))
        return TaskId(spec.stream_id)

    def agent(self, task_id: TaskId, base: str) -> VideoTask:
        """A task as the agent surface shows it."""
        row = self._row(task_id)
        far, ledger = self._far(row)
        progress = _progress(far, ledger)
        status = STATUS[far.state]
        return VideoTask(str(task_id), status, progress, result_url(task_id, base))  # type: ignore[arg-type]

    def page(self, names: tuple[str, ...], limit: int, cursor: str | None, base: str) -> TasksPage:
        """Tasks, the newest first."""
        found = self._parts.control.streams(StreamFilter(task=True, names=names), limit=limit, cursor=cursor)
        items = []
        for row in found.items:
            far, ledger = self._far(row)
            items.append(_item(row, far, _progress(far, ledger), base))
        return TasksPage(items, found.next_cursor)

    def detail(self, task_id: TaskId, base: str) -> TaskDetail:
        """A task with its ledger and speed so far."""
        row = self._row(task_id)
        far, ledger = self._far(row)
        run = far.run
        progress = _progress(far, ledger)
        elapsed = self._elapsed(row, far)
        item = _item(row, far, progress, base)
        return TaskDetail(
            **{name: getattr(item, name) for name in TaskItem.__struct_fields__},
            model=row.spec.model,
            analytics=analytics_shown(row.spec.analytics),
            video=None if run.video is None else video_facts(row.spec.name, run.video, IngestCounts()),
            ledger=ledger,
            frames_per_s=round(ledger.processed / elapsed, 2) if elapsed > 0 else 0.0,
            eta_s=_eta(far, progress, elapsed),
            errors=problems_shown(run.problems),
            waiting_for=sorted(f"{sink}:{topic}" for sink, topic in far.missing) if far.state == "collecting" else [],
        )

    def result(self, task_id: TaskId) -> TaskResult:
        """Everything that was found. Raises Conflict while it is not done, and when it never will be."""
        row = self._row(task_id)
        far, _ = self._far(row)
        if far.state != "done":
            why = f": {far.run.error}" if far.run.error else ""
            raise Conflict(f"the task has no result, it is {far.state}{why}")
        return task_result(self._findings(row, far))

    def cancel(self, task_id: TaskId, base: str) -> TaskDetail:
        """Stop it. Raises Conflict when it is over."""
        row = self._row(task_id)
        far = self._parts.control.task_state(row.stream_id)
        if far.state in OVER:
            raise Conflict(f"the task cannot be stopped, it is {far.state}")
        self._parts.control.set_desired(row.stream_id, "stop")
        return self.detail(task_id, base)

    def delete(self, task_id: TaskId) -> None:
        """Remove it and all that it left, its video too when no other stream reads it."""
        row = self._row(task_id)
        remove_stream(self._parts, row.stream_id)
        self._uploads.release(row.spec.source.url)

    def _row(self, task_id: TaskId) -> StreamRow:
        try:
            row = self._parts.control.stream(StreamId(task_id))
        except NotFound as error:
            raise NotFound(f"no task {task_id}") from error
        if not row.spec.task or row.spec.ephemeral:
            raise NotFound(f"no task {task_id}")
        return row

    def _far(self, row: StreamRow) -> tuple[TaskProgress, Ledger]:
        """How far a task is; results are only collected once every frame has been settled."""
        far = self._parts.control.task_state(row.stream_id)
        ledger = balance(far.run.counts, self._stored(row))
        if far.state == "collecting" and ledger.in_flight:
            far = replace(far, state="in_progress")
        return far, ledger

    def _stored(self, row: StreamRow) -> FrameCounts:
        return self._parts.analytics.frame_counts(row.stream_id, row.spec.run)

    def _elapsed(self, row: StreamRow, far: TaskProgress) -> float:
        run = far.run
        if run.started_ms is None:
            return 0.0
        end = now_ms(self._parts.clock) if far.ended_ms is None else far.ended_ms
        return max(0.0, (end - run.started_ms) / 1000)

    def _findings(self, row: StreamRow, far: TaskProgress) -> Findings:
        store, stream, run = self._parts.analytics, row.stream_id, row.spec.run
        best: dict[TrackId, tuple[float, str]] = {}
        for view in store.run_views(stream, run):
            if view.track_id not in best or view.quality > best[view.track_id][0]:
                best[view.track_id] = (view.quality, view.media_key)
        return Findings(
            spec=row.spec,
            video=far.run.video,
            counts=far.run.counts,
            problems=far.run.problems,
            stored=self._stored(row),
            points=store.run_track_points(stream, run),
            events=store.run_events(stream, run),
            images={track: key for track, (_, key) in best.items()},
            seconds=self._elapsed(row, far),
        )


def remove_stream(parts: Collaborators, stream: StreamId) -> None:
    """Remove a stream's rows, vectors and pictures; the tombstone comes first, so that nothing comes back."""
    parts.control.delete_stream(stream)
    parts.analytics.delete_stream(stream)
    parts.embeddings.delete_stream(stream)
    parts.media.delete_prefix(str(stream))


def task_url(task_id: TaskId, base: str) -> str:
    """Where the agent surface tells of a task."""
    return f"{base}/1/video/tasks/{task_id}"


def result_url(task_id: TaskId, base: str) -> str:
    """Where a task's result is."""
    return f"{base}/query/v1/tasks/{task_id}/result"


def _item(row: StreamRow, far: TaskProgress, progress: float, base: str) -> TaskItem:
    run, task_id = far.run, TaskId(row.stream_id)
    return TaskItem(
        task_id=row.stream_id,
        name=row.spec.name,
        state=far.state,
        status=STATUS[far.state],
        progress=progress,
        created_at=rfc3339(row.created_ms),
        started_at=None if run.started_ms is None else rfc3339(run.started_ms),
        ended_at=None if far.ended_ms is None else rfc3339(far.ended_ms),
        url=task_url(task_id, base),
        result_url=result_url(task_id, base),
        error=run.error,
    )


def _progress(far: TaskProgress, ledger: Ledger) -> float:
    """0..1: the part of the source that is read, times the part of that which is settled."""
    if far.state == "done":
        return 1.0
    read = 1.0 if far.run.ended else (far.read_fraction or 0.0)
    settled = 1.0 - ledger.in_flight / ledger.read if ledger.read else 0.0
    return round(min(read * settled, 0.99), 4)


def _eta(far: TaskProgress, progress: float, elapsed: float) -> float | None:
    if far.state == "done":
        return 0.0
    if far.state in OVER or progress <= 0 or elapsed <= 0:
        return None
    return round(elapsed * (1 - progress) / progress, 1)
