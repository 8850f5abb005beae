"""``python -m inference.server``: serve the SavedModels of ``models.config`` until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

from core import log
from core.errors import FatalError
from core.settings import load
from inference.server import machine


def main() -> int:
    """Exit code 0 after SIGTERM, 1 with one clear line when it cannot serve."""
    settings = load()
    log.configure(settings.telemetry, "models")
    try:
        machine.prepare()  # before TensorFlow is loaded
        from inference.server import app  # noqa: PLC0415

        asyncio.run(app.serve(settings))
    except FatalError as error:
        log.get(__name__).error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
