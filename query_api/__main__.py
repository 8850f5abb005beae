"""``python -m query_api``: serve until SIGTERM."""

from __future__ import annotations

import sys

from core import log
from core.errors import FatalError
from core.settings import load
from query_api.serving import Server


def main() -> int:
    """Exit code: 0 after SIGTERM, 1 when it cannot start."""
    try:
        settings = load()
    except FatalError as error:
        print(f"query: {error}", file=sys.stderr)  # noqa: T201  # logging is not set up without settings
        return 1
    log.configure(settings.telemetry, "query")
    Server(settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
