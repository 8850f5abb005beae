"""notify: what happens, told to whoever asked to be told."""

NAME = "notify"
"""Of the stage and its consumer group."""
