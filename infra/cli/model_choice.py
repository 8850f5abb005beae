"""Whether there is the model, and the label, that a command names."""

from __future__ import annotations

from core.errors import InvalidInput, ModelError
from core.settings import Settings
from inference.cards import ModelCard, list_cards


def check_model(settings: Settings, name: str | None, label: str | None = None) -> None:
    """Refuse a detector that is not there, and a label that it does not have.

    Where this machine has no models, or one that cannot be read, the service is left to judge.

    Args:
        name: None: the settings'.

    Raises:
        InvalidInput: says which there are.
    """
    detectors = _detectors(settings)
    if name is not None and detectors and name not in detectors:
        raise InvalidInput(f"there is no detector {name!r}; there are {', '.join(detectors)}")
    card = detectors.get(name or settings.models.detector)
    if label is None or card is None:
        return
    labels = [known for known in card.labels if known]
    if labels and label not in labels:
        raise InvalidInput(f"{card.name} has no label {label!r}; it has {', '.join(labels)}")


def _detectors(settings: Settings) -> dict[str, ModelCard]:
    try:
        return {card.name: card for card in list_cards(settings.models_dir) if card.kind == "detector"}
    except ModelError:
        return {}
