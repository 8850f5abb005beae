"""`sightline evaluate tracking`: the pipeline's own tracks against a truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.settings import load
from infra.cli.analyze import run_job
from infra.cli.exits import exits
from infra.cli.inputs import check_file
from infra.cli.job import Options
from infra.cli.model_choice import check_model
from infra.report.mot import mot_rows


def tracking(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video that the truth describes.")],
    truth: Annotated[Path, typer.Option(help="MOTChallenge truth file; rows of flag 0 are left out.")],
    label: Annotated[str, typer.Option(help="Label that the truth is about.")] = "person",
    model: Annotated[str | None, typer.Option(help="Detector; the settings' when not given.")] = None,
) -> None:
    """Follow a label through every frame of VIDEO on the running stack and score it against the truth."""
    screen, out = Console(stderr=True), Console()
    with exits(screen):
        check_file(video)
        check_file(truth, "a MOTChallenge truth file")
        from infra.report.tracking_metrics import (  # noqa: PLC0415 loads the metrics library
            compare,
            refuse_beyond,
            true_rows,
        )

        expected = true_rows(truth)
        check_model(load(), model, label)
        result = run_job(video, Options(fps=0.0, labels=(label,), model=model), screen)
        refuse_beyond(truth, expected, max(result.ledger.decoded, result.video.frames or 0))
        scores = compare(list(expected.values()), list(mot_rows(result, label)))
        out.print(f"MOTA {scores.mota:.3f}", highlight=False)
        out.print(f"IDF1 {scores.idf1:.3f}", highlight=False)
        out.print(f"HOTA {scores.hota:.3f}", highlight=False)
        out.print(f"switches {scores.switches}", highlight=False)
        out.print(
            f"{scores.boxes} boxes against {scores.truth_boxes} true ones: "
            f"{scores.false_positives} without a partner, {scores.misses} missed",
            highlight=False,
        )
