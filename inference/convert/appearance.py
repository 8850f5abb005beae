"""EfficientNet-Lite0 without its last layer: what a thing looks like, as 1280 numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from inference.convert import images, torchfile

SIDE = 224
_EPSILON = 1e-3
_BLOCKS = 16
_STRIDE_2 = (1, 3, 5, 11)  # blocks that halve the picture
_NORMS = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
_NORMS |= {"_conv_head": "_bn1"}
Weights = Mapping[str, npt.NDArray[np.float32]]


class Embedder:
    """``embedding [N, 1280]``, L2-normalised, of pictures that each show one thing.

    Every convolution has its batch normalisation folded in.
    """

    def __init__(self, checkpoint: Path) -> None:
        weights = torchfile.read(checkpoint)
        convolutions = [name.removesuffix(".weight") for name, value in weights.items() if value.ndim == 4]
        self._folded = {name: _folded(weights, name) for name in convolutions}
        self._last = (weights["_fc.weight"].T, weights["_fc.bias"])

    def __call__(self, encoded: Any) -> dict[str, Any]:
        """The pooled features."""
        return {"embedding": images.normalised(self._features(encoded))}

    def classes(self, encoded: Any) -> Any:
        """ImageNet logits ``[N, 1000]``, by which the conversion can be checked."""
        weight, bias = self._last
        return tf.matmul(self._features(encoded), weight) + bias

    def _features(self, encoded: Any) -> Any:
        x = (images.stretched(encoded, SIDE) - 127.0) / 128.0
        x = self._conv("_conv_stem", x, stride=2)
        for number in range(_BLOCKS):
            x = self._block(f"_blocks.{number}", x, 2 if number in _STRIDE_2 else 1)
        return tf.reduce_mean(self._conv("_conv_head", x), [1, 2])

    def _block(self, name: str, x: Any, stride: int) -> Any:
        before = x
        if f"{name}._expand_conv" in self._folded:
            x = self._conv(f"{name}._expand_conv", x)
        x = self._conv(f"{name}._depthwise_conv", x, stride=stride)
        x = self._conv(f"{name}._project_conv", x, activate=False)
        return x + before if stride == 1 and x.shape[-1] == before.shape[-1] else x

    def _conv(self, name: str, x: Any, *, stride: int = 1, activate: bool = True) -> Any:
        kernel, bias = self._folded[name]
        if name.endswith("_depthwise_conv"):
            x = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
        else:
            x = tf.nn.conv2d(x, kernel, stride, "SAME")
        x = tf.nn.bias_add(x, bias)
        return tf.nn.relu6(x) if activate else x


def _folded(weights: Weights, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel, in TensorFlow's order of axes, and bias."""
    block, _, kind = name.rpartition(".")
    norm = f"{block}.{_NORMS[kind]}" if block else _NORMS[kind]
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    axes = (2, 3, 0, 1) if kind == "_depthwise_conv" else (2, 3, 1, 0)
    return np.transpose(weights[f"{name}.weight"] * scale[:, None, None, None], axes), bias
