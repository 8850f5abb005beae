"""Watching streams while they run: pictures, and what happens in them."""
