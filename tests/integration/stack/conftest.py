"""These tests share a running stack."""

from tests.fixtures_stack import stack

__all__ = ["stack"]
