"""One step of the control database's schema a file."""
