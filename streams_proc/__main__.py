"""`python -m streams_proc <process>`."""

import sys

from streams_proc.app import main

sys.exit(main(sys.argv[1:]))
