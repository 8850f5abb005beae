"""TensorFlow Serving's two configuration files: ``models.config`` and ``batching_parameters.txt``.

Both are protocol buffers in text form. The message of the first comes with TensorFlow Serving's
API package; that of the second does not, so its published fields are described here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from core.errors import ConfigError
from inference.protos import ModelServerConfig

MODELS_FILE = "models.config"
BATCHING_FILE = "batching_parameters.txt"
_PACKAGE = "sightline.inference"
_WRAPPED = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests are gathered.

    Attributes:
        max_batch_size: images of one run of the graph.
        batch_timeout_micros: how long an incomplete batch waits for more.
        max_enqueued_batches: batches that may wait; beyond them requests are refused.
        num_batch_threads: batches that run at once.
        allowed_batch_sizes: sizes a batch is padded up to; empty: no padding.
    """

    max_batch_size: int = 8
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 32
    num_batch_threads: int = 2
    allowed_batch_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = self.allowed_batch_sizes
        if min(self.max_batch_size, self.max_enqueued_batches, self.num_batch_threads) < 1:
            raise ConfigError("batching: sizes and counts are at least 1")
        if self.batch_timeout_micros < 0:
            raise ConfigError("batching: batch_timeout_micros is at least 0")
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != self.max_batch_size):
            raise ConfigError("batching: allowed_batch_sizes must rise and end with max_batch_size")


def _batching_message() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="sightline/batching_parameters.proto", package=_PACKAGE, syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = [(name, "Int64Value") for name in _WRAPPED] + [("thread_pool_name", "StringValue")]
    for number, (name, wrapper) in enumerate(fields, 1):
        type_name = f".google.protobuf.{wrapper}"
        message.field.add(
            name=name, number=number, type=kinds.TYPE_MESSAGE, type_name=type_name, label=kinds.LABEL_OPTIONAL
        )
    message.field.add(name="allowed_batch_sizes", number=6, type=kinds.TYPE_INT64, label=kinds.LABEL_REPEATED)
    message.field.add(name="pad_variable_length_inputs", number=7, type=kinds.TYPE_BOOL, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.BatchingParameters"))


_BatchingParameters = _batching_message()


def parse_models(text: str) -> ModelServerConfig:
    """Read ``models.config``. Raises ConfigError."""
    try:
        config = text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise ConfigError(f"{MODELS_FILE}: {error}") from error
    check_models(config)
    return config


def check_models(config: ModelServerConfig) -> None:
    """Refuse a configuration that names no models, or one twice. Raises ConfigError."""
    if config.WhichOneof("config") != "model_config_list":
        raise ConfigError(f"{MODELS_FILE}: model_config_list is expected")
    names = [model.name for model in config.model_config_list.config]
    for model in config.model_config_list.config:
        if not model.name or not model.base_path:
            raise ConfigError(f"{MODELS_FILE}: every config needs a name and a base_path")
        if names.count(model.name) > 1:
            raise ConfigError(f"{MODELS_FILE}: {model.name} is there twice")


def format_models(models: dict[str, Path]) -> str:
    """``models.config`` for the newest version of each model, by name and folder."""
    config = ModelServerConfig()
    for name, folder in models.items():
        config.model_config_list.config.add(name=name, base_path=str(folder), model_platform="tensorflow")
    return str(text_format.MessageToString(config))


def parse_batching(text: str) -> Batching:
    """Read ``batching_parameters.txt``; what it leaves out has its default. Raises ConfigError."""
    try:
        message = text_format.Parse(text, _BatchingParameters())
    except text_format.ParseError as error:
        raise ConfigError(f"{BATCHING_FILE}: {error}") from error
    given = {name: getattr(message, name).value for name in _WRAPPED if message.HasField(name)}
    return Batching(**given, allowed_batch_sizes=tuple(message.allowed_batch_sizes))


def format_batching(batching: Batching) -> str:
    """``batching_parameters.txt`` of these values."""
    message = _BatchingParameters(allowed_batch_sizes=batching.allowed_batch_sizes)
    for name in _WRAPPED:
        getattr(message, name).value = getattr(batching, name)
    return str(text_format.MessageToString(message))
