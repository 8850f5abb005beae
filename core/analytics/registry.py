"""Every analytic there is: the built-in ones, and those that other distributions bring along.

A plugin is an entry point of the group ``sightline.analytics``. What it names is imported by every
process that reads declarations, so it must be light; its `make` is called where frames are analysed,
and loads what it needs there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from core.analytics.declaration import Declaration
from core.log import get

GROUP = "sightline.analytics"
_log = get(__name__)


class Plugin(Protocol):
    """What an entry point of the group gives: a module, or any object, with these two."""

    declaration: Declaration

    def make(self, subject: Any, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> Any:
        """A new `streams_proc.analytics.analytic.Analytic` of a run.

        Args:
            subject: whose analytic it is, a `streams_proc.analytics.analytic.Subject`.
            parameters: valid, with their defaults; points of lines and zones in 0..1 of the picture.
            score: the setting `analyse.min_score`.
        """
        ...


class Registry(Mapping[str, Declaration]):
    """Declarations by their ids. Plugins are looked for once, when something is asked for that is not built in.

    A plugin that cannot be loaded, contradicts itself, or takes an id that there is, is logged and left out.

    Args:
        built_in: the declarations that are always there.
        found: gives the entry points.
    """

    def __init__(
        self,
        built_in: Iterable[Declaration],
        found: Callable[[], Iterable[EntryPoint]] = lambda: entry_points(group=GROUP),
    ) -> None:
        self._built_in = {declared.id: declared for declared in built_in}
        self._found = found
        self._plugins: dict[str, tuple[Plugin, str]] | None = None

    def __getitem__(self, name: str) -> Declaration:
        declared = self._built_in.get(name)
        return self.plugin(name).declaration if declared is None else declared

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from self._loaded()

    def __len__(self) -> int:
        return len(self._built_in) + len(self._loaded())

    def plugin(self, name: str) -> Plugin:
        """What brings this analytic. Raises KeyError for one that is built in, or that there is not."""
        return self._loaded()[name][0]

    def package(self, name: str) -> str:
        """The top-level package of the plugin that brings this analytic. Raises KeyError as `plugin`."""
        return self._loaded()[name][1]

    def _loaded(self) -> Mapping[str, tuple[Plugin, str]]:
        if self._plugins is None:
            self._plugins = self._load()
        return self._plugins

    def _load(self) -> dict[str, tuple[Plugin, str]]:
        plugins: dict[str, tuple[Plugin, str]] = {}
        for entry in sorted(self._found(), key=lambda e: (e.name, e.value)):
            try:
                plugin = _checked(entry)
                name = plugin.declaration.id
                if name in self._built_in or name in plugins:
                    raise ValueError(f"there is an analytic {name!r} already")
            except (Exception, SystemExit) as error:  # whatever it does: the others go on without it
                _log.error("plugin_left_out", entry_point=entry.name, value=entry.value, reason=repr(error))
            else:
                plugins[name] = (plugin, entry.module.partition(".")[0])
        return plugins


def _checked(entry: EntryPoint) -> Plugin:
    found: Any = entry.load()
    declared = found.declaration
    if not isinstance(declared, Declaration):
        raise TypeError(f"its declaration is a {type(declared).__name__}")
    if not callable(found.make):
        raise TypeError("its make cannot be called")
    for parameters in (declared.defaults, *declared.presets.values()):
        declared.complete(parameters)
    plugin: Plugin = found
    return plugin
