"""`sightline analyze`: videos in; detections, tracks and events out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from core.errors import ClientError, InvalidInput
from core.settings import load
from infra.cli.exits import FAILED, exits, say
from infra.cli.found import print_found
from infra.cli.inputs import check_file
from infra.cli.job import Job, Options, words
from infra.cli.model_choice import check_model
from infra.cli.outputs import Outputs, make_folders, paths, plan
from infra.cli.progress import meter
from infra.cli.query_service import QueryService, service_of
from infra.report.mot import mot_rows, write_mot
from infra.report.result import Result, pretty_json, read_result
from infra.report.table import write_csv


def analyze(  # noqa: PLR0917 Typer makes the options of them
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Videos to analyse.")],
    fps: Annotated[float, typer.Option(min=0, max=1000, help="Frames a second to analyse; 0: every frame.")] = 10.0,
    analytics: Annotated[str, typer.Option(help="Analytics to run, with commas between.")] = "object_detection",
    labels: Annotated[
        str | None,
        typer.Option(help="Labels to follow, with commas; any: whatever the label, merged where boxes overlap."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Detector; the settings' when not given.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result; a folder for several files.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a row per tracked box; a folder for several files.")] = None,
    mot: Annotated[Path | None, typer.Option(help="Write MOTChallenge rows; a folder for several files.")] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Write the video with what was found drawn in (mp4); a folder for several files."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write one page to look at (html); a folder for several files.")
    ] = None,
) -> None:
    """Analyse videos on the running stack and say what was found."""
    screen, out = Console(stderr=True), Console()
    with exits(screen):
        options = Options(fps, words(analytics), words(labels), model)
        for file in files:
            check_file(file)
        planned = plan(files, Outputs(json, csv, mot, annotate, report))
        settings = load()
        check_model(settings, model)
        failed = False
        with closing(service_of(settings.query)) as service:
            service.check()
            batch = _Batch(service, options, screen, out)
            for file, outputs in zip(files, planned, strict=True):
                failed |= not batch.one(file, outputs)
        if failed:
            raise typer.Exit(FAILED)


def run_job(file: Path, options: Options, screen: Console) -> Result:
    """One video's result, for other commands; the service keeps nothing of it. Raises as `Job.run`."""
    with closing(service_of(load().query)) as service:
        service.check()
        return read_result(Job(service, screen).run(file, options, keep=False))


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is the same for all files of a command; `screen` shows progress, `out` findings."""

    service: QueryService
    options: Options
    screen: Console
    out: Console

    def one(self, file: Path, outputs: Outputs) -> bool:
        """Whether the video gave a result; why it did not is said, and the next video may."""
        make_folders(outputs)
        try:
            answer = Job(self.service, self.screen).run(file, self.options)
            result = read_result(answer)
            print_found(self.out, result)
            self._write(answer, result, file, outputs)
        except InvalidInput:
            raise
        except ClientError as error:
            say(self.screen, f"{file.name}: {error}")
            return False
        for path in paths(outputs):
            self.out.print(Text(f"Written: {path}"), soft_wrap=True)
        return True

    def _write(self, answer: bytes, result: Result, file: Path, outputs: Outputs) -> None:
        if outputs.json is not None:
            outputs.json.write_bytes(pretty_json(answer))
        if outputs.csv is not None:
            write_csv(outputs.csv, result)
        if outputs.mot is not None:
            write_mot(outputs.mot, mot_rows(result))
        if outputs.annotate is not None:
            self._annotate(file, result, outputs.annotate)
        if outputs.report is not None:
            self._report(result, outputs.report)

    def _annotate(self, file: Path, result: Result, target: Path) -> None:
        from infra.report.annotate import annotate  # noqa: PLC0415 loads more than a plain run needs

        total = result.video.frames or 0
        with meter(self.screen, f"Drawing {target.name}") as shown:
            annotate(file, result, target, lambda done: shown.show(done / max(total, done), f"{done} frames"))

    def _report(self, result: Result, target: Path) -> None:
        from infra.report.page import Made, write_page  # noqa: PLC0415 loads more than a plain run needs

        options = self.options
        now = datetime.now().astimezone()
        made = Made(now, version("sightline"), options.fps, options.analytics, options.labels, options.model)
        with meter(self.screen, f"Writing {target.name}") as shown:
            write_page(target, result, made, self.service.picture, lambda part: shown.show(part, ""))
