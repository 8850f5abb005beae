"""Views of real frames, with the real embedders."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from core.ids import Run, Seq
from core.messages import Analytic, Face, Frame, Place, View, encode_frame
from core.settings import Breaker, Models
from inference.client import ModelClient
from streams_proc.analyse import AnalyseHandler
from streams_proc.views import Embedding, ViewTaker
from tests.unit.analyse.scenes import STREAM, TOPICS, Bench, begin, end, frame, records, tracks_of

pytestmark = pytest.mark.models


def frames_of(path: Path, every: int, most: int) -> list[bytes]:
    """JPEGs of every so many frames."""
    with av.open(str(path)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][::every][:most]
    return [simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90) for picture in pictures]


class Clip:
    """Frames of a clip, by offset."""

    def __init__(self, jpegs: Sequence[bytes]) -> None:
        self.jpegs = jpegs

    async def read(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        return {p: self.record(p.offset) for p in places}

    def record(self, n: int) -> bytes:
        return encode_frame(Frame(STREAM, Run(1), Seq(n), n, n / 10, 0, 1, 1, self.jpegs[n], model="m"))


async def views_of(models: Models, clip: Sequence[bytes]) -> list[View]:
    """The face views of a clip, with the faces that the real detector sees."""
    assert models.dir is not None
    client = ModelClient(models, Breaker(), models.dir)
    try:
        answers = await client.detect_faces("facemesh-detection", clip)
        faces = [answer for answer in answers if isinstance(answer, tuple)]
        widen = client.card("faceres").widen
        taker = ViewTaker(Clip(clip), client, {"face": Embedding("faceres", widen)})
        handler = AnalyseHandler(TOPICS, Bench().settings, taker)
        rows = [frame(n, faces=[("", f.score, f.box) for f in seen]) for n, seen in enumerate(faces)]
        outcomes = await handler.handle(records([begin(Analytic("face_detection"), fps=10.0), *rows, end()]))
    finally:
        await client.close()
    assert all(isinstance(face, Face) for seen in faces for face in seen)
    return [view for shown in tracks_of(outcomes) for view in shown.views]


def test_one_person_looks_alike_and_two_do_not(model_server: Models, shared: Path) -> None:
    folder = shared / "data/videos"
    alone = asyncio.run(views_of(model_server, frames_of(folder / "wpt/faces.mov", 12, 25)))
    pair = "intel/preview/head-pose-face-detection-female-and-male.gif"
    both = asyncio.run(views_of(model_server, frames_of(folder / pair, 1, 12)))
    for view in (*alone, *both):
        assert len(view.embedding) == 1024
        assert math.isclose(sum(x * x for x in view.embedding), 1.0, abs_tol=1e-3)
    assert {view.track_id for view in both} == {1, 2}
    one, other = (next(v for v in both if v.track_id == track) for track in (1, 2))
    woman_and_man = float(np.dot(one.embedding, other.embedding))
    himself = [float(np.dot(alone[0].embedding, view.embedding)) for view in alone[1:]]
    assert himself
    assert min(himself) > woman_and_man
