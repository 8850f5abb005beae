"""`python -m ingest [--instance N]`: an ingest host. SIGTERM ends it; its runs are continued at the next start."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from core import settings
from core.errors import FatalError, SetupError, TransientError
from core.log import configure, get
from core.orders import Obeying
from core.settings import Settings
from ingest.host import Host

log = get(__name__)


@contextmanager
def _alone(loaded: Settings, instance: str | None) -> Iterator[None]:
    """Two hosts in one place of the group would read the same streams until the first is told. Raises SetupError."""
    if instance is None:
        yield
        return
    folder = loaded.data_dir / "ingest"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"host-{instance}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"ingest host {instance} runs already; give this one another --instance") from None
        yield


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
        with _alone(loaded, instance):
            host = Host(loaded, instance=instance)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: host.stop())
            with Obeying(loaded.kafka, host.stop, loaded.telemetry.level):
                host.run()
    except (FatalError, TransientError) as error:
        log.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
