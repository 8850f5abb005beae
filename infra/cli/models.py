"""`sightline models`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from core.settings import load
from infra.cli.exits import exits
from infra.cli.tables import output, table


def fetch() -> None:
    """Download and convert the default models; what is there is left alone."""
    out = Console()
    with exits(Console(stderr=True)):
        from inference.fetch import fetch_all  # noqa: PLC0415 - heavy

        settings = load()
        cards = fetch_all(settings, lambda line: out.print(Text(f"  {line}"), soft_wrap=True))
        out.print(Text(f"  {len(cards)} models in {settings.models_dir}"), soft_wrap=True)


def show() -> None:
    """Show the models that are there: version, kind, input size, licence, source."""
    with exits(Console(stderr=True)):
        from inference.cards import list_cards  # noqa: PLC0415 - heavy

        shown = table("model", "version", "kind", "input", "licence", "source")
        for card in list_cards(load().models_dir):
            shown.add_row(
                card.name, str(card.version), card.kind, str(card.input_size), Text(card.licence), Text(card.source)
            )
        output().print(shown)
