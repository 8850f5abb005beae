"""Read the tensors of a PyTorch checkpoint without PyTorch.

The form before 1.6: three small pickles (a magic number, a version, the machine), the pickled
dictionary, the pickled list of storages, then each storage's length and its bytes. Unpickling
runs code that the file names, so nothing can be named but what a dictionary of tensors needs.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage:
    """A place for numbers that follow later in the file."""

    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self.dtype = dtype
        self.length = length
        self.values: Array = np.empty(0, dtype)


class _View:
    """A tensor: a shape over a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides

    def array(self) -> Array:
        size = self.storage.dtype.itemsize
        return np.lib.stride_tricks.as_strided(
            self.storage.values[self.offset :], self.shape, [stride * size for stride in self.strides], writeable=False
        )


def _rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _View:
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True) if n)
    if offset < 0 or min(strides, default=0) < 0 or offset + last >= storage.length:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    return _View(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"the file names {module}.{name}, which a dictionary of tensors does not need")

    def persistent_load(self, key: Any) -> _Storage:
        kind, dtype, name, _, length, *_ = key
        if kind != "storage":
            raise pickle.UnpicklingError(f"the file refers to a {kind}")
        return self.storages.setdefault(name, _Storage(dtype, length))


def read(path: Path) -> dict[str, Array]:
    """Arrays by name. Raises pickle.UnpicklingError for anything but tensors."""
    with path.open("rb") as file:
        if _Unpickler(file).load() != _MAGIC:
            raise pickle.UnpicklingError("not a checkpoint of this form")
        _Unpickler(file).load()
        _Unpickler(file).load()
        content = _Unpickler(file)
        tensors = content.load()
        for name in _Unpickler(file).load():
            storage = content.storages[name]
            (length,) = struct.unpack("<q", file.read(8))
            if length != storage.length:
                raise pickle.UnpicklingError(f"storage {name} has {length} numbers, {storage.length} are expected")
            storage.values = np.frombuffer(file.read(length * storage.dtype.itemsize), storage.dtype)
    return {name: view.array() for name, view in tensors.items()}
