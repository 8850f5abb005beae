"""TensorFlow Serving's messages and gRPC services, without loading TensorFlow.

The messages of `tensorflow_serving.apis` import those of the `tensorflow` package, whose own
import takes seconds and hundreds of megabytes. A bare package object with the real folder as its
path lets the message modules be found and nothing else run. Where TensorFlow is loaded already
(the model server, the conversion) it is used as it is.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType

_NAME = "tensorflow"


def _stand_in() -> None:
    if _NAME in sys.modules:
        return
    spec = PathFinder.find_spec(_NAME)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("the package tensorflow-cpu is not installed; its messages are needed")
    bare = ModuleType(_NAME, "Only the message modules of TensorFlow; see inference.protos.")
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__spec__ = spec
    sys.modules[_NAME] = bare


_stand_in()

from tensorflow.core.framework.tensor_pb2 import TensorProto  # noqa: E402
from tensorflow.core.framework.types_pb2 import DataType  # noqa: E402
from tensorflow.core.protobuf.error_codes_pb2 import Code  # noqa: E402
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef  # noqa: E402
from tensorflow_serving.apis.get_model_metadata_pb2 import (  # noqa: E402
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.get_model_status_pb2 import (  # noqa: E402
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelVersionStatus,
)
from tensorflow_serving.apis.model_management_pb2 import (  # noqa: E402
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from tensorflow_serving.apis.model_service_pb2_grpc import (  # noqa: E402
    ModelServiceServicer,
    ModelServiceStub,
    add_ModelServiceServicer_to_server,
)
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse  # noqa: E402
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog  # noqa: E402
from tensorflow_serving.apis.prediction_service_pb2_grpc import (  # noqa: E402
    PredictionServiceServicer,
    PredictionServiceStub,
    add_PredictionServiceServicer_to_server,
)
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig  # noqa: E402

__all__ = [
    "Code",
    "DataType",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "ModelConfig",
    "ModelServerConfig",
    "ModelServiceServicer",
    "ModelServiceStub",
    "ModelVersionStatus",
    "PredictRequest",
    "PredictResponse",
    "PredictionLog",
    "PredictionServiceServicer",
    "PredictionServiceStub",
    "ReloadConfigRequest",
    "ReloadConfigResponse",
    "SignatureDef",
    "SignatureDefMap",
    "TensorProto",
    "add_ModelServiceServicer_to_server",
    "add_PredictionServiceServicer_to_server",
]
