"""`python -m ingest`: an ingest host. SIGTERM ends it; its runs are continued at the next start."""

from __future__ import annotations

import signal
import sys

from core import settings
from core.errors import FatalError, TransientError
from core.log import configure, get
from ingest.host import Host

log = get(__name__)


def main() -> int:
    """Exit code 0 when told to end, 1 when it cannot work."""
    try:
        loaded = settings.load()
        configure(loaded.telemetry, "ingest")
        host = Host(loaded)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: host.stop())
        host.run()
    except (FatalError, TransientError) as error:
        log.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
