"""The commands from their arguments to their files, against a service on a real port."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import av
import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from core.settings import load
from infra.cli import job
from infra.cli.analyze import analyze
from infra.cli.evaluate_tracking import tracking
from infra.report.mot import mot_rows, read_mot, write_mot
from infra.report.result import Ledger, Problem
from tests.unit.report.fake_service import TASK, VIDEO, FakeService
from tests.unit.report.results import make_result

CLIP = "data/videos/firefox/street.mp4"
FRAMES = 109


def _run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command("analyze")(analyze)
    app.command("tracking")(tracking)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def clip(shared: Path) -> Path:
    return shared / CLIP


def test_every_output_of_one_video(service: FakeService, clip: Path, tmp_path: Path) -> None:
    service.result = make_result(5, frames=FRAMES)
    out = tmp_path / "new/folder"
    done = _run(
        "analyze", clip, "--fps", "0", "--json", out / "r.json", "--csv", out / "r.csv", "--mot", out / "r.txt",
        "--annotate", out / "r.mp4", "--report", out / "r.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert bytes(service.received) == clip.read_bytes()
    assert service.submitted[0]["video"]["fps"] == 0
    assert msgspec.convert(json.loads((out / "r.json").read_text()), type(service.result)) == service.result
    assert read_mot(out / "r.txt") == list(mot_rows(service.result))
    assert len((out / "r.csv").read_text().splitlines()) == 1 + len(read_mot(out / "r.txt"))
    with av.open(str(out / "r.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES
    assert "5 tracks, 5 events" in done.stdout
    assert f"Task {service.result.task_id}" in done.stdout
    assert "<h1>clip.mp4</h1>" in (out / "r.html").read_text()
    assert "GET /query/v1/media/pictures/1.jpg" in service.calls


def test_a_broken_connection_is_taken_up_again(service: FakeService, clip: Path) -> None:
    service.break_after = [100_000]
    done = _run("analyze", clip)
    assert done.exit_code == 0, done.output
    assert bytes(service.received) == clip.read_bytes()
    assert f"HEAD /query/v1/videos/{VIDEO}" in service.calls


def test_a_file_that_ends_early_is_no_failure(service: FakeService, clip: Path) -> None:
    service.result = make_result(1, problems=(Problem("a packet cannot be decoded", 28, 2.8),))
    done = _run("analyze", clip)
    assert done.exit_code == 0
    assert "Problem of the file after frame 28 at 2.80 s: a packet cannot be decoded" in done.stdout


def test_an_unreadable_file_is_a_failure_with_its_reason(service: FakeService, clip: Path, tmp_path: Path) -> None:
    service.states = [{"state": "failed", "error": "no decoder reads it"}]
    done = _run("analyze", clip, "--json", tmp_path / "r.json")
    assert done.exit_code == 1
    assert "street.mp4: no decoder reads it" in done.stderr
    assert not (tmp_path / "r.json").exists()


def test_the_other_files_go_on_when_one_fails(service: FakeService, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    empty = tmp_path / "in/street.mp4"
    empty.write_bytes(b"")
    done = _run("analyze", empty, clip, "--json", tmp_path / "out")
    assert done.exit_code == 1
    assert "street.mp4 is empty" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["street-2.json"]


def test_a_missing_file_is_wrong_use_and_nothing_is_sent(service: FakeService, clip: Path, tmp_path: Path) -> None:
    done = _run("analyze", clip, tmp_path / "none.mp4")
    assert done.exit_code == 2
    assert "none.mp4 is not there" in done.stderr
    assert _run("analyze", tmp_path).exit_code == 2
    assert service.calls == []


@pytest.mark.parametrize("options", [["--fps", "-1"], ["--analytics", "juggling"], ["--nonsense"]])
def test_wrong_options_are_wrong_use(service: FakeService, clip: Path, options: list[str]) -> None:
    assert _run("analyze", clip, *options).exit_code == 2
    assert service.submitted == []


def test_a_stack_that_is_down_names_the_command(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SIGHTLINE_QUERY__PORT", str(taken.getsockname()[1]))
        load.cache_clear()
        done = _run("analyze", clip)
    load.cache_clear()
    assert done.exit_code == 3
    assert "`sightline up`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_cancels_the_task(service: FakeService, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service.states = [{"state": "in_progress"}]

    def interrupt(progress: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "describe", interrupt)
    done = _run("analyze", clip)
    assert done.exit_code == 130
    assert service.calls[-1] == f"POST /query/v1/tasks/{TASK}/cancel"


def test_tracking_is_scored_on_every_frame(service: FakeService, clip: Path, tmp_path: Path) -> None:
    found = make_result(6, frames=FRAMES, step=1, labels=("person", "car"))
    service.result = msgspec.structs.replace(found, ledger=Ledger(FRAMES, 0, FRAMES, FRAMES))
    write_mot(tmp_path / "gt.txt", mot_rows(found, "person"))
    done = _run("tracking", clip, "--truth", tmp_path / "gt.txt")
    assert done.exit_code == 0, done.output
    assert service.submitted[0]["video"]["fps"] == 0
    assert done.stdout.splitlines()[:4] == ["MOTA 1.000", "IDF1 1.000", "HOTA 1.000", "switches 0"]


def test_a_truth_that_cannot_be_read_is_wrong_use(service: FakeService, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("hello\n")
    assert _run("tracking", clip, "--truth", tmp_path / "gt.txt").exit_code == 2
    assert _run("tracking", clip, "--truth", tmp_path / "none.txt").exit_code == 2
    assert service.calls == []
