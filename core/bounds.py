"""What a message's numbers, texts and lists may be, beyond their types.

The published schemas stay as they are; a value that they allow and that no part of the pipeline
can hold (a run beyond 32 bits, a box outside of its frame, a hundred thousand objects) is refused
here, where it enters, as bytes that no contract reads. What ingest, detect and analyse make lies
within: a video's wrong claims are put right before they travel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.errors import BadMessage

if TYPE_CHECKING:
    from core import messages as m

MOST_RUN = 2**31 - 1
MOST_COUNT = 2**53 - 1
MOST_NUMBER = 2**31 - 1
MOST_OFFSET = 2**62
LAST_MS = 10_413_792_000_000
"""2300-01-01; ClickHouse's times end there."""

MOST_SECONDS = 1e10
MOST_SIDE = 65_535
MOST_FPS = 1e6
MOST_SEEN = 1000
"""Objects, or faces, of one frame."""

MOST_TRACKED = 2 * MOST_SEEN
MOST_EARLIER = 200_000
MOST_LANDMARKS = 100
MOST_DIMENSIONS = 8192
MOST_COMPONENT = 1e6
"""Of a vector; far from what 32-bit floats can hold."""

MOST_PERCENT = 1e6
MOST_WORD = 256
MOST_TEXT = 64 * 1024
MOST_PROBLEMS = 1000
MOST_ANALYTICS = 1000
MOST_MASKS = 100
MOST_CORNERS = 1000
DEEPEST = 64
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MODEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def check(message: Any) -> None:
    """That a message can be what it says. Raises BadMessage naming the field."""
    CHECKS[message.__struct_config__.tag](message)


