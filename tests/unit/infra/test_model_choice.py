from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.settings import Models, Settings
from inference.cards import ModelCard, save_card
from infra.cli.model_choice import check_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(models=Models(dir=tmp_path, detector="mine"))
    for name, kind in (("mine", "detector"), ("faces", "face_detector")):
        card = ModelCard(
            name=name, version=1, kind=kind, input_size=256, licence="MIT", source="here", labels=("person", "", "car")
        )
        save_card(tmp_path, card)
    return settings


def test_what_is_there_is_taken(settings: Settings) -> None:
    check_model(settings, None)
    check_model(settings, "mine", "car")


@pytest.mark.parametrize("name", ["nope", "faces"])
def test_a_model_that_is_no_detector_here_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"no detector '{name}'; there are mine"):
        check_model(settings, name)


def test_a_label_that_the_model_does_not_have_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="mine has no label 'dragon'; it has person, car"):
        check_model(settings, None, "dragon")


def test_without_models_the_service_judges(tmp_path: Path) -> None:
    check_model(Settings(models=Models(dir=tmp_path / "none")), "nope", "dragon")


def test_with_a_card_that_cannot_be_read_the_service_judges(settings: Settings) -> None:
    (settings.models_dir / "mine" / "card.json").write_text("{")
    check_model(settings, "nope")
