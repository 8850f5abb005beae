"""Cars that people counted by eye are what crosses the line, with the real detector."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg

from core.messages import Analytic, Event, Source, VideoInfo
from core.settings import Breaker, Models
from inference.client import ModelClient
from streams_proc.detect import _rounded_box
from tests.unit.analyse.scenes import Bench, Row, begin, end, events_of, frame

pytestmark = pytest.mark.models

ROUNDS = 10
CHUNK = 32


@dataclass(frozen=True, slots=True)
class Clip:
    """What the detector saw in each frame."""

    video: VideoInfo
    rows: list[Row]


def decoded(path: Path) -> tuple[VideoInfo, list[bytes]]:
    """A clip's frames as JPEGs."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 0)
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    height, width = pictures[0].shape[:2]
    return VideoInfo(width, height, fps), [
        simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90) for picture in pictures
    ]


async def seen(models: Models, jpegs: Sequence[bytes]) -> list[Row]:
    """The real detector's answer for each picture."""
    assert models.dir is not None
    client = ModelClient(models, Breaker(), models.dir)
    rows: list[Row] = []
    try:
        for at in range(0, len(jpegs), CHUNK):
            for answer in await client.detect(models.detector, jpegs[at : at + CHUNK]):
                assert isinstance(answer, tuple), answer
                rows.append([(d.label, d.score, _rounded_box(d.box)) for d in answer])
    finally:
        await client.close()
    return rows


@pytest.fixture(scope="module")
def clip(model_server: Models, shared: Path) -> Clip:
    video, jpegs = decoded(shared / "data/videos/intel/car-detection.mp4")
    return Clip(video, asyncio.run(seen(model_server, jpegs)))


@pytest.fixture(scope="module")
def truth(shared: Path) -> dict[str, Any]:
    counted: dict[str, Any] = json.loads((shared / "data/gt/counts.json").read_text())["car-detection.mp4"]
    return counted


def crossings(clip: Clip, every: int = 1, rounds: int = 1) -> list[Event]:
    """One event a crossing of the middle, of every so many frames, the clip played so often."""
    analytic = Analytic("line_crossing", {"labels": "any", "embeddings": False})
    frames = [(n, row) for n, row in enumerate(clip.rows * rounds) if n % every == 0]
    rate = clip.video.fps / every
    messages = [
        begin(analytic, video=clip.video, source=Source("file:/cars.mp4", fps=rate)),
        *(frame(seq, row, media_s=n / clip.video.fps) for seq, (n, row) in enumerate(frames)),
        end(),
    ]
    return [event for event in events_of(Bench().give(messages)) if event.phase == "end"]


def directions(events: Sequence[Event]) -> Counter[str]:
    return Counter(str(event.data["direction"]) for event in events)


@pytest.mark.parametrize("every", [1, 2])
def test_two_cars_go_up_and_two_go_down(clip: Clip, truth: dict[str, Any], every: int) -> None:
    events = crossings(clip, every)
    assert directions(events) == {"up": truth["up"], "down": truth["down"]} == {"up": 2, "down": 2}
    assert {event.label for event in events} == {"any"}
    assert events[-1].data["counts"] == {"up": 2, "down": 2}
    for event in events:
        assert event.begin_s == event.end_s
        at_frame = event.begin_s * clip.video.fps
        assert any(
            car["dir"] == event.data["direction"] and car["frames"][0] - 15 <= at_frame <= car["frames"][1] + 15
            for car in truth["tracks"]
        ), "each crosses while it is in the picture"


def test_an_endless_camera_counts_every_round(clip: Clip, truth: dict[str, Any]) -> None:
    events = crossings(clip, rounds=ROUNDS)
    assert directions(events) == {"up": ROUNDS * truth["up"], "down": ROUNDS * truth["down"]}
