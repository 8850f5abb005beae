"""How many rows a page has."""

from __future__ import annotations

from core.errors import InvalidInput
from core.settings import Settings

DEFAULT = 100


def page_limit(asked: int | None, settings: Settings) -> int:
    """Rows of the page that was asked for. Raises InvalidInput for more than the settings allow."""
    most = settings.query.max_page
    if asked is not None and asked > most:
        raise InvalidInput(f"a page has at most {most} rows", "limit")
    return min(DEFAULT, most) if asked is None else asked
