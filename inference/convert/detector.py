"""CenterNet: the object detector, at any multiple of 32 from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from inference.convert import images, tfjs

TRAINED = 512
STRIDE = 4
BOXES = 100
_LANES = 128
"""Scores go through the sigmoid in whole vectors of the processor, whose last digit differs from
that of the scalar code at a row's ragged end: so one image gives the same bits in every batch."""
_SCORES = "tower_0/CenternetHead/centernet_cls_output/BiasAdd"
_SIZES = "tower_0/wh"


class Detector:
    """A function of encoded images ``string [N]`` with the object-detection outputs, K = 100."""

    def __init__(self, model_json: Path, size: int) -> None:
        graph, weights = tfjs.read(model_json)
        for name, value in weights.items():
            if "/up_sampling2d" in name and name.endswith("/mul"):
                weights[name] = (value * size // TRAINED).astype(value.dtype)
        self._size = size
        self._network = tfjs.Network(graph, weights, "tower_0/images", [_SCORES, _SIZES])

    def __call__(self, encoded: Any) -> dict[str, Any]:
        """Boxes, scores and classes."""
        logits, sizes = self._network(images.stretched(encoded, self._size))
        return _decode(logits, sizes, self._size)


def _decode(logits: Any, sizes: Any, size: int) -> dict[str, Any]:
    """The highest local maxima of ``logits [N, S/4, S/4, C]`` with their boxes.

    Maxima are looked for before the sigmoid, which keeps the order and then needs no more than
    the chosen ones. The best 100 entries lie in the 100 cells with the best entries, so the
    selection goes over cells first.
    """
    side = size // STRIDE
    classes = logits.shape[-1]
    peaks = tf.where(
        tf.equal(logits, tf.nn.max_pool2d(logits, 3, 1, "SAME")), logits, tf.constant(logits.dtype.min, logits.dtype)
    )
    cells = tf.reshape(peaks, [-1, side * side, classes])
    _, best_cells = tf.math.top_k(tf.reduce_max(cells, 2), BOXES)
    best_cells = tf.sort(best_cells, axis=1)
    candidates = tf.reshape(tf.gather(cells, best_cells, batch_dims=1), [-1, BOXES * classes])
    scores, order = tf.math.top_k(candidates, _LANES)
    scores, order = tf.sigmoid(scores)[:, :BOXES], order[:, :BOXES]
    cell = tf.gather(best_cells, order // classes, batch_dims=1)
    wh = tf.gather(tf.reshape(sizes, [-1, side * side, 4]), cell, batch_dims=1)
    x = tf.cast(cell % side * STRIDE, tf.float32)
    y = tf.cast(cell // side * STRIDE, tf.float32)
    corners = tf.stack([y - wh[..., 1], x - wh[..., 0], y + wh[..., 3], x + wh[..., 2]], 2)
    return {
        "detection_boxes": tf.clip_by_value(corners / size, 0.0, 1.0),
        "detection_scores": scores,
        "detection_classes": tf.cast(order % classes + 1, tf.float32),
        "num_detections": tf.ones_like(scores[:, 0]) * BOXES,
    }
