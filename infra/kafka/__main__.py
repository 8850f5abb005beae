"""`python -m infra.kafka`: becomes the local broker."""

from __future__ import annotations

import os
import subprocess
import sys

from core import log
from core.errors import FatalError, SetupError
from core.settings import Settings, load
from infra.kafka.broker import Layout, format_command, java, properties, serve_command
from infra.kafka.jars import resolve


def prepare(settings: Settings) -> list[str]:
    """Write the properties, format an empty folder, and give the broker's command.

    Raises:
        SetupError: Java or the jars are missing, or the folder cannot be formatted.
    """
    java_path = java()
    resolve(settings)
    layout = Layout.of(settings)
    layout.data.mkdir(parents=True, exist_ok=True)
    layout.properties.write_text(properties(settings, layout.data))
    if not (layout.data / "meta.properties").is_file():
        done = subprocess.run(  # noqa: S603 - our own words
            format_command(java_path, layout), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SetupError(f"Kafka cannot format {layout.data}: {(done.stderr + done.stdout).strip()}")
    return serve_command(java_path, layout, settings.kafka.heap_mb)


def main() -> None:
    """Replace this process by Java, so that the supervisor's signals reach it."""
    settings = load()
    log.configure(settings.telemetry, "kafka")
    try:
        command = prepare(settings)
    except FatalError as error:
        log.get(__name__).error(str(error))
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
