from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadImage, ModelError, ModelUnavailable
from core.messages import Detection, Face
from core.settings import Breaker, Models
from inference import client as module
from inference.cards import ModelCard, save_card
from inference.client import ModelClient
from inference.protos import ModelVersionStatus, PredictResponse
from tests.unit.inference.fakes import FakeServer, Refused, refusing, replicas, response

INVALID = grpc.StatusCode.INVALID_ARGUMENT
INTERNAL = grpc.StatusCode.INTERNAL


def jpeg(number: int) -> bytes:
    """A picture that is no other picture."""
    return simplejpeg.encode_jpeg(np.full((8, 8, 3), number % 256, np.uint8)) + number.to_bytes(4, "big")


def number_of(image: bytes) -> float:
    return float(int.from_bytes(image[-4:], "big"))


def embedding(images: Sequence[bytes]) -> PredictResponse:
    return response(embedding=[[number_of(image), 1.0] for image in images])


def failing_on(
    bad: Callable[[bytes], bool], code: grpc.StatusCode = INVALID
) -> Callable[[Sequence[bytes]], PredictResponse]:
    def answer(images: Sequence[bytes]) -> PredictResponse:
        if any(bad(image) for image in images):
            raise Refused(code, "cannot decode\nmore")
        return embedding(images)

    return answer


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    common = {"version": 1, "input_size": 8, "licence": "MIT", "source": "test"}
    for card in (
        ModelCard(name="d", kind="detector", labels=("cat", "", "dog"), floor=0.2, **common),
        ModelCard(name="f", kind="face_detector", labels=("face",), floor=0.5, **common),
        ModelCard(name="e", kind="embedder", dimension=2, input="crops", **common),
    ):
        save_card(folder, card)
    return folder


def client(models_dir: Path, *servers: FakeServer) -> ModelClient:
    models = Models(crops=module.MOST_IMAGES)
    return ModelClient(models, Breaker(), models_dir, replicas=replicas(*servers))


def embed(models_dir: Path, server: FakeServer, images: Sequence[bytes]) -> list[tuple[float, ...] | BadImage]:
    return asyncio.run(client(models_dir, server).embed("e", images))


def numbers(results: Sequence[tuple[float, ...] | BadImage]) -> list[float | None]:
    return [None if isinstance(result, BadImage) else result[0] for result in results]


@given(st.lists(st.booleans(), max_size=20))
def test_exactly_the_bad_pictures_are_refused(models_dir: Path, bad: list[bool]) -> None:
    images = [jpeg(n) for n in range(len(bad))]
    wrong = {image for image, is_bad in zip(images, bad, strict=True) if is_bad}
    results = embed(models_dir, FakeServer(failing_on(wrong.__contains__)), images)
    assert numbers(results) == [None if is_bad else float(n) for n, is_bad in enumerate(bad)]


def test_the_reason_is_what_the_server_says_of_the_picture(models_dir: Path) -> None:
    bad = jpeg(3)
    (result, _) = embed(models_dir, FakeServer(failing_on(bad.__eq__)), [bad, jpeg(4)])
    assert isinstance(result, BadImage)
    assert str(result) == "the picture cannot be decoded: cannot decode"


def test_a_good_batch_is_one_call_and_a_bad_picture_costs_few(models_dir: Path) -> None:
    server = FakeServer(embedding)
    embed(models_dir, server, [jpeg(n) for n in range(8)])
    assert [len(images) for images in server.asked] == [8]
    bad = jpeg(5)
    server = FakeServer(failing_on(bad.__eq__))
    embed(models_dir, server, [jpeg(n) for n in range(8)])
    assert sorted(len(images) for images in server.asked) == [1, 1, 1, 1, 2, 2, 4, 4, 8]


def test_what_is_no_picture_is_never_sent(models_dir: Path) -> None:
    server = FakeServer(embedding)
    assert numbers(embed(models_dir, server, [b"nothing", jpeg(1)])) == [None, 1.0]
    assert server.asked == [[jpeg(1)]]


def test_nothing_asked_nothing_sent(models_dir: Path) -> None:
    server = FakeServer(embedding)
    assert embed(models_dir, server, []) == []
    assert server.asked == []


def test_a_picture_is_not_blamed_for_a_batch_that_it_shared(models_dir: Path) -> None:
    server = FakeServer(refusing(INVALID, INVALID, then=embedding))
    assert numbers(embed(models_dir, server, [jpeg(1)])) == [1.0]


@pytest.mark.parametrize("code", [INVALID, INTERNAL, grpc.StatusCode.UNKNOWN])
def test_a_model_that_fails_on_every_picture_is_broken(models_dir: Path, code: grpc.StatusCode) -> None:
    server = FakeServer(failing_on(lambda _: True, code))
    with pytest.raises(ModelError, match=f"e fails on every picture: {code.name}"):
        embed(models_dir, server, [jpeg(1), jpeg(2)])


def test_all_pictures_bad_of_a_model_that_is_not_broken(models_dir: Path) -> None:
    images = [jpeg(1), jpeg(2)]
    results = embed(models_dir, FakeServer(failing_on(images.__contains__, INTERNAL)), images)
    assert numbers(results) == [None, None]


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED])
@pytest.mark.parametrize("after", [0, 1])
def test_a_model_that_is_not_there_stops_the_line(models_dir: Path, code: grpc.StatusCode, after: int) -> None:
    server = FakeServer(refusing(*[INVALID] * after, code, then=embedding))
    with pytest.raises(ModelError, match=code.name):
        embed(models_dir, server, [jpeg(1)])


def test_no_server_is_unavailable(models_dir: Path) -> None:
    server = FakeServer(refusing(*[grpc.StatusCode.UNAVAILABLE] * 99, then=embedding))
    with pytest.raises(ModelUnavailable):
        embed(models_dir, server, [jpeg(1)])


