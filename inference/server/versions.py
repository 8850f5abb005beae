"""Which versions of which models are served, and how a new one takes over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from core import log
from inference.protos import Code, ModelConfig, ModelServerConfig, ModelVersionStatus

if TYPE_CHECKING:
    from inference.server.loaded import Loaded

State = ModelVersionStatus.State
Load = Callable[[Path, str], "Loaded"]
_SHOWN = 8  # ended versions whose state is remembered, per model


class UnknownModel(LookupError):
    """No such model, version or label is served."""


class StillLoading(LookupError):
    """It will be served in a moment."""


@dataclass(slots=True)
class Version:
    """One version and where it stands.

    Attributes:
        users: requests that run on it now.
        error: why it could not be loaded.
    """

    number: int
    folder: Path
    state: int = State.START
    model: Loaded | None = None
    users: int = 0
    error: str = ""
    code: int = Code.OK


@dataclass(slots=True)
class _Model:
    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    looked: bool = False


class Versions:
    """The models of a configuration, each with the versions its policy asks for.

    A new version is loaded and warmed up beside the old one, which answers until then and is
    let go when its last request is done. Lookups may come from any thread; `follow` and
    `refresh` from one at a time.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()
        self._one_change = threading.Lock()
        self._ending = threading.Event()
        self._asked = threading.Event()
        self._unused = threading.Condition(self._lock)
        self._numbers = count()
        self._log = log.get(__name__)

    def follow(self, config: ModelServerConfig, only: Collection[str] | None = None) -> None:
        """Serve the models of `config` and no others; blocks until their versions are loaded or have failed.

        Args:
            only: models to load now; the others are loaded by the next `refresh`. None: all.
        """
        with self._one_change:
            wanted = {model.name: model for model in config.model_config_list.config}
            with self._lock:
                for name, model in wanted.items():
                    entry = self._models.get(name)
                    if entry is None or entry.config.base_path != model.base_path:
                        if entry is not None:
                            self._retire(name, entry.versions.values())
                        entry = _Model(model)
                        self._models[name] = entry
                    entry.config = model
                gone = [(name, self._models.pop(name)) for name in set(self._models) - set(wanted)]
                for name, entry in gone:
                    self._retire(name, entry.versions.values())
            self._refresh(self.names() if only is None else [name for name in self.names() if name in only])

    def refresh(self) -> None:
        """Look for new and removed version folders, and load or let go accordingly; blocks."""
        with self._one_change:
            self._refresh(self.names())

    @property
    def complete(self) -> bool:
        """Whether `follow` left no model for later."""
        with self._lock:
            return all(model.looked for model in self._models.values())

    @property
    def awaited(self) -> bool:
        """Whether someone has asked for a model that `follow` left for later."""
        return self._asked.is_set()

    def end(self) -> None:
        """Load nothing more."""
        self._ending.set()

    def states(self, name: str) -> list[Version]:
        """All known versions, newest first. Raises UnknownModel."""
        with self._lock:
            model = self._model(name)
            if not model.looked:
                self._asked.set()
            return sorted(model.versions.values(), key=lambda version: -version.number)

    def names(self) -> list[str]:
        """Every model of the configuration."""
        with self._lock:
            return sorted(self._models)

    @contextmanager
    def use(self, name: str, number: int | None = None, label: str = "") -> Iterator[tuple[int, Loaded]]:
        """A loaded version, kept while it is used; the newest unless one is named.

        Raises UnknownModel, StillLoading.
        """
        with self._lock:
            version = self._choose(name, number, label)
            loaded = version.model
            assert loaded is not None
            version.users += 1
        try:
            yield version.number, loaded
        finally:
            with self._lock:
                version.users -= 1
                if not version.users:
                    self._unused.notify_all()

    def _model(self, name: str) -> _Model:
        if name not in self._models:
            raise UnknownModel(f"no model {name!r} is served")
        return self._models[name]

    def _choose(self, name: str, number: int | None, label: str) -> Version:
        model = self._model(name)
        if label:
            if label not in model.config.version_labels:
                raise UnknownModel(f"model {name!r} has no version label {label!r}")
            number = model.config.version_labels[label]
        ready = {n: v for n, v in model.versions.items() if v.state == State.AVAILABLE}
        if number is None and ready:
            number = max(ready)
        if number not in ready and _will_come(model, number):
            self._asked.set()
            raise StillLoading(f"model {name!r} is being loaded")
        if number is None or number not in ready:
            which = f"version {number}" if number is not None else "any version"
            raise UnknownModel(f"model {name!r} is not available in {which}")
        return ready[number]

    def _refresh(self, names: Iterable[str]) -> None:
        for name in names:
            with self._lock:
                entry = self._models[name]
                entry.looked = True
                present = found(Path(entry.config.base_path))
                wanted = chosen(entry.config, present)
                fresh = [Version(number, present[number]) for number in wanted if self._is_new(entry, number)]
                entry.versions.update({version.number: version for version in fresh})
            for version in fresh:
                if self._ending.is_set():
                    return
                self._bring_up(name, version)
            with self._lock:
                if any(entry.versions[number].model is not None for number in wanted):
                    old = [v for n, v in entry.versions.items() if n not in wanted and v.model is not None]
                    self._retire(name, old)
                self._forget(entry)

    @staticmethod
    def _is_new(entry: _Model, number: int) -> bool:
        known = entry.versions.get(number)
        return known is None or (known.state == State.END and not known.error)

    def _bring_up(self, name: str, version: Version) -> None:
        version.state = State.LOADING
        try:
            model = self._load(version.folder, f"{name}/{version.number}/{next(self._numbers)}")
            model.warm_up()
        except Exception as error:  # whatever a broken SavedModel raises is its state, not ours
            version.error, version.code, version.state = str(error)[:2000], Code.UNKNOWN, State.END
            self._log.error("model failed to load", model=name, version=version.number, error=version.error)
            return
        with self._lock:
            version.model, version.state = model, State.AVAILABLE
        self._log.info("model available", model=name, version=version.number)

    def _retire(self, name: str, versions: Iterable[Version]) -> None:
        """With the lock held: no new request, wait for those that run, let go."""
        for version in versions:
            if version.model is None:
                continue
            version.state = State.UNLOADING
            while version.users:
                self._unused.wait()
            version.model, version.state = None, State.END
            self._log.info("model let go", model=name, version=version.number)

    @staticmethod
    def _forget(entry: _Model) -> None:
        ended = sorted(number for number, version in entry.versions.items() if version.state == State.END)
        for number in ended[:-_SHOWN]:
            del entry.versions[number]


def _will_come(model: _Model, number: int | None) -> bool:
    """Whether a version, or any, is on its way."""
    loading = {n for n, version in model.versions.items() if version.state in (State.START, State.LOADING)}
    return not model.looked or (bool(loading) if number is None else number in loading)


def found(base: Path) -> dict[int, Path]:
    """Version folders that are complete: a number for a name and a SavedModel inside."""
    if not base.is_dir():
        return {}
    return {
        int(path.name): path for path in base.iterdir() if path.name.isdigit() and (path / "saved_model.pb").is_file()
    }


def chosen(config: ModelConfig, present: Iterable[int]) -> list[int]:
    """The versions that the model's policy asks for, oldest first."""
    newest = sorted(present)
    policy = config.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return newest
        case "specific":
            return [number for number in newest if number in policy.specific.versions]
        case _:
            return newest[-max(1, policy.latest.num_versions) :]
