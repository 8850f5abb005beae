"""Where the files go that a command is asked to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files to write for one input; None: not asked for."""

    json: Path | None = None
    csv: Path | None = None
    mot: Path | None = None
    annotate: Path | None = None
    report: Path | None = None


SUFFIXES = {"json": ".json", "csv": ".csv", "mot": ".txt", "annotate": ".mp4", "report": ".html"}


def plan(files: Sequence[Path], asked: Outputs) -> list[Outputs]:
    """Where each input's files go.

    With several inputs what was asked for names folders, and each file is named after its input, with
    a number where two inputs have one name; so too with one input and a folder that exists.

    Raises:
        InvalidInput: an output would overwrite an input or another output.
    """
    several = len(files) > 1
    names = _names(files)
    planned = [
        Outputs(
            **{field.name: _target(getattr(asked, field.name), field.name, name, several) for field in fields(asked)}
        )
        for name in names
    ]
    _refuse_overwriting(files, planned)
    return planned


def make_folders(outputs: Outputs) -> None:
    """Make the folders that the outputs lie in. Raises InvalidInput."""
    for path in paths(outputs):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{path.parent} cannot be made: {error.strerror}") from error


def paths(outputs: Outputs) -> list[Path]:
    """The files that are to be written."""
    found = (getattr(outputs, field.name) for field in fields(outputs))
    return [path for path in found if path is not None]


def _target(asked: Path | None, kind: str, name: str, several: bool) -> Path | None:
    if asked is None:
        return None
    if several and not asked.is_dir() and (asked.suffix or asked.exists()):
        raise InvalidInput(f"--{kind} {asked} names a file; several inputs need a folder")
    return asked / f"{name}{SUFFIXES[kind]}" if several or asked.is_dir() else asked


def _names(files: Sequence[Path]) -> list[str]:
    """The inputs' names without endings, each once, capitals not told apart."""
    taken: set[str] = set()
    names = []
    for file in files:
        name, number = file.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{file.stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _refuse_overwriting(files: Sequence[Path], planned: Sequence[Outputs]) -> None:
    taken = {file.resolve() for file in files}
    for outputs in planned:
        for path in paths(outputs):
            if path.resolve() in taken:
                raise InvalidInput(f"{path} would be overwritten: it is an input or another output")
            taken.add(path.resolve())
