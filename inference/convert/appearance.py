"""EfficientNet-Lite0 without its last layer: what a thing looks like, as 1280 numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from inference.convert import images, torchfile

SIDE = 224
_EPSILON = 1e-3
_STRIDE_2 = (1, 3, 5, 11)  # blocks that halve the picture
_BLOCKS = 16
Array = npt.NDArray[np.float32]


def build(checkpoint: Path) -> Callable[[Any], dict[str, Any]]:
    """``embedding [N, 1280]``, L2-normalised, of pictures that each show one thing."""
    weights = torchfile.read(checkpoint)

    def embed(encoded: Any) -> dict[str, Any]:
        pixels = (images.stretched(encoded, SIDE) - 127.0) / 128.0
        return {"embedding": images.normalised(features(weights, pixels))}

    return embed


def features(weights: Mapping[str, Array], pixels: Any) -> Any:
    """Pooled features ``[N, 1280]`` of ``pixels [N, 224, 224, 3]``, RGB about -1..1."""
    x = _conv(weights, "_conv_stem", "_bn0", pixels, stride=2, activate=True)
    for number in range(_BLOCKS):
        x = _block(weights, f"_blocks.{number}", x, 2 if number in _STRIDE_2 else 1)
    x = _conv(weights, "_conv_head", "_bn1", x, activate=True)
    return tf.reduce_mean(x, [1, 2])


def classes(weights: Mapping[str, Array], pooled: Any) -> Any:
    """ImageNet logits ``[N, 1000]``, by which the conversion is checked."""
    return tf.matmul(pooled, weights["_fc.weight"].T) + weights["_fc.bias"]


def _block(weights: Mapping[str, Array], name: str, x: Any, stride: int) -> Any:
    before = x
    if f"{name}._expand_conv.weight" in weights:
        x = _conv(weights, f"{name}._expand_conv", f"{name}._bn0", x, activate=True)
    x = _conv(weights, f"{name}._depthwise_conv", f"{name}._bn1", x, stride=stride, activate=True, depthwise=True)
    x = _conv(weights, f"{name}._project_conv", f"{name}._bn2", x)
    return x + before if stride == 1 and x.shape[-1] == before.shape[-1] else x


def _conv(
    weights: Mapping[str, Array],
    conv: str,
    norm: str,
    x: Any,
    *,
    stride: int = 1,
    activate: bool = False,
    depthwise: bool = False,
) -> Any:
    """Convolution with its batch normalisation folded in."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = np.transpose(weights[f"{conv}.weight"] * scale[:, None, None, None], (2, 3, 1, 0))
    if depthwise:
        kernel = np.transpose(kernel, (0, 1, 3, 2))
        x = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
    else:
        x = tf.nn.conv2d(x, kernel, stride, "SAME")
    x = tf.nn.bias_add(x, bias)
    return tf.nn.relu6(x) if activate else x
