"""TensorFlow Serving's gRPC services over the served versions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import tensorflow as tf

from core import log
from core.errors import ConfigError
from core.messages import Lane
from inference.protos import (
    Code,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelVersionStatus,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    SignatureDefMap,
)
from inference.server.gate import Gate, GateFull
from inference.server.loaded import DEFAULT_SIGNATURE, WrongRequest
from inference.server.versions import StillLoading, UnknownModel, Versions
from inference.serving_config import check_models
from inference.wire import LANE_KEY, MAX_MESSAGE_BYTES

Context = Any  # grpc.aio.ServicerContext, which has no types
LEAST_RUN_S = 1.0
"""What is left of a request's deadline when it is told that there is no room."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class PredictionService(PredictionServiceServicer):  # type: ignore[misc]  # generated without types
    """Predict and GetModelMetadata."""

    def __init__(self, versions: Versions, gate: Gate, workers: ThreadPoolExecutor) -> None:
        self._versions = versions
        self._gate = gate
        self._workers = workers
        self._log = log.get(__name__)

    async def Predict(self, request: PredictRequest, context: Context) -> PredictResponse:  # noqa: N802  # gRPC's name
        """Run a signature on a batch; shares the run with other requests."""
        rows = (int(tensor.tensor_shape.dim[0].size) for tensor in request.inputs.values() if tensor.tensor_shape.dim)
        images = max((1, *rows))
        lane = _lane(context)
        try:
            async with asyncio.timeout(_patience(context)):
                await self._gate.enter(images, lane)
        except GateFull as error:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except TimeoutError:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "other requests left no room before the deadline")
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._workers, self._predict, request)
        # The run cannot be called back: when the caller is gone, its room is taken until it is done.
        work.add_done_callback(lambda _: self._gate.leave(images, lane))
        number, outputs = await _mapped(context, asyncio.shield(work))
        return await _mapped(context, loop.run_in_executor(None, _response, request, number, outputs))

    async def GetModelMetadata(self, request: GetModelMetadataRequest, context: Context) -> GetModelMetadataResponse:  # noqa: N802
        """The signatures of a version."""
        if set(request.metadata_field) != {"signature_def"}:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "metadata_field must be signature_def")
        work = asyncio.get_running_loop().run_in_executor(None, self._metadata, request)
        return await _mapped(context, work)

    def _predict(self, request: PredictRequest) -> tuple[int, dict[str, Any]]:
        spec = request.model_spec
        signature = spec.signature_name or DEFAULT_SIGNATURE
        with self._versions.use(spec.name, *_which(spec)) as (number, model):
            model.check(signature, list(request.inputs), list(request.output_filter))
            return number, model.run(signature, {name: _value(t) for name, t in request.inputs.items()})

    def _metadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        spec = request.model_spec
        with self._versions.use(spec.name, *_which(spec)) as (number, model):
            signatures = SignatureDefMap(signature_def=model.signatures())
        response = GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = number
        response.metadata["signature_def"].Pack(signatures)
        return response


class ModelService(ModelServiceServicer):  # type: ignore[misc]  # generated without types
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def GetModelStatus(self, request: GetModelStatusRequest, context: Context) -> GetModelStatusResponse:  # noqa: N802
        """Where each version of a model stands."""
        spec = request.model_spec
        try:
            known = self._versions.states(spec.name)
        except UnknownModel as error:
            await _abort(context, grpc.StatusCode.NOT_FOUND, str(error))
        if spec.HasField("version"):
            known = [version for version in known if version.number == spec.version.value]
            if not known:
                await _abort(context, grpc.StatusCode.NOT_FOUND, f"no version {spec.version.value} of {spec.name!r}")
        response = GetModelStatusResponse()
        for version in known:
            status: ModelVersionStatus = response.model_version_status.add(version=version.number, state=version.state)
            status.status.error_code = version.code
            status.status.error_message = version.error
        return response

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: ReloadConfigRequest, context: Context
    ) -> ReloadConfigResponse:
        """Serve another set of models; answers when they are there."""
        response = ReloadConfigResponse()
        try:
            check_models(request.config)
        except ConfigError as error:
            response.status.error_code = Code.INVALID_ARGUMENT
            response.status.error_message = str(error)
            return response
        await asyncio.get_running_loop().run_in_executor(None, self._versions.follow, request.config)
        return response


def _response(request: PredictRequest, number: int, outputs: Mapping[str, Any]) -> PredictResponse:
    response = PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = number
    response.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    for name in request.output_filter or outputs:
        response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
    return response


async def _mapped(context: Context, work: Any) -> Any:
    """Await `work`; what it raises becomes the call's gRPC status."""
    try:
        return await work
    except UnknownModel as error:
        await _abort(context, grpc.StatusCode.NOT_FOUND, str(error))
    except StillLoading as error:
        # busy with it, not away: a caller's circuit breaker must not shut the other models off
        await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    except WrongRequest as error:
        await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except tf.errors.OpError as error:
        await _abort(context, _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message[:2000])


async def _abort(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)
    raise AssertionError("abort raises")


def _which(spec: Any) -> tuple[int | None, str]:
    match spec.WhichOneof("version_choice"):
        case "version":
            return spec.version.value, ""
        case "version_label":
            return None, spec.version_label
        case _:
            return None, ""


def _lane(context: Context) -> Lane:
    metadata: Mapping[str, str] = dict(context.invocation_metadata() or ())
    return "live" if metadata.get(LANE_KEY) == "live" else "batch"


def _patience(context: Context) -> float | None:
    """Seconds for which a request may wait for others: its caller must hear of it before it gives up.

    A caller that gives up takes the server for broken; one that hears "busy" does not.
    """
    left = context.time_remaining()
    return None if left is None else max(left / 2, left - LEAST_RUN_S)


def _value(tensor: Any) -> Any:
    """A string tensor as the list of its bytes, which TensorFlow reads fastest; else an array."""
    if tensor.string_val and [dim.size for dim in tensor.tensor_shape.dim] == [len(tensor.string_val)]:
        return list(tensor.string_val)
    if math.prod(dim.size for dim in tensor.tensor_shape.dim) > MAX_MESSAGE_BYTES:
        raise WrongRequest("a tensor names more values than a message can carry")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise WrongRequest(str(error)) from error


def health() -> Any:
    """``grpc.health.v1.Health/Check`` for probes: SERVING from the moment the port answers."""

    async def check(_: bytes, __: Context) -> bytes:
        return b"\x08\x01"  # HealthCheckResponse{status: SERVING}

    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
