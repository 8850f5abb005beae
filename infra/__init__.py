"""How it runs: the one-machine stack, its command line, and what production needs."""
