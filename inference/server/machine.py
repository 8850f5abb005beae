"""What TensorFlow is told about the machine, before and after it is loaded."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from core.settings import Models

_BFLOAT16 = ("amx_bf16", "avx512_bf16")
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def prepare() -> None:
    """Set what TensorFlow reads while it is loaded.

    oneDNN's kernels are several times faster on batches than the others, which TensorFlow takes
    on processors without AVX-512, and give the same bits whatever the batch.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    _few_arenas()


def configure(tensorflow: Any, models: Models) -> bool:
    """Threads and precision; True when bfloat16 is used."""
    threads = models.threads or os.cpu_count() or 1
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    reduced = models.bfloat16 == "on" or (models.bfloat16 == "auto" and has_bfloat16())
    if reduced:
        tensorflow.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    return reduced


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return any(flag in flags for flag in _BFLOAT16)


def _few_arenas() -> None:
    """Keep freed memory in few heaps: one for each thread holds many times what is used."""
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
    except (OSError, AttributeError):
        return  # another C library, which has no such heaps
