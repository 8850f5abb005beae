"""What readers are forked from: a process that has loaded everything they use, and ends with its host.

Imported by multiprocessing's fork server, in that process and in no other.
"""

from __future__ import annotations

import ingest.reader  # noqa: F401  # for what it loads
from core.process import be_called, die_with_parent

die_with_parent()
be_called("reader-template")
