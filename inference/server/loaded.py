"""One version of one model in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from inference.protos import PredictionLog, SignatureDef
from inference.serving_config import Batching

DEFAULT_SIGNATURE = "serving_default"
WARMUP = "assets.extra/tf_serving_warmup_requests"


class WrongRequest(ValueError):
    """The request does not fit the model's signature."""


class Loaded:
    """A SavedModel whose signatures run in batches shared between requests.

    Args:
        folder: the version's folder.
        key: name by which TensorFlow keeps the batch queue; unique within the process.
    """

    def __init__(self, folder: Path, key: str, batching: Batching) -> None:
        self.folder = folder
        self._saved = tf.saved_model.load(str(folder))
        self._plain: Mapping[str, Any] = self._saved.signatures
        self._batched = {
            name: _batched(function, f"{key}/{name}", batching)
            for name, function in self._plain.items()
            if _can_batch(function)
        }
        self._largest = batching.max_batch_size

    def check(self, signature: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """That the names are the signature's own. Raises WrongRequest."""
        if signature not in self._plain:
            raise WrongRequest(f"signature {signature!r} is none of {sorted(self._plain)}")
        function = self._plain[signature]
        wanted = set(function.structured_input_signature[1])
        if set(inputs) != wanted:
            raise WrongRequest(f"inputs {sorted(inputs)} were sent, {sorted(wanted)} are expected")
        unknown = set(outputs) - set(function.structured_outputs)
        if unknown:
            raise WrongRequest(f"outputs {sorted(unknown)} are none of {sorted(function.structured_outputs)}")

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run a signature; blocks. `inputs` are arrays or protos that TensorFlow reads.

        A batch fails whole when one of its images is bad, whoever sent it. So a request that
        failed is run once more by itself: an error is then its own.
        Raises WrongRequest, tf.errors.OpError.
        """
        tensors = self._tensors(signature, inputs)
        batched = self._batched.get(signature)
        if batched is None:
            return _arrays(self._plain[signature](**tensors))
        try:
            values = batched(*(tensors[name] for name in sorted(tensors)))
        except tf.errors.InvalidArgumentError:
            return _arrays(self._plain[signature](**tensors))
        return _arrays(dict(zip(sorted(self._plain[signature].structured_outputs), values, strict=True)))

    def warm_up(self) -> None:
        """Replay the recorded requests, alone and as a full batch."""
        path = self.folder / WARMUP
        if not path.is_file():
            return
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
            for times in (1, self._largest):
                self.run(signature, {name: value.repeat(times, axis=0) for name, value in inputs.items()})

    def signatures(self) -> dict[str, SignatureDef]:
        """The signatures as the file describes them."""
        saved = saved_model_pb2.SavedModel.FromString((self.folder / "saved_model.pb").read_bytes())
        return {
            name: SignatureDef.FromString(value.SerializeToString())
            for name, value in saved.meta_graphs[0].signature_def.items()
            if name in self._plain
        }

    def _tensors(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        specs = self._plain[signature].structured_input_signature[1]
        tensors = {}
        for name, spec in specs.items():
            try:
                tensors[name] = tf.constant(inputs[name], dtype=spec.dtype)
            except (TypeError, ValueError, tf.errors.OpError) as error:
                raise WrongRequest(f"{name}: {error}") from error
            if not spec.shape.is_compatible_with(tensors[name].shape):
                raise WrongRequest(f"{name} has the shape {tensors[name].shape}; {spec.shape} is expected")
        return tensors


def _can_batch(function: Any) -> bool:
    inputs = list(function.structured_input_signature[1].values())
    specs = [*inputs, *function.structured_outputs.values()]
    return bool(inputs) and all(spec.shape.rank and spec.shape[0] is None for spec in specs)


def _batched(function: Any, key: str, batching: Batching) -> Any:
    """`function` over batches that are shared between its callers.

    One scheduler serves all models, as in TensorFlow Serving: each scheduler's threads look for
    work a thousand times a second, whether there is some or not.
    """
    specs = function.structured_input_signature[1]
    inputs, outputs = sorted(specs), sorted(function.structured_outputs)

    def flat(*values: Any) -> list[Any]:
        results = function(**dict(zip(inputs, values, strict=True)))
        return [results[name] for name in outputs]

    signature = [tf.TensorSpec(specs[name].shape, specs[name].dtype, name) for name in inputs]
    batch = tf.function(flat, input_signature=signature, autograph=False).get_concrete_function()

    def call(*values: Any) -> Any:
        return tf.raw_ops.BatchFunction(
            in_tensors=list(values),
            captured_tensors=batch.captured_inputs,
            f=batch,
            num_batch_threads=batching.num_batch_threads,
            max_batch_size=batching.max_batch_size,
            batch_timeout_micros=batching.batch_timeout_micros,
            allowed_batch_sizes=list(batching.allowed_batch_sizes),
            max_enqueued_batches=batching.max_enqueued_batches,
            enable_large_batch_splitting=True,
            shared_name=str(batching),
            batching_queue=key,
            Tout=[output.dtype for output in batch.outputs],
        )

    return tf.function(call, input_signature=signature, autograph=False).get_concrete_function()


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.numpy() for name, value in values.items()}
