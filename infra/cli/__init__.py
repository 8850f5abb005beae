"""The command `sightline`."""
