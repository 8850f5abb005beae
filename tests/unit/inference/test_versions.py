from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from inference.protos import ModelServerConfig, ModelVersionStatus
from inference.server.versions import StillLoading, UnknownModel, Versions, chosen, found

AVAILABLE, END = ModelVersionStatus.AVAILABLE, ModelVersionStatus.END


class FakeModel:
    """Stands for a SavedModel in memory; a folder with a file ``broken`` cannot be loaded."""

    def __init__(self, folder: Path, key: str) -> None:
        if (folder / "broken").exists():
            raise OSError("not a SavedModel")
        self.folder = folder
        self.key = key
        self.warm = False

    def warm_up(self) -> None:
        self.warm = True


def versions() -> Versions:
    load: Any = FakeModel
    return Versions(load)


def put(base: Path, number: int, *, broken: bool = False) -> None:
    folder = base / str(number)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    if broken:
        (folder / "broken").touch()


def config(**models: Path) -> ModelServerConfig:
    made = ModelServerConfig()
    for name, base in models.items():
        made.model_config_list.config.add(name=name, base_path=str(base))
    return made


def states(server: Versions, name: str) -> dict[int, int]:
    return {version.number: version.state for version in server.states(name)}


def test_only_complete_version_folders_count(tmp_path: Path) -> None:
    put(tmp_path, 3)
    put(tmp_path, 12)
    (tmp_path / "13").mkdir()
    (tmp_path / "card.json").touch()
    (tmp_path / ".converting-x").mkdir()
    assert found(tmp_path) == {3: tmp_path / "3", 12: tmp_path / "12"}
    assert found(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", [12]),
        ("latest { num_versions: 2 }", [4, 12]),
        ("all {}", [3, 4, 12]),
        ("specific { versions: 4 versions: 9 }", [4]),
    ],
)
def test_policies(policy: str, expected: list[int]) -> None:
    from google.protobuf import text_format

    from inference.protos import ModelConfig

    made = text_format.Parse(f"model_version_policy {{ {policy} }}", ModelConfig())
    assert chosen(made, [12, 3, 4]) == expected


def test_the_newest_answers_warmed_up(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    server = versions()
    server.follow(config(m=tmp_path))
    with server.use("m") as (number, model):
        assert (number, model.folder) == (2, tmp_path / "2")
        assert model.warm  # type: ignore[attr-defined]
    assert states(server, "m") == {2: AVAILABLE}


def test_models_that_can_wait_are_said_to_be_on_their_way_until_they_are_there(tmp_path: Path) -> None:
    put(tmp_path / "first", 1)
    put(tmp_path / "later", 1)
    server = versions()
    server.follow(config(later=tmp_path / "later", first=tmp_path / "first"), ["first"])
    with server.use("first") as (number, _):
        assert number == 1
    assert not server.awaited
    assert not server.complete
    with pytest.raises(StillLoading, match="later"), server.use("later"):
        pass
    assert server.awaited
    assert server.states("later") == []
    server.refresh()
    assert server.complete
    with server.use("later") as (number, _):
        assert number == 1
    with pytest.raises(UnknownModel, match="version 2"), server.use("later", 2):
        pass


def test_nothing_more_is_loaded_once_the_server_ends(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    server.end()
    server.follow(config(m=tmp_path))
    assert states(server, "m") == {1: ModelVersionStatus.START}


def test_a_new_version_takes_over_and_the_old_one_is_let_go(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    server.follow(config(m=tmp_path))
    put(tmp_path, 2)
    server.refresh()
    with server.use("m") as (number, _):
        assert number == 2
    assert states(server, "m") == {2: AVAILABLE, 1: END}
    with pytest.raises(UnknownModel, match="version 1"), server.use("m", 1):
        pass


def test_the_old_version_stays_until_its_last_request_is_done(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    server.follow(config(m=tmp_path))
    put(tmp_path, 2)
    swap = threading.Thread(target=server.refresh)
    with server.use("m"):
        swap.start()
        while states_of_old(server) != ModelVersionStatus.UNLOADING:
            pass
        with server.use("m") as (number, _):
            assert number == 2
        assert swap.is_alive()
    swap.join(10)
    assert states(server, "m") == {2: AVAILABLE, 1: END}


def states_of_old(server: Versions) -> int:
    return next(version.state for version in server.states("m") if version.number == 1)


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    server.follow(config(m=tmp_path))
    put(tmp_path, 2, broken=True)
    server.refresh()
    server.refresh()
    with server.use("m") as (number, _):
        assert number == 1
    assert states(server, "m") == {2: END, 1: AVAILABLE}
    assert server.states("m")[0].error == "not a SavedModel"


def test_going_back_to_a_version_that_was_let_go(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    server.follow(config(m=tmp_path))
    put(tmp_path, 2)
    server.refresh()
    (tmp_path / "2" / "saved_model.pb").unlink()
    server.refresh()
    with server.use("m") as (number, _):
        assert number == 1


def test_another_configuration_brings_and_takes_models(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / name, 1)
    server = versions()
    server.follow(config(a=tmp_path / "a", b=tmp_path / "b"))
    with server.use("a") as (_, before):
        pass
    server.follow(config(a=tmp_path / "a", b=tmp_path / "c"))
    assert server.names() == ["a", "b"]
    with server.use("a") as (_, after):
        assert after is before
    with server.use("b") as (_, moved):
        assert moved.folder == tmp_path / "c" / "1"
    server.follow(config(b=tmp_path / "c"))
    with pytest.raises(UnknownModel, match="'a'"):
        server.states("a")


def test_by_number_and_by_label(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    both = config(m=tmp_path)
    model = both.model_config_list.config[0]
    model.model_version_policy.all.SetInParent()
    model.version_labels["stable"] = 1
    server = versions()
    server.follow(both)
    for arguments, expected in (((None, ""), 2), ((1, ""), 1), ((None, "stable"), 1)):
        with server.use("m", *arguments) as (number, _):
            assert number == expected
    for wrong in ((3, ""), (None, "canary")):
        with pytest.raises(UnknownModel), server.use("m", *wrong):
            pass
    with pytest.raises(UnknownModel, match="no model 'x'"), server.use("x"):
        pass


def test_every_loading_has_a_key_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, 1)
    server = versions()
    keys = []
    for name in ("a", "b"):
        server.follow(config(**{name: tmp_path}))
        with server.use(name) as (_, model):
            keys.append(model.key)  # type: ignore[attr-defined]
    assert len(set(keys)) == 2


def test_ended_versions_are_forgotten_in_time(tmp_path: Path) -> None:
    server = versions()
    for number in range(1, 15):
        put(tmp_path, number)
        server.follow(config(m=tmp_path))
    assert list(states(server, "m")) == [14, *range(13, 5, -1)]