def test_crops_are_asked_about_a_few_at_a_time(models_dir: Path) -> None:
    server = FakeServer(embedding)
    images = [jpeg(n) for n in range(7)]
    few = ModelClient(Models(crops=3), Breaker(), models_dir, replicas=replicas(server))
    assert numbers(asyncio.run(few.embed("e", images))) == [float(n) for n in range(7)]
    assert [len(part) for part in server.asked] == [3, 3, 1]


def test_large_requests_are_parted(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [jpeg(n) for n in range(module.MOST_IMAGES + 3)]
    server = FakeServer(embedding)
    assert numbers(embed(models_dir, server, images)) == [float(n) for n in range(len(images))]
    assert [len(part) for part in server.asked] == [module.MOST_IMAGES, 3]
    monkeypatch.setattr(module, "MOST_BYTES", 2 * len(images[0]) + 1)
    server = FakeServer(embedding)
    embed(models_dir, server, images[:5])
    assert [len(part) for part in server.asked] == [2, 2, 1]


def detections(images: Sequence[bytes]) -> PredictResponse:
    rows = len(images)
    boxes = [[0.1, 0.2, 0.5, 0.6], [-0.2, 0.0, 1.3, 1.0], [0.3, 0.3, 0.3, 0.9], [0.0, 0.0, 1.0, 1.0]]
    return response(
        detection_boxes=[boxes] * rows,
        detection_scores=[[0.25, 0.9, 0.8, 0.1]] * rows,
        detection_classes=[[1, 3, 1, 3]] * rows,
        num_detections=[4] * rows,
    )


def test_detections_fall_in_score_lie_within_the_picture_and_reach_the_floor(models_dir: Path) -> None:
    server = FakeServer(detections)
    found = asyncio.run(client(models_dir, server).detect("d", [jpeg(1), jpeg(2)], lane="live"))
    expected = (Detection("dog", 0.9, (0.0, 0.0, 1.0, 1.0)), Detection("cat", 0.25, (0.2, 0.1, 0.6, 0.5)))
    assert found == [expected, expected]
    assert server.metadata == [(("sightline-lane", "live"),)]


def test_a_floor_of_ones_own(models_dir: Path) -> None:
    (found,) = asyncio.run(client(models_dir, FakeServer(detections)).detect("d", [jpeg(1)], floor=0.0))
    assert isinstance(found, tuple)
    assert [d.score for d in found] == [0.9, 0.25, 0.1]


def test_only_num_detections_are_read_and_classes_without_a_name_passed_over(models_dir: Path) -> None:
    def answer(images: Sequence[bytes]) -> PredictResponse:
        return response(
            detection_boxes=[[[0.0, 0.0, 0.5, 0.5]] * 4],
            detection_scores=[[0.9, 0.9, 0.8, 0.7]],
            detection_classes=[[2, 9, 1, 1]],
            num_detections=[3],
        )

    (found,) = asyncio.run(client(models_dir, FakeServer(answer)).detect("d", [jpeg(1)]))
    assert found == (Detection("cat", 0.8, (0.0, 0.0, 0.5, 0.5)),)


def test_faces_have_their_points_as_x_and_y(models_dir: Path) -> None:
    def answer(images: Sequence[bytes]) -> PredictResponse:
        return response(
            detection_boxes=[[[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.1, 0.1]]],
            detection_scores=[[0.75, 0.4]],
            detection_keypoints=[[[[0.11, 0.22]] * 6, [[0.0, 0.0]] * 6]],
            num_detections=[2],
        )

    (found,) = asyncio.run(client(models_dir, FakeServer(answer)).detect_faces("f", [jpeg(1)]))
    assert found == (Face(0.75, (0.2, 0.1, 0.4, 0.3), ((0.22, 0.11),) * 6),)


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({}, "no output embedding"),
        ({"embedding": [[1.0, 2.0]]}, "with 2 rows"),
        ({"embedding": 1.0}, "with 2 rows"),
    ],
)
def test_answers_of_another_form_are_the_models_fault(models_dir: Path, outputs: dict[str, object], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        embed(models_dir, FakeServer(lambda _: response(**outputs)), [jpeg(1), jpeg(2)])


def test_values_that_are_sent_one_by_one(models_dir: Path) -> None:
    def answer(images: Sequence[bytes]) -> PredictResponse:
        made = response(embedding=[[0.0, 0.0]])
        made.outputs["embedding"].tensor_content = b""
        made.outputs["embedding"].float_val.append(0.5)
        return made

    assert embed(models_dir, FakeServer(answer), [jpeg(1)]) == [(0.5, 0.5)]


def test_a_model_is_used_for_what_it_is(models_dir: Path) -> None:
    with pytest.raises(ModelError, match="model e is a embedder, not a detector"):
        asyncio.run(client(models_dir, FakeServer(embedding)).detect("e", [jpeg(1)]))


def test_the_version_is_the_one_that_answered(models_dir: Path) -> None:
    async def scenario() -> tuple[int, int]:
        server = FakeServer(embedding)
        server.status_answer.model_version_status.add(version=9, state=ModelVersionStatus.LOADING)
        server.status_answer.model_version_status.add(version=4, state=ModelVersionStatus.AVAILABLE)
        asker = client(models_dir, server)
        before = await asker.version("e")
        await asker.embed("e", [jpeg(1)])
        after = await asker.version("e")
        await asker.close()
        assert server.closed
        return before, after

    assert asyncio.run(scenario()) == (4, 7)


def test_no_version_yet(models_dir: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no version of e"):
        asyncio.run(client(models_dir, FakeServer(embedding)).version("e"))
