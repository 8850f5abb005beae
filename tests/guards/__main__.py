"""`python -m tests.guards [--fast] [--only TEXT] [--dry]`: exits 1 when a guard can go unnoticed."""

from __future__ import annotations

import argparse
import sys
import time

from tests.guards.catalogue import GUARDS
from tests.guards.report import write
from tests.guards.run import Finding, check_whole, copied, try_one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guards", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the guards whose tests need a broker")
    parser.add_argument("--only", default="", help="guards whose name or file holds this text")
    parser.add_argument("--dry", action="store_true", help="write nothing into docs/reliability.md")
    chosen = parser.parse_args()
    guards = [g for g in GUARDS if not (chosen.fast and g.broker) and chosen.only in f"{g.name} {g.file}"]
    findings: list[Finding] = []
    with copied() as copy:
        if wrong := check_whole(copy, guards):
            print(wrong, file=sys.stderr)
            return 1
        for guard in guards:
            finding = try_one(copy, guard)
            findings.append(finding)
            said = "fails" if finding.held else f"NOT NOTICED by {', '.join(finding.unnoticed)}{finding.error}"
            print(f"{guard.name:<58} {len(guard.tests)} {said} {finding.seconds:5.1f} s", flush=True)
    if not chosen.dry:
        write(findings, GUARDS, time.strftime("%Y-%m-%d"))
    missed = [finding for finding in findings if not finding.held]
    print(f"{len(findings) - len(missed)} of {len(findings)} guards: their tests fail without them")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
