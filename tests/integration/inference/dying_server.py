"""A model server that ends at once, as by a segmentation fault, when it is shown one picture.

``python -m tests.integration.inference.dying_server PORT CHECKSUM``
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from inference.protos import (
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    add_PredictionServiceServicer_to_server,
)
from tests.unit.inference.fakes import response

TAKES_S = 0.05


class Dying(PredictionServiceServicer):  # type: ignore[misc]  # generated without types
    """The embedding of a picture is its checksum."""

    def __init__(self, deadly: int) -> None:
        self._deadly = deadly

    def Predict(self, request: PredictRequest, _: Any) -> PredictResponse:  # gRPC's name
        (tensor,) = request.inputs.values()
        sums = [zlib.crc32(image) for image in tensor.string_val]
        time.sleep(TAKES_S)
        if self._deadly in sums:
            os._exit(139)
        return response(embedding=[[float(each % 1000), 1.0] for each in sums])


def main(port: int, deadly: int) -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    add_PredictionServiceServicer_to_server(Dying(deadly), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
