"""State as bytes, and back: only what a state is made of is ever read.

Whoever can write to the topic of snapshots cannot run code here.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

_PACKAGES = ("core", "streams_proc", "trackers")
_NAMES = {
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("uuid", "UUID"),
    ("uuid", "SafeUUID"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
UNREADABLE = (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError)
"""What `unpickled` raises for bytes that are no state."""


def pickled(value: object) -> bytes:
    """Bytes of a state."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpickled(data: bytes, package: str | None = None) -> Any:
    """The state that `pickled` was given.

    Args:
        package: one more package whose classes may be in it.

    Raises one of `UNREADABLE`.
    """
    return _Unpickler(data, _PACKAGES if package is None else (*_PACKAGES, package)).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, packages: tuple[str, ...]) -> None:
        super().__init__(io.BytesIO(data))
        self._packages = packages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        known = module.partition(".")[0] in self._packages and "." not in name
        found = super().find_class(module, name) if known else None
        if not isinstance(found, type) or found.__module__ != module:  # nor what a module has from elsewhere
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")
        return found
