"""Running `sightline` as a user does, against the stack under test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol


class RunningStack(Protocol):
    """What the `stack` fixture yields."""

    url: str
    env: dict[str, str]


def sightline(stack: RunningStack, *arguments: str, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
    """`sightline ARGUMENTS`, its output captured."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("sightline")), *arguments],
        env=stack.env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def analyze(stack: RunningStack, out: Path, file: Path, *options: str) -> dict[str, Any]:
    """The JSON that ``sightline analyze FILE --json`` writes."""
    target = out / f"{file.name}.json"
    done = sightline(stack, "analyze", str(file), "--json", str(target), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    return result


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """A result without ids and wall-clock times, for comparing two analyses of one video."""
    return {
        "video": {key: value for key, value in result["video"].items() if key != "name"},
        "ledger": result["ledger"],
        "errors": result["errors"],
        "objects": result["objects"],
        "tracks": [{key: value for key, value in track.items() if key != "image"} for track in result["tracks"]],
        "events": [
            {key: value for key, value in event.items() if key not in ("event_id", "image")}
            for event in result["events"]
        ],
    }
