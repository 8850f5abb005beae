"""Write a function of encoded images as a SavedModel that every TensorFlow server can load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

WARMUP = "assets.extra/tf_serving_warmup_requests"


def export(model: Callable[[Any], dict[str, Any]], folder: Path, name: str) -> None:
    """Save `model`, which is called on encoded images, as ``serving_default``, and its warm-up.

    The input is ``images: string [N]``; the outputs are what the call gives, by name.
    """
    module = tf.Module()
    module.serve = tf.function(
        model, input_signature=[tf.TensorSpec([None], tf.string, name="images")], autograph=False
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    _write_warmup(folder, name)


def _write_warmup(folder: Path, name: str) -> None:
    """A recorded request, replayed by the server before the version answers anyone."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2  # noqa: PLC0415  # loads TensorFlow's messages

    gradient = tf.cast(tf.reshape(tf.range(320 * 240 * 3) % 251, [240, 320, 3]), tf.uint8)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto([tf.io.encode_jpeg(gradient).numpy()]))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    path = folder / WARMUP
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
