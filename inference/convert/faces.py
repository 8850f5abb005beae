"""Finding faces, and telling them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from inference.convert import images, tfjs

SIDE = 192
CELLS = 48
FACES = 64
POINTS = 6
_CANDIDATES = 256
_OVERLAP = 0.3
_LEAST = 0.05
_LOGIT_LIMIT = 80.0
_CROP = 224
_BGR_MEANS = (103.939, 116.779, 123.68)


class Detector:
    """Object-detection outputs with K = 64, and ``detection_keypoints [N, K, 6, 2]`` as (y, x).

    Points: right eye, left eye, nose, mouth, right ear, left ear. All are 0..1 of the picture,
    the letterbox taken off; points may lie outside.
    """

    def __init__(self, model_json: Path) -> None:
        self._network = tfjs.Network(*tfjs.read(model_json), "input", ["Identity"])

    def __call__(self, encoded: Any) -> dict[str, Any]:
        """Boxes, scores and points."""
        pixels, places = images.letterboxed(encoded, SIDE)
        (raw,) = self._network(pixels / 127.5 - 1.0)
        return _decode(raw, places)


class Embedder:
    """``embedding [N, 1024]``, L2-normalised, of pictures that each show one face."""

    def __init__(self, model_json: Path) -> None:
        self._network = tfjs.Network(*tfjs.read(model_json), "input_1", ["global_pooling/Mean"])

    def __call__(self, encoded: Any) -> dict[str, Any]:
        """The descriptor."""
        (pooled,) = self._network(images.stretched(encoded, _CROP)[..., ::-1] - tf.constant(_BGR_MEANS))
        return {"embedding": images.normalised(pooled)}


def _decode(raw: Any, places: Any) -> dict[str, Any]:
    """``raw [N, 2304, 17]``: logit, then box and points in pixels, relative to its cell's centre."""
    logits, best = tf.math.top_k(raw[..., 0], _CANDIDATES)
    values = tf.gather(raw, best, batch_dims=1)[..., 1:] / SIDE
    centre = tf.stack([best % CELLS, best // CELLS], 2)
    centre = (tf.cast(centre, tf.float32) + 0.5) / CELLS
    middle, half = values[..., 0:2] + centre, values[..., 2:4] / 2
    boxes = tf.concat([middle - half, middle + half], 2)
    points = tf.reshape(values[..., 4:], [-1, _CANDIDATES, POINTS, 2]) + centre[:, :, None, :]
    scores = tf.sigmoid(tf.clip_by_value(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT))
    chosen, counts = _suppress(boxes, scores)
    real = tf.sequence_mask(counts, FACES, tf.float32)
    boxes = tf.gather(boxes, chosen, batch_dims=1)
    points = tf.gather(points, chosen, batch_dims=1)
    start, extent = places[:, None, 1::-1], places[:, None, 3:1:-1]  # x, y
    corners = tf.reshape(boxes, [-1, FACES, 2, 2])
    corners = tf.clip_by_value((corners - start[:, :, None]) / extent[:, :, None], 0.0, 1.0)
    points = (points - start[:, :, None]) / extent[:, :, None]
    return {
        "detection_boxes": tf.reshape(corners[..., ::-1], [-1, FACES, 4]) * real[..., None],
        "detection_scores": tf.gather(scores, chosen, batch_dims=1) * real,
        "detection_classes": tf.ones_like(real),
        "num_detections": tf.cast(counts, tf.float32),
        "detection_keypoints": points[..., ::-1] * real[..., None, None],
    }


def _suppress(boxes: Any, scores: Any) -> tuple[Any, Any]:
    """Positions ``[N, K]`` of the faces that overlap no better one, and how many there are."""

    def one(image: tuple[Any, Any]) -> tuple[Any, Any]:
        found = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image[0],
            scores=image[1],
            max_output_size=FACES,
            iou_threshold=_OVERLAP,
            score_threshold=_LEAST,
            pad_to_max_output_size=True,
        )
        return found.selected_indices, found.valid_outputs

    signature = (tf.TensorSpec([FACES], tf.int32), tf.TensorSpec([], tf.int32))
    chosen, counts = tf.map_fn(one, (boxes, scores), fn_output_signature=signature)
    return chosen, counts
