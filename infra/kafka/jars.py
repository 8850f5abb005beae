"""Resolving Kafka's jars from Maven Central, once, as `pom.xml` names them."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import SetupError
from core.settings import Settings, load
from infra.parts import run, settled

POM = Path(__file__).with_name("pom.xml")


def lib_dir(settings: Settings) -> Path:
    """Where the jars are kept."""
    return settings.data_dir / "kafka" / "lib"


def resolve(settings: Settings) -> Path:
    """The folder of the jars, resolved now if `pom.xml` is not what it was resolved from.

    Raises:
        SetupError: Maven is missing or fails.
    """
    with settled(lib_dir(settings), POM.read_bytes()) as target:
        if target is not None:
            maven = shutil.which("mvn")
            if maven is None:
                raise SetupError("Maven is missing and Kafka's jars are not resolved yet: apt-get install maven")
            # a wrong checksum ends it, instead of the warning that is Maven's default
            command = [maven, "-B", "-q", "-C", "-f", str(POM), "dependency:copy-dependencies"]
            # absolute: Maven takes a relative folder from the pom's own
            run(
                [*command, "-DincludeScope=runtime", f"-DoutputDirectory={target.absolute()}"],
                "Kafka's jars cannot be resolved",
            )
    return lib_dir(settings)


if __name__ == "__main__":
    resolve(load())
