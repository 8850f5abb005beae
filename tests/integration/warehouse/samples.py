"""Messages that look like a pipeline's, made from a seed."""

from __future__ import annotations

from random import Random
from uuid import UUID

from core.ids import EventId, Run, Seq, StreamId, TrackId, ViewId, event_id, media_key, view_id
from core.messages import (
    Analytic,
    Box,
    Detection,
    Event,
    Face,
    FrameDetections,
    FrameTracks,
    Place,
    Source,
    StreamSpec,
    TrackedBox,
    View,
)

START_MS = 1_760_000_000_000
LABELS = ("person", "car", "it's", "a\\b", "tab\t", "new\nline", "ünï☃", "{x:String}", "%s", "nul\0")


def stream_id(number: int) -> StreamId:
    """The same ids in every test."""
    return StreamId(UUID(int=(0xABCD << 112) + number))


def box(random: Random) -> Box:
    """Rounded as the detector's."""
    x, y = random.uniform(0, 0.8), random.uniform(0, 0.8)
    return (round(x, 5), round(y, 5), round(x + random.uniform(0.01, 0.2), 5), round(y + random.uniform(0.01, 0.2), 5))


def frames(
    stream: StreamId, count: int, *, run: int = 1, first: int = 0, per_frame: int = 4, fps: float = 10.0
) -> list[FrameDetections]:
    """Consecutive frames with up to `per_frame` objects and now and then faces; every 17th failed."""
    made = []
    for seq in range(first, first + count):
        random = Random(f"{stream}/{run}/{seq}")
        failed = seq % 17 == 16
        objects = tuple(
            Detection(random.choice(LABELS), random.random(), box(random))
            for _ in range(0 if failed else random.randint(0, per_frame))
        )
        face = Face(random.random(), box(random), tuple((random.random(), random.random()) for _ in range(6)))
        faces = None if seq % 3 else ((face,) if seq % 2 else ())
        made.append(
            FrameDetections(
                stream_id=stream,
                run=Run(run),
                seq=Seq(seq),
                index=seq * 3,
                media_s=seq / fps,
                ts_ms=START_MS + int(seq * 1000 / fps),
                width=960,
                height=540,
                model="centernet-512",
                model_version=202401151200,
                place=Place("frames.batch", 0, seq),
                objects=objects,
                faces=None if failed else faces,
                error="cannot be decoded" if failed else None,
            )
        )
    return made


def tracks(stream: StreamId, count: int, *, run: int = 1, keyspace: str = "appearance") -> list[FrameTracks]:
    """Consecutive frames in which track n is seen over a stretch of its own; a view every 10 frames."""
    made = []
    for seq in range(count):
        random = Random(f"tracks/{stream}/{run}/{seq}")
        followed = tuple(
            TrackedBox(
                TrackId(track),
                LABELS[track % len(LABELS)],
                random.random(),
                box(random),
                "face" if track % 4 == 3 else "object",
                None if random.random() < 0.2 else random.randint(0, 5),
            )
            for track in range(1, 8)
            if track * 5 <= seq < track * 5 + 20
        )
        views = tuple(
            view(stream, run, t.track_id, seq, random=random, keyspace=keyspace) for t in followed if seq % 10 == 0
        )
        made.append(
            FrameTracks(
                stream_id=stream,
                run=Run(run),
                seq=Seq(seq),
                index=seq * 3,
                media_s=seq / 10,
                ts_ms=START_MS + seq * 100,
                width=960,
                height=540,
                tracks=followed,
                views=views,
            )
        )
    return made


def view(
    stream: StreamId, run: int, track: int, seq: int, *, random: Random, keyspace: str, dimension: int = 8
) -> View:
    """A view with a picture's key and a normalised vector."""
    made: ViewId = view_id(stream, Run(run), TrackId(track), Seq(seq), keyspace)
    vector = [random.gauss(0, 1) for _ in range(dimension)]
    length = sum(v * v for v in vector) ** 0.5
    return View(
        view_id=made,
        track_id=TrackId(track),
        keyspace=keyspace,
        label=LABELS[track % len(LABELS)],
        score=random.random(),
        box=box(random),
        media_key=media_key(stream, Run(run), made),
        jpeg=b"\xff\xd8",
        model=keyspace,
        embedding=tuple(v / length for v in vector),
        quality=random.random(),
    )


def events(stream: StreamId, count: int, *, run: int = 1) -> list[list[Event]]:
    """Per event its phases in order: begin, up to two updates, and for most an end."""
    made = []
    for number in range(1, count + 1):
        random = Random(f"events/{stream}/{run}/{number}")
        begin_seq = random.randint(0, 90)
        identity: EventId = event_id(stream, Run(run), 0, number)
        phases = ["begin", *["update"] * random.randint(0, 2), *["end"] * (number % 4 != 0)]
        kind = random.choice(["object_detection", "people_count"])
        story = []
        for n, phase in enumerate(phases):
            seq = begin_seq + n * 5
            ended = phase == "end"
            story.append(
                Event(
                    event_id=identity,
                    stream_id=stream,
                    run=Run(run),
                    analytic_index=0,
                    type=kind,
                    event_type="object" if kind == "object_detection" else "crowd",
                    phase=phase,
                    number=n,
                    seq=Seq(seq),
                    ts_ms=START_MS + seq * 100,
                    begin_ms=START_MS + begin_seq * 100,
                    begin_s=begin_seq / 10,
                    begin_seq=Seq(begin_seq),
                    end_ms=START_MS + seq * 100 if ended else None,
                    end_s=seq / 10 if ended else None,
                    end_seq=Seq(seq) if ended else None,
                    label=random.choice(LABELS),
                    track_id=TrackId(number) if kind == "object_detection" else None,
                    score=random.random(),
                    image=f"{stream}/1/{number}.jpg" if n else None,
                    box=box(random) if n else None,
                    data={"people_count": n, "text": LABELS[number % len(LABELS)], "nested": [{"x": 0.1}]} if n else {},
                )
            )
        made.append(story)
    return made


def spec(
    stream: StreamId, *, run: int = 1, task: bool = True, url: str = "media:uploads/a.mp4", **more: object
) -> StreamSpec:
    """A task, or with `task` false a live stream."""
    values: dict[str, object] = {
        "stream_id": stream,
        "run": Run(run),
        "name": "a street",
        "lane": "batch" if task else "live",
        "source": Source(url),
        "analytics": (Analytic("object_detection", {"min_score": 0.5}),),
        "model": "centernet-512",
        "started_ms": START_MS,
        "task": task,
    }
    return StreamSpec(**(values | more))
