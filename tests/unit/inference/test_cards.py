from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelError
from inference.cards import FILE, ModelCard, list_cards, load_card, save_card
from inference.zoo import ZOO

CARD = ModelCard(
    name="m", version=3, kind="detector", input_size=64, licence="MIT", source="npm:m@1", labels=("a", "", "c")
)


def test_round_trip_and_listing(tmp_path: Path) -> None:
    other = ModelCard(name="e", version=1, kind="embedder", input_size=8, licence="MIT", source="s", dimension=4)
    save_card(tmp_path, CARD)
    save_card(tmp_path, other)
    assert load_card(tmp_path, "m") == CARD
    assert list_cards(tmp_path) == [other, CARD]


def test_labels_by_position_with_gaps_and_ends() -> None:
    assert [CARD.label(i) for i in (-1, 0, 1, 2, 3)] == ["", "a", "", "c", ""]


def test_a_missing_card_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sightline models fetch"):
        load_card(tmp_path, "m")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"name": "m"}', b'{"name": 1}'])
def test_a_broken_card_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / FILE).write_bytes(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(tmp_path, "m")


def test_every_model_of_the_zoo_is_described() -> None:
    assert len({entry.card.name for entry in ZOO}) == len(ZOO)
    for entry in ZOO:
        card = entry.card
        assert card.licence and card.doc and card.source == entry.package.source
        assert (card.dimension > 0) == (card.kind == "embedder")
        assert bool(card.labels) == (card.kind != "embedder")
        assert 0 <= card.floor <= card.threshold <= 1
        assert len(entry.package.sha256) == 64
    assert len(ZOO[0].card.labels) == len(set(ZOO[0].card.labels)) == 80
