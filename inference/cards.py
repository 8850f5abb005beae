"""Model cards: what a model sees, how its scores are read, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from core.errors import ModelError

Kind = Literal["detector", "face_detector", "embedder"]
FILE = "card.json"


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model of the zoo; ``<models_dir>/<name>/card.json``.

    Attributes:
        version: newest version folder that was made together with this card.
        kind: ``detector`` and ``face_detector`` have TensorFlow's object-detection signature,
            ``embedder`` gives ``embedding [N, dimension]``, L2-normalised.
        labels: name of class ``i + 1`` at position ``i``; empty names are classes never shown.
        input_size: side in pixels of the square the graph itself scales every image to.
        floor: detections below this score are not returned.
        threshold: score from which a detection is worth showing, for displays and defaults.
        dimension: length of the embedding, 0 for detectors.
        widen: by how much of its size a box is to be widened, in all, before it is cropped for
            this embedder; half on each side.
        input: name of the signature's input, ``string [N]``.
        doc: what a user of the model should know.
    """

    name: str
    version: int
    kind: Kind
    input_size: int
    licence: str
    source: str
    labels: tuple[str, ...] = ()
    floor: float = 0.0
    threshold: float = 0.0
    dimension: int = 0
    widen: float = 0.0
    input: str = "images"
    doc: str = ""

    def label(self, index: int) -> str:
        """Name of the class at position `index`, empty for one that is not shown."""
        return self.labels[index] if 0 <= index < len(self.labels) else ""


def load_card(models_dir: Path, name: str) -> ModelCard:
    """The card of a model. Raises ModelError when there is none or it cannot be read."""
    path = models_dir / name / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except FileNotFoundError as error:
        raise ModelError(f"no model {name!r} in {models_dir}; `sightline models fetch` makes the zoo") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{path}: {error}") from error


def save_card(models_dir: Path, card: ModelCard) -> None:
    """Write the card beside the model's version folders."""
    folder = models_dir / card.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")


def list_cards(models_dir: Path) -> list[ModelCard]:
    """Every card of the folder, by name."""
    return [load_card(models_dir, path.parent.name) for path in sorted(models_dir.glob(f"*/{FILE}"))]