def check_key(key: bytes | None, stream: UUID) -> None:
    """That a record lies under its stream's key, which decides its partition and its order. Raises BadMessage."""
    if key != str(stream).encode():
        raise BadMessage(f"a message of stream {stream} lies under the key {key!r:.80}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # not-a-number is not
        raise BadMessage(f"{name} is {value!r:.40}, not within {low:g} to {high:g}")


def _at_most(name: str, found: Collection[Any] | None, most: int) -> None:
    if found is not None and len(found) > most:
        raise BadMessage(f"{name} has {len(found)} entries; {most} are the most")


def _text(name: str, value: str | None, most: int = MOST_WORD) -> None:
    if value is not None and (len(value) > most or "\x00" in value):
        raise BadMessage(f"{name} is no text of at most {most} characters")


def _model(value: str) -> None:
    if not _MODEL.fullmatch(value):
        raise BadMessage(f"model is {value!r:.80}, which is no model's name")


def _boxes(name: str, boxes: Sequence[m.Box]) -> None:
    if boxes and not (min(map(min, boxes)) >= 0.0 and max(map(max, boxes)) <= 1.0):
        raise BadMessage(f"a {name} is not within 0 to 1")


def _labels(name: str, labels: Iterable[str]) -> None:
    for label in set(labels):
        _text(name, label)


def _optional(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None:
        _within(name, value, low, high)


def _shallow(name: str, value: Any, depth: int = DEEPEST) -> None:
    """Nested at most so deep: what reads it again must not run out of stack."""
    inner: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        if depth == 0:
            raise BadMessage(f"{name} is nested more than {DEEPEST} deep")
        _shallow(name, one, depth - 1)


def _place_in_run(message: m.Frame | m.FrameDetections | m.FrameTracks | m.EarlierBox) -> None:
    _within("seq", message.seq, 0, MOST_COUNT)
    _within("index", message.index, 0, MOST_COUNT)
    _within("media_s", message.media_s, 0.0, MOST_SECONDS)
    _within("ts_ms", message.ts_ms, 0, LAST_MS - 1)


def _picture(message: m.Frame | m.FrameDetections | m.FrameTracks) -> None:
    _within("run", message.run, 1, MOST_RUN)
    _place_in_run(message)
    _within("width", message.width, 0, MOST_SIDE)
    _within("height", message.height, 0, MOST_SIDE)


def _counts(counts: m.IngestCounts) -> None:
    for name in ("decoded", "sampled_out", "read", "gated", "published"):
        _within(name, getattr(counts, name), 0, MOST_COUNT)
    _at_most("dropped", counts.dropped, MOST_WORD)
    for reason, number in counts.dropped.items():
        _text("dropped", reason)
        _within("dropped", number, 0, MOST_COUNT)


def _video(video: m.VideoInfo | None) -> None:
    if video is not None:
        _within("video.width", video.width, 0, MOST_NUMBER)
        _within("video.height", video.height, 0, MOST_NUMBER)
        _within("video.fps", video.fps, 0.0, MOST_FPS)
        _optional("video.frames", video.frames, 0, MOST_COUNT)
        _optional("video.duration_s", video.duration_s, 0.0, MOST_SECONDS)
        _within("video.rotation", video.rotation, 0, 359)
        _text("video.codec", video.codec)
        _text("video.decoder", video.decoder)


def _problems(problems: Collection[m.StreamProblem]) -> None:
    _at_most("problems", problems, MOST_PROBLEMS)
    for problem in problems:
        _within("problems.at_frame", problem.at_frame, 0, MOST_COUNT)
        _within("problems.at_s", problem.at_s, 0.0, MOST_SECONDS)
        _text("problems.reason", problem.reason, MOST_TEXT)


def _held(frame: m.Frame | m.FrameDetections) -> None:
    _within("held", frame.held, 0, MOST_COUNT)
    _within("held_s", frame.held_s, 0.0, MOST_SECONDS)


def _gate(gate: m.Gate | None) -> None:
    masks: Sequence[Sequence[tuple[float, float]]] = () if gate is None else gate.masks
    _at_most("gate.masks", masks, MOST_MASKS)
    for corners in masks:
        _at_most("gate.masks", corners, MOST_CORNERS)
        if len(corners) < 3:
            raise BadMessage(f"a mask has {len(corners)} corners; 3 are the least")
        for x, y in corners:
            _within("gate.masks", x, 0.0, 1.0)
            _within("gate.masks", y, 0.0, 1.0)


def _stream_spec(spec: m.StreamSpec) -> None:
    _within("run", spec.run, 1, MOST_RUN)
    _within("started_ms", spec.started_ms, 0, LAST_MS - 1)
    _within("source.fps", spec.source.fps, 0.0, 1000.0)
    _within("source.start_s", spec.source.start_s, 0.0, MOST_SECONDS)
    _gate(spec.gate)
    _model(spec.model)
    for name, text in (("name", spec.name), ("url", spec.source.url)):
        _text(name, text, MOST_TEXT)
    _analytics(spec.analytics)


def _analytics(analytics: Collection[m.Analytic]) -> None:
    _at_most("analytics", analytics, MOST_ANALYTICS)
    for analytic in analytics:
        _text("analytics.name", analytic.name)
        _shallow("analytics.parameters", analytic.parameters)
        _at_most("analytics.targets", analytic.targets, MOST_WORD)
        _at_most("analytics.schedules", analytic.schedules, MOST_WORD)
        for schedule in analytic.schedules:
            for text in (schedule.begin, schedule.end, schedule.time_zone):
                _text("analytics.schedules", text)


def _analytics_changed(change: m.AnalyticsChanged) -> None:
    _within("run", change.run, 1, MOST_RUN)
    _within("seq", change.seq, 0, MOST_COUNT)
    _analytics(change.analytics)


def _run_begin(begin: m.RunBegin) -> None:
    if (begin.stream_id, begin.run) != (begin.spec.stream_id, begin.spec.run):
        raise BadMessage("a run begins with the definition of another")
    _stream_spec(begin.spec)
    _video(begin.video)


def _run_end(end: m.RunEnd) -> None:
    _within("run", end.run, 1, MOST_RUN)
    _within("ts_ms", end.ts_ms, 0, LAST_MS - 1)
    _counts(end.counts)
    _video(end.video)
    _problems(end.problems)
    _text("error", end.error, MOST_TEXT)


def _frame(frame: m.Frame) -> None:
    _picture(frame)
    _model(frame.model)
    _within("published_ms", frame.published_ms, 0, LAST_MS - 1)
    _held(frame)


def _frame_detections(frame: m.FrameDetections) -> None:
    _picture(frame)
    _model(frame.model)
    _within("model_version", frame.model_version, 0, MOST_COUNT)
    _within("published_ms", frame.published_ms, 0, LAST_MS - 1)
    _held(frame)
    _text("error", frame.error, MOST_TEXT)
    if not _TOPIC.fullmatch(frame.place.topic):
        raise BadMessage(f"place.topic is {frame.place.topic!r:.80}, which is no topic's name")
    _within("place.partition", frame.place.partition, 0, MOST_NUMBER)
    _within("place.offset", frame.place.offset, 0, MOST_OFFSET)
    _at_most("objects", frame.objects, MOST_SEEN)
    _at_most("faces", frame.faces, MOST_SEEN)
    _labels("objects.label", (d.label for d in frame.objects))
    _boxes("objects.box", [d.box for d in frame.objects])
    _boxes("faces.box", [f.box for f in frame.faces or ()])
    for face in frame.faces or ():
        _at_most("faces.landmarks", face.landmarks, MOST_LANDMARKS)
        for x, y in face.landmarks:
            _within("faces.landmarks", x, -MOST_SIDE, MOST_SIDE)
            _within("faces.landmarks", y, -MOST_SIDE, MOST_SIDE)


def _tracked(tracks: Sequence[m.TrackedBox]) -> None:
    _labels("tracks.label", (t.label for t in tracks))
    _boxes("tracks.box", [t.box for t in tracks])
    for track in tracks:
        _within("tracks.track_id", track.track_id, 0, MOST_NUMBER)
        _optional("tracks.detection", track.detection, 0, MOST_NUMBER)


def _frame_tracks(frame: m.FrameTracks) -> None:
    _picture(frame)
    _text("error", frame.error, MOST_TEXT)
    _at_most("tracks", frame.tracks, MOST_TRACKED)
    _at_most("views", frame.views, MOST_TRACKED)
    _at_most("earlier", frame.earlier, MOST_EARLIER)
    _tracked(frame.tracks)
    _tracked([earlier.track for earlier in frame.earlier])
    for earlier in frame.earlier:
        _place_in_run(earlier)
    for view in frame.views:
        _view(view, f"{frame.stream_id}/")


def _view(view: m.View, folder: str) -> None:
    _within("views.track_id", view.track_id, 0, MOST_NUMBER)
    _text("views.label", view.label)
    _text("views.model", view.model)
    _boxes("views.box", [view.box])
    _within("views.quality", view.quality, 0.0, 1.0)
    _at_most("views.embedding", view.embedding, MOST_DIMENSIONS)
    if view.embedding:
        _within("views.embedding", min(view.embedding), -MOST_COMPONENT, MOST_COMPONENT)
        _within("views.embedding", max(view.embedding), -MOST_COMPONENT, MOST_COMPONENT)
    if not view.media_key.startswith(folder):
        raise BadMessage(f"views.media_key is {view.media_key!r:.120}, not of the view's own stream")


def _event(event: m.Event) -> None:
    _within("run", event.run, 1, MOST_RUN)
    _within("analytic_index", event.analytic_index, 0, MOST_SIDE)
    _within("number", event.number, 0, MOST_NUMBER)
    _within("score", event.score, 0.0, 1.0)
    for name in ("seq", "begin_seq", "end_seq"):
        _optional(name, getattr(event, name), 0, MOST_COUNT)
    for name in ("ts_ms", "begin_ms", "end_ms", "prior_ms"):
        _optional(name, getattr(event, name), 0, LAST_MS - 1)
    for name in ("begin_s", "end_s"):
        _optional(name, getattr(event, name), 0.0, MOST_SECONDS)
    for name in ("type", "event_type", "label"):
        _text(name, getattr(event, name))
    _optional("track_id", event.track_id, 0, MOST_NUMBER)
    _text("image", event.image, MOST_TEXT)
    if event.box is not None:
        _boxes("box", [event.box])
    _shallow("data", event.data)


def _stream_status(status: m.StreamStatus) -> None:
    _within("run", status.run, 1, MOST_RUN)
    _within("ts_ms", status.ts_ms, 0, LAST_MS - 1)
    _text("host", status.host)
    _text("error", status.error, MOST_TEXT)
    _counts(status.counts)
    _video(status.video)
    _problems(status.problems)
    _optional("last_media_s", status.last_media_s, 0.0, MOST_SECONDS)
    _optional("total_frames", status.total_frames, 0, MOST_COUNT)
    _within("attempt", status.attempt, 0, MOST_NUMBER)
    _at_most("paused", status.paused, MOST_ANALYTICS)
    for place in status.paused:
        _within("paused", place, 0, MOST_ANALYTICS)


def _node_status(status: m.NodeStatus) -> None:
    _within("ts_ms", status.ts_ms, 0, LAST_MS - 1)
    _within("started_ms", status.started_ms, 0, LAST_MS - 1)
    for name in ("host", "address"):
        _text(name, getattr(status, name))
    for name in ("cpu_percent", "ram_percent", "swap_percent"):
        _within(name, getattr(status, name), 0.0, MOST_PERCENT)
    _within("streams", status.streams, 0, MOST_NUMBER)
    for name in ("gpus", "services", "usage"):
        _at_most(name, getattr(status, name), MOST_WORD)
    _labels("services", (*status.services, *status.usage))
    for gpu in status.gpus:
        _text("gpus.name", gpu.name)
        for name in ("utilization", "temperature", "memory_total", "memory_used", "memory_free"):
            _optional(f"gpus.{name}", getattr(gpu, name), -MOST_NUMBER, MOST_COUNT)


def _orders(orders: m.Orders) -> None:
    _within("restart_ms", orders.restart_ms, 0, LAST_MS - 1)


def _stream_change(change: m.StreamChange) -> None:
    _within("run", change.run, 1, MOST_RUN)
    _within("ts_ms", change.ts_ms, 0, LAST_MS - 1)
    _within("version", change.version, 1, MOST_NUMBER)
    _text("error", change.error, MOST_TEXT)


def _task_end(end: m.TaskEnd) -> None:
    _within("run", end.run, 1, MOST_RUN)
    _within("ts_ms", end.ts_ms, 0, LAST_MS - 1)
    _text("error", end.error, MOST_TEXT)


def _notification(told: m.Notification) -> None:
    _within("run", told.run, 1, MOST_RUN)
    _within("ts_ms", told.ts_ms, 0, LAST_MS - 1)
    _text("notification_id", told.notification_id)
    _text("account_id", told.account_id)
    _optional("analytic_index", told.analytic_index, 0, MOST_SIDE)
    _shallow("body", told.body, DEEPEST + 2)  # an event's data lies two levels deep in it


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "stream_spec": _stream_spec,
    "run_begin": _run_begin,
    "analytics_changed": _analytics_changed,
    "run_end": _run_end,
    "frame": _frame,
    "frame_detections": _frame_detections,
    "frame_tracks": _frame_tracks,
    "event": _event,
    "stream_status": _stream_status,
    "node_status": _node_status,
    "orders": _orders,
    "stream_change": _stream_change,
    "task_end": _task_end,
    "notification": _notification,
}
"""By a message's tag."""
