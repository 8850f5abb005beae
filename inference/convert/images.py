"""Decoding and scaling inside the graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_SHORTEST = 1e-12


def decode(encoded: Any) -> Any:
    """One JPEG or PNG (a scalar string) as RGB ``uint8 [height, width, 3]``."""
    return tf.io.decode_jpeg(encoded, channels=3)  # the kernel reads PNG too


def stretched(encoded: Any, size: int) -> Any:
    """Images ``string [N]`` as ``float32 [N, size, size, 3]``, RGB 0..255, stretched to the square."""

    def one(image: Any) -> Any:
        return tf.image.resize(decode(image), [size, size], "bilinear", antialias=False)

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([size, size, 3], tf.float32))


def letterboxed(encoded: Any, size: int) -> tuple[Any, Any]:
    """Images scaled into the square's middle, black around, and where they lie in it.

    Returns:
        ``float32 [N, size, size, 3]`` RGB 0..255, and ``float32 [N, 4]``: top, left, height and
        width of the picture within the square, 0..1.
    """

    def one(image: Any) -> tuple[Any, Any]:
        pixels = decode(image)
        shape = tf.cast(tf.shape(pixels)[:2], tf.float32)
        inner = tf.maximum(tf.cast(tf.round(shape * (size / tf.reduce_max(shape))), tf.int32), 1)
        start = (size - inner) // 2
        scaled = tf.image.resize(pixels, inner, "bilinear", antialias=False)
        square = tf.image.pad_to_bounding_box(scaled, start[0], start[1], size, size)
        return square, tf.cast(tf.concat([start, inner], 0), tf.float32) / size

    signature = (tf.TensorSpec([size, size, 3], tf.float32), tf.TensorSpec([4], tf.float32))
    squares, places = tf.map_fn(one, encoded, fn_output_signature=signature)
    return squares, places


def normalised(vectors: Any) -> Any:
    """Rows of length 1, the same bits in every batch.

    Root and division are exact. Their approximation in one, which `tf.math.l2_normalize` uses and
    the graph optimiser puts in place of a plain division by a root, differs with the batch's size.
    """
    return vectors / tf.maximum(tf.sqrt(tf.reduce_sum(vectors * vectors, 1, keepdims=True)), _SHORTEST)
