"""The one-machine stack: what runs, under supervisord, and in which order it comes and goes."""
