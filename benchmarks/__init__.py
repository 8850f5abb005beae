"""How fast the parts and the whole are, each beside a reference of the same minutes: `python -m benchmarks`."""
