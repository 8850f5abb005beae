"""`python -m ingest [--instance N]`: an ingest host. SIGTERM ends it; its runs are continued at the next start."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from core import settings
from core.errors import FatalError, TransientError
from core.log import configure, get
from ingest.host import Host

log = get(__name__)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when told to end, 1 when it cannot work."""
    parser = argparse.ArgumentParser(prog="python -m ingest", description="Run an ingest host.")
    parser.add_argument(
        "--instance", help="number of this host among those of this machine: a restart then costs no rebalance"
    )
    instance: str | None = parser.parse_args(arguments).instance
    try:
        loaded = settings.load()
        configure(loaded.telemetry, "ingest")
        host = Host(loaded, instance=instance)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: host.stop())
        host.run()
    except (FatalError, TransientError) as error:
        log.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
