"""Write the schemas anew: ``python -m core.contracts``. Refuses what is not add-only."""

from __future__ import annotations

import json
import sys

from core.contracts import FOLDER, TYPES, add_only, published, schema


def main() -> int:
    """Write `schemas/`, and `baseline/` for a topic that has none."""
    for topic in TYPES:
        made = schema(topic)
        baseline = FOLDER / "baseline" / f"{topic}.json"
        if baseline.exists():
            faults = add_only(published(topic, "baseline"), made)
            if faults:
                sys.stderr.write(f"{topic}: published fields may only be added to:\n  " + "\n  ".join(faults) + "\n")
                return 1
        else:
            baseline.write_text(json.dumps(made, indent=2) + "\n")
        (FOLDER / "schemas" / f"{topic}.json").write_text(json.dumps(made, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
