"""Tensors on the wire, to and from Python and NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.protos import DataType, PredictResponse, TensorProto


def strings(values: Sequence[bytes]) -> TensorProto:
    """A tensor ``string [N]``."""
    tensor = TensorProto(dtype=DataType.DT_STRING, string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor


def floats(response: PredictResponse, name: str, rows: int) -> npt.NDArray[np.float32]:
    """Output `name` as ``float32 [rows, ...]``. Raises ModelError when the model gives something else."""
    if name not in response.outputs:
        raise ModelError(f"{response.model_spec.name} has no output {name}; it has {sorted(response.outputs)}")
    tensor = response.outputs[name]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != DataType.DT_FLOAT or not shape or shape[0] != rows:
        raise ModelError(f"{response.model_spec.name}: {name} is not float32 with {rows} rows")
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, np.float32).reshape(shape)
    values = np.array(tensor.float_val, np.float32)
    if values.size == 1:  # a tensor of equal values may be sent as one
        values = np.repeat(values, int(np.prod(shape)))
    return values.reshape(shape)
