"""The server's parts put together, in the order in which they start and stop."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import tensorflow as tf

from core import log
from core.errors import FatalError, ModelError, SetupError
from core.settings import Settings
from inference.protos import (
    ModelVersionStatus,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from inference.server import machine
from inference.server.gate import Gate
from inference.server.loaded import Loaded
from inference.server.services import ModelService, PredictionService, health
from inference.server.versions import Versions
from inference.serving_config import BATCHING_FILE, MODELS_FILE, Batching, parse_batching, parse_models
from inference.wire import CHANNEL_OPTIONS

POLL_S = 1.0
GRACE_S = 10.0
QUIET_POLLS = 5
MOST_POLLS = 60
"""Frames that have waited for a server that was killed go before models that nobody has asked for."""


async def serve(settings: Settings) -> None:
    """Load, warm up, then answer until SIGTERM or SIGINT. Raises FatalError when it cannot begin.

    It answers as soon as the models are there that every frame needs; the others follow.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    reduced = machine.configure(tf, settings.models)
    batching = parse_batching(_read(settings.models_dir / BATCHING_FILE))
    versions = Versions(lambda folder, key: Loaded(folder, key, batching))
    await asyncio.to_thread(_first_load, versions, settings)
    gate = _gate(batching)
    server = _server(versions, gate, batching)
    address = f"{settings.models.host}:{settings.models.port}"
    _bind(server, address)
    await server.start()
    log.get(__name__).info("serving", address=address, models=versions.names(), bfloat16=reduced)
    poll = asyncio.create_task(_poll(versions, gate))
    await stopped.wait()
    poll.cancel()
    versions.end()
    await server.stop(GRACE_S)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise SetupError(f"{path} cannot be read; `sightline models fetch` writes it") from error


def _first_load(versions: Versions, settings: Settings) -> None:
    config = parse_models(_read(settings.models_dir / MODELS_FILE))
    every = {model.name for model in config.model_config_list.config}
    needed = every & {settings.models.detector, settings.models.embedder} or every
    versions.follow(config, needed)
    for name in sorted(needed):
        known = versions.states(name)
        if not any(version.state == ModelVersionStatus.AVAILABLE for version in known):
            why = next((version.error for version in known if version.error), "its folder has no version")
            raise ModelError(f"model {name} cannot be served: {why}")


def _gate(batching: Batching) -> Gate:
    return Gate(_at_once(batching), batching.max_enqueued_batches * batching.max_batch_size)


def _at_once(batching: Batching) -> int:
    return batching.num_batch_threads * batching.max_batch_size


def _server(versions: Versions, gate: Gate, batching: Batching) -> grpc.aio.Server:
    workers = ThreadPoolExecutor(_at_once(batching), thread_name_prefix="predict")
    server = grpc.aio.server(options=CHANNEL_OPTIONS)
    add_PredictionServiceServicer_to_server(PredictionService(versions, gate, workers), server)
    add_ModelServiceServicer_to_server(ModelService(versions), server)
    server.add_generic_rpc_handlers((health(),))
    return server


def _bind(server: grpc.aio.Server, address: str) -> None:
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise _taken(address) from error
    if not bound:
        raise _taken(address)


def _taken(address: str) -> FatalError:
    return SetupError(f"{address} cannot be bound; SIGHTLINE_MODELS__PORT moves the model server to another port")


async def _poll(versions: Versions, gate: Gate) -> None:
    """Load what is not loaded yet when it is asked for or there is time; then look for new version folders."""
    quiet = 0
    for _ in range(MOST_POLLS):
        if versions.complete or versions.awaited or quiet == QUIET_POLLS:
            break
        await asyncio.sleep(POLL_S)
        quiet = quiet + 1 if gate.idle else 0
    while True:
        await asyncio.to_thread(versions.refresh)
        await asyncio.sleep(POLL_S)
