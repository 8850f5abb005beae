from __future__ import annotations

import subprocess
import sys

import pytest

WRITES = "from core import log; log.get('x').warning('seen', url='rtsp://user:pass@camera/1')"
CONFIGURED = (
    "from core import log; from core.settings import Telemetry; log.configure(Telemetry(), 'p');"
    "log.get('x').warning('seen', url='rtsp://user:pass@camera/1')"
)


@pytest.mark.parametrize("program", [WRITES, CONFIGURED])
def test_what_is_logged_goes_to_standard_error_and_tells_no_secret(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "seen" in done.stderr and "rtsp://***@camera/1" in done.stderr
