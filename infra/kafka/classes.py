"""Kafka's classes as the JVM maps them into memory: a broker that has them starts in a third of the time.

They are written by a broker that ends (`-XX:ArchiveClassesAtExit`). A JVM that they do not fit, such
as a newer one, passes over them and loads the jars.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from core.errors import SetupError, SightlineError
from core.kafka import ensure_topics, ready
from core.settings import Kafka, Settings, load
from infra.kafka.broker import Layout, format_command, java, properties, serve_command

PATIENCE_S = 120.0


def keep(settings: Settings) -> None:
    """Write the archive beside the jars, where it is missing, by running a broker of its own for a moment.

    Raises:
        SetupError: Java is missing or too old, or that broker does not run.
    """
    lib = Layout.of(settings).lib
    if (lib / Layout.ARCHIVE).is_file():
        return
    with tempfile.TemporaryDirectory(prefix="sightline-kafka-") as folder:
        port, controller_port = _free_ports()
        kafka = Kafka(port=port, controller_port=controller_port)
        layout = Layout(lib, Path(folder) / "data", Path(folder) / "server.properties")
        layout.data.mkdir()
        layout.properties.write_text(properties(Settings(kafka=kafka), layout.data))
        written = Path(folder) / Layout.ARCHIVE
        with (Path(folder) / "log").open("w+b") as output:
            try:
                _run(kafka, layout, written, output.fileno())
            except (SightlineError, OSError, subprocess.SubprocessError) as error:
                output.seek(0)
                said = output.read()[-500:].decode(errors="replace")
                raise SetupError(f"a broker for Kafka's classes does not run: {error}\n{said}") from error
        partial = lib / f".{Layout.ARCHIVE}.{os.getpid()}"
        partial.write_bytes(written.read_bytes())  # perhaps on another disk, where it cannot be renamed to
        partial.replace(lib / Layout.ARCHIVE)


def _run(kafka: Kafka, layout: Layout, written: Path, output: int) -> None:
    """A broker from its start to its end, with what every broker here does."""
    subprocess.run(format_command(java(), layout), stdout=output, stderr=output, check=True)  # noqa: S603
    command, *arguments = serve_command(java(), layout, kafka.heap_mb)
    process = subprocess.Popen(  # noqa: S603
        [command, f"-XX:ArchiveClassesAtExit={written}", *arguments], stdout=output, stderr=output
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while not ready(kafka, 1.0):
            if process.poll() is not None or time.monotonic() > until:
                raise SetupError("it does not answer")
        ensure_topics(kafka)
        process.terminate()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


if __name__ == "__main__":
    keep(load())
