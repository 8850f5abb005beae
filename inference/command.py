"""Which program serves the models on this machine."""

from __future__ import annotations

import shutil
import sys

from core.settings import Settings
from inference.serving_config import BATCHING_FILE, MODELS_FILE
from inference.wire import MAX_MESSAGE_BYTES

OFFICIAL = "tensorflow_model_server"


def server_command(settings: Settings) -> list[str]:
    """Command line of the model server: TensorFlow Serving's own where it is installed, else ours."""
    official = shutil.which(OFFICIAL)
    if official is None:
        return [sys.executable, "-m", "inference.server"]
    folder = settings.models_dir.absolute()
    threads = [f"--tensorflow_intra_op_parallelism={settings.models.threads}"] if settings.models.threads else []
    return [
        official,
        f"--port={settings.models.port}",
        "--rest_api_port=0",
        f"--model_config_file={folder / MODELS_FILE}",
        "--enable_batching=true",
        f"--batching_parameters_file={folder / BATCHING_FILE}",
        f"--grpc_channel_arguments=grpc.max_receive_message_length={MAX_MESSAGE_BYTES}",
        *threads,
    ]
