from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError, SetupError
from core.settings import Models, Settings
from inference import command, fetch
from inference.cards import save_card
from inference.serving_config import Batching, format_batching, parse_batching, parse_models
from inference.zoo import EFFICIENTNET, HUMAN_MODELS, ZOO, Package

CONTENT = b"weights"
PACKAGE = Package("npm", "@x/y", "1.0.0", "x-y-1.0.0.tgz", hashlib.sha256(CONTENT).hexdigest(), "LICENSE")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that would have been run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(fetch, "_run", lambda command, _: commands.append(list(command)))
    return commands


def test_a_file_with_another_hash_is_refused_and_removed(tmp_path: Path) -> None:
    path = tmp_path / PACKAGE.file
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(ModelError, match=rf"npm:@x/y@1\.0\.0: sha256 is .* {PACKAGE.sha256} is expected"):
        fetch.check(path, PACKAGE)
    assert not path.exists()


def test_a_file_that_was_not_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=PACKAGE.file):
        fetch.check(tmp_path / PACKAGE.file, PACKAGE)


def test_a_file_that_is_there_is_not_downloaded_again(tmp_path: Path, ran: list[list[str]]) -> None:
    (tmp_path / PACKAGE.file).write_bytes(CONTENT)
    said: list[str] = []
    assert fetch.download(PACKAGE, tmp_path, said.append) == tmp_path / PACKAGE.file
    assert (ran, said) == ([], [])


def test_a_damaged_download_is_fetched_anew_by_the_registrys_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / PACKAGE.file).write_bytes(b"half")
    asked: list[list[str]] = []

    def run(command: list[str], _: str) -> None:
        asked.append(command)
        assert not (folder / PACKAGE.file).exists()
        (folder / PACKAGE.file).write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "_run", run)
    monkeypatch.setattr(fetch.shutil, "which", lambda name: f"/bin/{name}")
    said: list[str] = []
    fetch.download(PACKAGE, folder, said.append)
    assert asked == [["/bin/npm", "pack", "--silent", "--pack-destination", str(folder), "@x/y@1.0.0"]]
    assert [line.split()[0] for line in said] == ["downloading", "downloaded"]


def test_python_packages_come_through_pip(tmp_path: Path, ran: list[list[str]]) -> None:
    with pytest.raises(ModelError, match="wrote no"):
        fetch.download(replace(PACKAGE, registry="pypi"), tmp_path, print)
    assert ran[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert ran[0][-1] == "@x/y==1.0.0"


def test_a_missing_client_is_named_with_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "which", lambda _: None)
    with pytest.raises(SetupError, match="apt-get install npm"):
        fetch.download(PACKAGE, tmp_path, print)


def test_a_client_that_fails_is_quoted() -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('no such package')"]
    with pytest.raises(SetupError, match="downloading x failed: no such package"):
        fetch._run(program, "downloading x")


def test_only_what_is_missing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    downloaded: list[Package] = []
    converted: list[str] = []

    def convert(missing: list[fetch.Entry], downloads: Path, models_dir: Path, report: fetch.Report) -> None:
        assert downloads == tmp_path / "downloads"
        for entry in missing:
            converted.append(entry.card.name)
            folder = models_dir / entry.card.name / str(entry.card.version)
            folder.mkdir(parents=True)
            (folder / "saved_model.pb").touch()
            save_card(models_dir, entry.card)

    monkeypatch.setattr(fetch, "download", lambda package, *_: downloaded.append(package))
    monkeypatch.setattr(fetch, "_convert", convert)
    cards = fetch.fetch_all(settings, print)
    names = sorted(entry.card.name for entry in ZOO)
    assert [card.name for card in cards] == sorted(converted) == names
    assert downloaded == [HUMAN_MODELS, EFFICIENTNET]
    downloaded.clear()
    converted.clear()
    assert fetch.fetch_all(settings, print) == cards
    assert (downloaded, converted) == ([], [])
    (settings.models_dir / "faceres" / "1" / "saved_model.pb").unlink()
    (settings.models_dir / "faceres" / "1").rmdir()
    fetch.fetch_all(settings, print)
    assert (downloaded, converted) == ([HUMAN_MODELS], ["faceres"])


def test_the_servers_files_name_every_card_and_keep_what_was_tuned(tmp_path: Path) -> None:
    save_card(tmp_path, ZOO[0].card)
    fetch.write_server_config(tmp_path)
    assert parse_batching((tmp_path / "batching_parameters.txt").read_text()) == Batching()
    tuned = format_batching(Batching(max_batch_size=32))
    (tmp_path / "batching_parameters.txt").write_text(tuned)
    save_card(tmp_path, ZOO[1].card)
    fetch.write_server_config(tmp_path)
    assert (tmp_path / "batching_parameters.txt").read_text() == tuned
    config = parse_models((tmp_path / "models.config").read_text()).model_config_list.config
    assert {model.name: model.base_path for model in config} == {
        entry.card.name: str(tmp_path / entry.card.name) for entry in ZOO[:2]
    }


def test_the_server_of_this_package_is_used_where_no_other_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.shutil, "which", lambda _: None)
    assert command.server_command(Settings()) == [sys.executable, "-m", "inference.server"]


def test_tensorflow_servings_own_server_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command.shutil, "which", lambda name: f"/opt/{name}")
    line = command.server_command(Settings(models=Models(port=9123, dir=tmp_path, threads=3)))
    assert line[0] == "/opt/tensorflow_model_server"
    assert {
        "--port=9123",
        f"--model_config_file={tmp_path}/models.config",
        "--enable_batching=true",
        f"--batching_parameters_file={tmp_path}/batching_parameters.txt",
        "--tensorflow_intra_op_parallelism=3",
    } <= set(line)
