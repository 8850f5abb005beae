"""Thin resources: what HTTP says goes in, what a service found comes out."""
