"""The development manual: the project's own documents, as plain pages."""

from __future__ import annotations

from html import escape
from pathlib import Path

from core.errors import NotFound
from query_api.page import STYLE

FOLDER = Path(__file__).parents[2] / "docs"
INDEX = "index.html"
_WRAP = "pre { white-space: pre-wrap; } "


class Manual:
    """Pages by name: `INDEX`, and one for each document of the folder; blocking.

    Args:
        folder: holds Markdown; where it was not installed the index says so.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {f"{file.stem}.html": file for file in sorted(folder.glob("*.md"))}

    def page(self, name: str) -> str:
        """HTML of a page. Raises NotFound."""
        if name in {"", INDEX}:
            return _html("Development manual", self._index())
        if name not in self._files:
            raise NotFound(f"the manual has no page {name!r:.80}; {INDEX} lists them")
        text = self._files[name].read_text(encoding="utf-8")
        return _html(_title(text, name), f'<p><a href="{INDEX}">All pages</a></p><pre>{escape(text)}</pre>')

    def _index(self) -> str:
        if not self._files:
            return "<p>The documents are not installed here; they are the folder <code>docs</code> of the source.</p>"
        links = (
            f'<li><a href="{escape(name)}">{escape(_title(file.read_text(encoding="utf-8"), name))}</a></li>'
            for name, file in self._files.items()
        )
        described = '<p>The interface is described at <a href="../spec">/docs/spec</a>.</p>'
        return f"{described}<ul>{''.join(links)}</ul>"


def _title(text: str, name: str) -> str:
    first = text.split("\n", 1)[0]
    return first.removeprefix("# ") if first.startswith("# ") else name


def _html(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}{_WRAP}</style></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
