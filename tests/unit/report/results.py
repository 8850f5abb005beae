"""Results that look like real ones, from a seed."""

from __future__ import annotations

import random

from infra.report.result import (
    FoundEvent,
    Ledger,
    ObjectCount,
    Problem,
    Result,
    Speed,
    Track,
    TrackBox,
    Video,
)

LABELS = ("person", "car", "bicycle", "dog", "bus")


def make_result(
    tracks: int,
    *,
    seed: int = 7,
    frames: int = 300,
    step: int = 3,
    fps: float = 30.0,
    size: tuple[int, int] = (640, 480),
    name: str = "clip.mp4",
    labels: tuple[str, ...] = LABELS,
    problems: tuple[Problem, ...] = (),
) -> Result:
    """A video in which `tracks` objects cross the picture, each with one event."""
    dice = random.Random(seed)
    followed = tuple(_track(dice, number, frames, step, fps=fps, labels=labels) for number in range(1, tracks + 1))
    read = (frames + step - 1) // step
    return Result(
        task_id="0a1b2c3d-0000-4000-8000-000000000001",
        video=Video(name, *size, fps, frames, frames / fps),
        ledger=Ledger(
            frames,
            frames - read,
            read,
            read - 2 if tracks > 3 else read,
            0,
            {"backlog": 1} if tracks > 3 else {},
            1 if tracks > 3 else 0,
        ),
        errors=problems,
        objects=_objects(followed),
        tracks=followed,
        events=tuple(_event(track) for track in followed),
        speed=Speed(read, read / 25, 25.0),
    )


def _track(dice: random.Random, number: int, frames: int, step: int, *, fps: float, labels: tuple[str, ...]) -> Track:
    first = dice.randrange(0, frames * 3 // 4, step)
    last = min(frames - 1, first + dice.randrange(step, frames // 3))
    left, top = dice.uniform(0, 0.4), dice.uniform(0, 0.5)
    width, height = dice.uniform(0.05, 0.2), dice.uniform(0.1, 0.4)
    boxes = []
    for frame in range(first, last + 1, step):
        if dice.random() < 0.9 or not boxes:
            x = round(left + 0.4 * (frame - first) / frames, 5)
            box = (x, round(top, 5), round(x + width, 5), round(top + height, 5))
            boxes.append(TrackBox(frame, round(frame / fps, 6), box, round(dice.uniform(0.4, 0.95), 5)))
    label = labels[min(int(dice.expovariate(0.9)), len(labels) - 1)]
    score = max(box.score for box in boxes)
    return Track(number, label, score, boxes[0].frame, boxes[-1].frame, boxes[0].s, boxes[-1].s, tuple(boxes))


def _event(track: Track) -> FoundEvent:
    return FoundEvent(
        f"event-{track.track_id}", "object_detection", track.label, track.first_s, track.last_s, track.track_id,
        track.score, f"pictures/{track.track_id}.jpg",
    )  # fmt: skip


def _objects(tracks: tuple[Track, ...]) -> dict[str, ObjectCount]:
    counts = {}
    for label in sorted({track.label for track in tracks}):
        own = [track for track in tracks if track.label == label]
        seen = [box.frame for track in own for box in track.boxes]
        counts[label] = ObjectCount(len(own), len(set(seen)), max(seen.count(frame) for frame in set(seen)))
    return counts
