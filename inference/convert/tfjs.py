"""Read a TensorFlow.js graph model as a GraphDef of plain operations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import json_format

Weights = dict[str, npt.NDArray[Any]]
_PLAIN = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative", "_FusedMatMul": "MatMul"}
_FUSION_ONLY = ("fused_ops", "num_args", "epsilon")
_ACTIVATIONS = ("Relu", "Relu6", "Elu")


class Network:
    """A graph that is called like a function.

    Weights are constants, though as variables they would take half a gigabyte less over the zoo:
    a convolution with a variable for its filter gives one picture other last digits than several.

    Args:
        graph, weights: as `read` gives them.
        given: name of the input.
        wanted: names of the outputs; what they do not need is left out.
    """

    def __init__(self, graph: Any, weights: Mapping[str, npt.NDArray[Any]], given: str, wanted: list[str]) -> None:
        self._given = given
        self._wanted = [f"{name}:0" for name in wanted]
        self._graph = tf.compat.v1.GraphDef()
        for node in tf.compat.v1.graph_util.extract_sub_graph(graph, wanted).node:
            if node.op == "Const":
                value = weights[node.name]
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
                node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
            self._graph.node.append(node)

    def __call__(self, pixels: Any) -> list[Any]:
        """The outputs for a batch."""
        outputs: list[Any] = tf.graph_util.import_graph_def(
            self._graph, {f"{self._given}:0": pixels}, self._wanted, name="network"
        )
        return outputs


def read(model_json: Path) -> tuple[Any, Weights]:
    """The model's GraphDef, its constants still empty, and their values by name.

    Raises ValueError for an operation fused in a way that is not known.
    """
    model = json.loads(model_json.read_text())
    weights = _weights(model["weightsManifest"], model_json.parent)
    graph = tf.compat.v1.GraphDef()
    for node in json_format.ParseDict(model["modelTopology"], tf.compat.v1.GraphDef()).node:
        graph.node.extend(_expand(node))
    return graph, weights


def _weights(manifest: list[dict[str, Any]], folder: Path) -> Weights:
    found: Weights = {}
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            if stored.kind == "u":
                raise ValueError(f"{entry['name']}: affine quantization is not read here")
            count = math.prod(entry["shape"])
            values = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
            found[entry["name"]] = values.astype(entry["dtype"])
            offset += count * stored.itemsize
        if offset != len(data):
            raise ValueError(f"{group['paths']}: {len(data)} bytes, the manifest names {offset}")
    return found


def _expand(node: Any) -> Iterator[Any]:
    """A fused node as its parts; the last keeps the name, so nothing else changes."""
    if node.op not in _PLAIN:
        yield node
        return
    steps = [step.decode() for step in node.attr["fused_ops"].list.s]
    if not steps or steps[0] != "BiasAdd" or len(steps) > 2 or any(s not in _ACTIVATIONS for s in steps[1:]):
        raise ValueError(f"{node.name}: {node.op} fuses {steps}, which is not known here")
    names = [f"{node.name}/{part}" for part in ("plain", "biased")[: len(steps)]] + [node.name]
    plain = _node(_PLAIN[node.op], names[0], node.input[:2])
    for key, value in node.attr.items():
        if key not in _FUSION_ONLY and not (key == "use_cudnn_on_gpu" and plain.op != "Conv2D"):
            plain.attr[key].CopyFrom(value)
    yield plain
    biased = _node("BiasAdd", names[1], [names[0], node.input[2]])
    biased.attr["T"].CopyFrom(node.attr["T"])
    yield biased
    for step in steps[1:]:
        last = _node(step, names[2], [names[1]])
        last.attr["T"].CopyFrom(node.attr["T"])
        yield last


def _node(op: str, name: str, inputs: Any) -> Any:
    made = tf.compat.v1.NodeDef(op=op, name=name)
    made.input.extend(inputs)
    return made
