"""Parts of paths, beyond what Falcon reads."""

from __future__ import annotations

from falcon.routing import BaseConverter


class TextConverter(BaseConverter):
    """One segment as it stands; whoever is asked says what it does not know."""

    def convert(self, value: str) -> str:
        """The segment."""
        return value
