"""`sightline`: every command by name; each is loaded when it is used."""

from __future__ import annotations

import typer

from infra.cli.lazy import LazyGroup

HERE = "infra.cli"


class Models(LazyGroup):
    """`sightline models`."""

    lazy = (
        ("fetch", "Download and convert the default models; what is there is left alone.", f"{HERE}.models:fetch"),
        ("list", "Show the models that are there.", f"{HERE}.models:show"),
    )


class Streams(LazyGroup):
    """`sightline streams`."""

    lazy = (
        ("add", "Watch a URL, or a file played at its own pace.", f"{HERE}.streams:add"),
        ("list", "Show the streams.", f"{HERE}.streams:show"),
        ("remove", "Remove a stream and everything that it left.", f"{HERE}.streams:remove"),
    )


class Tokens(LazyGroup):
    """`sightline token`."""

    lazy = (
        ("create", "Make a token, an API key or a check-in key pair.", f"{HERE}.tokens:create"),
        ("list", "Show the tokens and keys.", f"{HERE}.tokens:show"),
        ("revoke", "End a token or key for good.", f"{HERE}.tokens:revoke"),
    )


class DeadLetters(LazyGroup):
    """`sightline dlq`."""

    lazy = (
        ("list", "Show the records that could not be handled, and which stages stand still.", f"{HERE}.dlq:show_all"),
        ("show", "Show one: origin, reason, headers and bytes.", f"{HERE}.dlq:show"),
        ("replay", "Put records back on their topics.", f"{HERE}.dlq:replay"),
        ("drop", "Lay records down for good.", f"{HERE}.dlq:drop"),
        ("resume", "Let a stage go on that stands still because too much failed.", f"{HERE}.dlq:resume"),
    )


class Stage(LazyGroup):
    """`sightline stage`."""

    lazy = (
        ("stop", "Stop one process; the others go on.", f"{HERE}.stage:stop"),
        ("start", "Start it again.", f"{HERE}.stage:start"),
        ("replay", "Let a stage begin again with the first record that is kept.", f"{HERE}.stage:replay"),
    )


class Evaluate(LazyGroup):
    """`sightline evaluate`."""

    lazy = (
        ("detection", "Measure COCO AP through the model server.", f"{HERE}.evaluate_detection:detection"),
        ("tracking", "Measure MOTA, IDF1 and HOTA of the pipeline's tracks.", f"{HERE}.evaluate_tracking:tracking"),
    )


class Sightline(LazyGroup):
    """`sightline`."""

    lazy = (
        ("up", "Start the one-machine stack.", f"{HERE}.up:up"),
        ("down", "Stop it.", f"{HERE}.down:down"),
        ("status", "Show what runs, on which port, for how long, and how far behind.", f"{HERE}.status:status"),
        ("logs", "Show what the processes have logged.", f"{HERE}.logs:logs"),
        ("doctor", "Show what this machine lacks, and the command that mends it.", f"{HERE}.doctor:doctor"),
        ("ledger", "Show where every frame of every run went, or is.", f"{HERE}.ledger:ledger"),
        ("analyze", "Analyse videos on the running stack.", f"{HERE}.analyze:analyze"),
        ("migrate", "Bring topics and stores to this version.", f"{HERE}.migrate:migrate"),
        ("config", "Show every setting, secrets masked.", f"{HERE}.config:config"),
    )


app = typer.Typer(
    cls=Sightline,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Video in; detections, tracks and events out.",
)
for name, group, text in (
    ("streams", Streams, "What is watched."),
    ("token", Tokens, "Who may ask the query service: bearer tokens and API keys."),
    ("dlq", DeadLetters, "Records that could not be handled: the dead letters."),
    ("stage", Stage, "One process of the running stack, on its own."),
    ("evaluate", Evaluate, "Measure against labelled data."),
):
    app.add_typer(typer.Typer(cls=group, no_args_is_help=True, help=text), name=name)
models = typer.Typer(cls=Models, invoke_without_command=True)
app.add_typer(models, name="models")


@models.callback()
def show_models(context: typer.Context) -> None:
    """The models that this machine serves; without a command they are listed."""
    if context.invoked_subcommand is None:
        from infra.cli.models import show  # noqa: PLC0415 - loaded when it is used

        show()


def show_version(wanted: bool) -> None:
    """Say the version and end."""
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - for this option only

        typer.echo(metadata.version("sightline"))
        raise typer.Exit


@app.callback()
def sightline(
    version: bool = typer.Option(
        False, "--version", callback=show_version, is_eager=True, help="Show the version and end."
    ),
) -> None:
    """Video in; detections, tracks and events out."""


if __name__ == "__main__":
    app()
