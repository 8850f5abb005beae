"""The result of an analysis; one builder for immediate and deferred ones, so that both are equal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.clock import rfc3339
from core.ids import TrackId
from core.messages import Box, Event, IngestCounts, StreamProblem, StreamSpec, VideoInfo
from query_api.services.ledger import balance
from query_api.types.agent import AgentEvent, AnalyticResult, VideoData, VideoSdkAnswer, VideoSegment
from query_api.types.query import (
    ObjectCounts,
    ResultBox,
    ResultEvent,
    ResultTrack,
    SourceProblem,
    Speed,
    TaskResult,
    VideoFacts,
)
from warehouse.rows import FrameCounts, RunTrackPoint


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is known of a finished run.

    Attributes:
        points: of every track, in any order.
        events: each as it stands at the end.
        images: media key of each track's best picture; empty where nothing is stored.
        seconds: from the first frame read to the last stored.
    """

    spec: StreamSpec
    video: VideoInfo | None
    counts: IngestCounts
    problems: Sequence[StreamProblem]
    stored: FrameCounts
    points: Iterable[RunTrackPoint]
    events: Iterable[Event]
    images: Mapping[TrackId, str] = field(default_factory=dict)
    seconds: float = 0.0


def short(value: float) -> float:
    """A score or coordinate to five decimals."""
    return round(value, 5)


def seconds(value: float) -> float:
    """Media seconds to microseconds."""
    return round(value, 6)


def _box(box: Box) -> Box:
    return short(box[0]), short(box[1]), short(box[2]), short(box[3])


def task_result(found: Findings) -> TaskResult:
    """What ``/query/v1/tasks/{id}/result`` answers."""
    events = _ordered(found.events)
    tracks = _tracks(found, events)
    ledger = balance(found.counts, found.stored)
    return TaskResult(
        task_id=str(found.spec.stream_id),
        video=video_facts(found.spec.name, found.video, found.counts),
        ledger=ledger,
        errors=problems_shown(found.problems),
        objects=_objects(tracks),
        tracks=tracks,
        events=[_result_event(event) for event in events],
        speed=speed(ledger.processed, found.seconds),
        video_data=_video_data(found),
        analytics=_analytics(found.spec, events),
    )


def immediate_answer(found: Findings) -> VideoSdkAnswer:
    """What an immediate ``POST /1/videosdk`` answers: equal parts of the task's result."""
    return VideoSdkAnswer(_video_data(found), _analytics(found.spec, _ordered(found.events)))


def video_facts(name: str, video: VideoInfo | None, counts: IngestCounts) -> VideoFacts:
    """The video as answers show it."""
    if video is None:
        return VideoFacts(name, counts.decoded, 0, 0, 0.0, None, 0)
    frames = counts.decoded if video.frames is None else video.frames
    return VideoFacts(name, frames, video.width, video.height, video.fps, video.duration_s, video.rotation)


def problems_shown(problems: Iterable[StreamProblem]) -> list[SourceProblem]:
    """Damaged places as answers show them."""
    return [SourceProblem(problem.at_frame, seconds(problem.at_s), problem.reason) for problem in problems]


def speed(frames: int, seconds_taken: float) -> Speed:
    """Frames over the seconds they took."""
    rate = frames / seconds_taken if seconds_taken > 0 else 0.0
    return Speed(frames, round(seconds_taken, 3), round(rate, 2))


def _ordered(events: Iterable[Event]) -> list[Event]:
    """By begin; never by id, which differs between two analyses of one video."""
    return sorted(
        events,
        key=lambda e: (e.begin_seq, e.analytic_index, e.track_id or -1, e.label, e.end_seq or -1, short(e.score)),
    )


def _tracks(found: Findings, events: Sequence[Event]) -> list[ResultTrack]:
    named = {event.track_id: event.label for event in events if event.track_id is not None and event.label}
    by_track: defaultdict[TrackId, list[RunTrackPoint]] = defaultdict(list)
    for point in found.points:
        by_track[point.track.track_id].append(point)
    return [
        _track(track_id, sorted(by_track[track_id], key=lambda p: p.seq), named.get(track_id), found.images)
        for track_id in sorted(by_track)
    ]


def _track(
    track_id: TrackId, points: Sequence[RunTrackPoint], label: str | None, images: Mapping[TrackId, str]
) -> ResultTrack:
    best = max(points, key=lambda point: short(point.track.score))
    first, last = points[0], points[-1]
    return ResultTrack(
        track_id=track_id,
        kind=best.track.kind,
        label=label or best.track.label,
        score=short(best.track.score),
        first_frame=first.index,
        last_frame=last.index,
        first_s=seconds(first.media_s),
        last_s=seconds(last.media_s),
        boxes=[
            ResultBox(p.index, seconds(p.media_s), _box(p.track.box), short(p.track.score)) for p in points
        ],
        image=images.get(track_id),
    )  # fmt: skip


def _objects(tracks: Sequence[ResultTrack]) -> dict[str, ObjectCounts]:
    visits: Counter[str] = Counter()
    at_once: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for track in tracks:
        visits[track.label] += 1
        at_once[track.label].update(box.frame for box in track.boxes)
    return {
        label: ObjectCounts(visits[label], len(at_once[label]), max(at_once[label].values()))
        for label in sorted(visits)
    }


def _result_event(event: Event) -> ResultEvent:
    return ResultEvent(
        event_id=str(event.event_id),
        type=event.type,
        event_type=event.event_type,
        label=event.label,
        begin_s=seconds(event.begin_s),
        end_s=None if event.end_s is None else seconds(event.end_s),
        track_id=event.track_id,
        score=short(event.score),
        image=event.image,
        data=event.data,
    )


def _analytics(spec: StreamSpec, events: Sequence[Event]) -> list[AnalyticResult]:
    return [
        AnalyticResult(analytic.name, [_agent_event(event) for event in events if event.analytic_index == index])
        for index, analytic in enumerate(spec.analytics)
    ]


def _agent_event(event: Event) -> AgentEvent:
    return AgentEvent(
        event_id=str(event.event_id),
        event_type=event.event_type,
        event_create_time=rfc3339(event.begin_ms),
        event_end_time=None if event.end_ms is None else rfc3339(event.end_ms),
        video_segment=VideoSegment(seconds(event.begin_s), None if event.end_s is None else seconds(event.end_s)),
        track_id=event.track_id,
        label=event.label,
        score=short(event.score),
        box=None if event.box is None else _box(event.box),
        image=event.image,
        event=event.data,
    )


def _video_data(found: Findings) -> VideoData:
    facts = video_facts(found.spec.name, found.video, found.counts)
    frames = facts.frames or 0
    borders = {problem.at_frame for problem in found.problems if 0 < problem.at_frame < frames}
    return VideoData(
        frame_count=frames,
        frame_rate=facts.fps,
        duration=facts.duration_s,
        width=facts.width,
        height=facts.height,
        rotation=facts.rotation,
        error_count=len(found.problems),
        processed_parts=len(borders) + 1 if frames else 0,
    )
