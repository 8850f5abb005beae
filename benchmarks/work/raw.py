"""A detector called in a loop: its exported signature on JPEGs, or its bare graph on pixels.

The bare graph is the exported one from the pixels on: network and decoding of its heads, without
JPEG decoding and scaling.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.clips import pictures_of
from core.settings import Models
from inference.server import machine

NETWORK = "network/"
Call = Callable[[Any], Any]


class Loop:
    """A function of batches and what it is called with, over and over."""

    def __init__(self, call: Call, batches: Callable[[int], Sequence[Any]]) -> None:
        self._call = call
        self._batches = batches
        self._made: dict[int, Sequence[Any]] = {}

    def __call__(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Loop for `seconds` in batches of `batch`, `in_flight` of them at once."""
        batch, in_flight = int(question["batch"]), int(question["in_flight"])
        if batch not in self._made:
            self._made[batch] = self._batches(batch)
            self._call(self._made[batch][0])  # the first call of a size prepares its kernels
        inputs = self._made[batch]
        begun = time.perf_counter()
        until = begun + float(question["seconds"])

        def caller(number: int) -> list[float]:
            took: list[float] = []
            while (now := time.perf_counter()) < until:
                self._call(inputs[(number + len(took) * in_flight) % len(inputs)])
                took.append(time.perf_counter() - now)
            return took

        with ThreadPoolExecutor(in_flight) as pool:
            calls = [seconds for each in pool.map(caller, range(in_flight)) for seconds in each]
        return {"items": batch * len(calls), "seconds": time.perf_counter() - begun, "calls_s": calls}


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """Load the model.

    Args:
        setup: ``folder`` of the version, ``pictures``, input ``size``, ``threads``, ``bfloat16``, ``bare``.
    """
    machine.prepare()
    import tensorflow as tf  # noqa: PLC0415  # after what it reads is set

    machine.configure(tf, Models(threads=setup["threads"], bfloat16="on" if setup["bfloat16"] else "off"))
    saved = tf.saved_model.load(str(Path(setup["folder"])))
    pictures = pictures_of(setup["pictures"])
    loop = (_bare if setup["bare"] else _raw)(tf, saved, pictures, int(setup["size"]))
    return loop, {}


def _raw(tf: Any, saved: Any, pictures: list[bytes], _: int) -> Loop:
    signature = saved.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def call(batch: list[bytes]) -> None:
        for value in signature(**{name: tf.constant(batch)}).values():
            value.numpy()

    return Loop(call, lambda size: _batches(pictures, size))


def _bare(tf: Any, saved: Any, pictures: list[bytes], size: int) -> Loop:
    from inference.convert import images  # noqa: PLC0415  # loads TensorFlow

    (whole,) = saved.serve.concrete_functions
    outputs = [tensor.name for tensor in whole.outputs]
    graph, pixels_name = _from_pixels(tf, whole.graph.as_graph_def(), outputs)

    def from_pixels(pixels: Any) -> Any:
        return tf.graph_util.import_graph_def(graph, {pixels_name: pixels}, outputs, name="bare")

    signature = [tf.TensorSpec([None, size, size, 3], tf.float32)]
    function = tf.function(from_pixels, input_signature=signature, autograph=False).get_concrete_function()

    def call(pixels: Any) -> None:
        for value in function(pixels):
            value.numpy()

    def batches(count: int) -> list[Any]:
        return [images.stretched(tf.constant(batch), size) for batch in _batches(pictures[: 8 * count], count)]

    return Loop(call, batches)


def _from_pixels(tf: Any, graph: Any, outputs: Sequence[str]) -> tuple[Any, str]:
    """The graph without what comes before the network, and the name of the tensor that it begins with."""
    wanted = [name.partition(":")[0] for name in outputs]
    reached = tf.compat.v1.graph_util.extract_sub_graph(graph, wanted)
    ops = {node.name: node.op for node in reached.node}
    entries = {
        given
        for node in reached.node
        if node.name.startswith(NETWORK)
        for given in node.input
        if not given.startswith((NETWORK, "^")) and ops[given.partition(":")[0]] != "Const"
    }
    (entry,) = entries
    name = entry.partition(":")[0]
    for node in reached.node:
        if node.name == name:
            node.ClearField("input")
            node.ClearField("attr")
            node.op = "Placeholder"
            node.attr["dtype"].type = tf.float32.as_datatype_enum
    return tf.compat.v1.graph_util.extract_sub_graph(reached, wanted), f"{name}:0"


def _batches(pictures: Sequence[bytes], size: int) -> list[list[bytes]]:
    whole = range(0, len(pictures) - size + 1, size)
    return [list(pictures[at : at + size]) for at in whole]


if __name__ == "__main__":
    child.serve(make)
