"""The command line: quick to start, plain to read, and its exit codes."""

from __future__ import annotations

import io
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from core.errors import SetupError
from core.settings import ClickHouse, Kafka, Settings, load, masked
from infra.cli import streams
from infra.cli.config import toml
from infra.cli.exits import StackDown, exits
from infra.cli.logs import since, tail
from infra.cli.main import app
from infra.cli.status import duration
from infra.cli.steps import Steps
from infra.cli.streams import shown_name

HEAVY = ("pydantic", "rich.table", "confluent_kafka", "numpy", "grpc", "httpx", "supervisor")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine of its own: an empty folder, no other settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(tmp_path / "var"))
    load.cache_clear()
    yield tmp_path
    load.cache_clear()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_nothing_heavy_is_loaded_to_show_help() -> None:
    script = f"import sys, infra.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command() -> None:
    shown = run("--help").stdout
    for name in (
        "up",
        "down",
        "status",
        "logs",
        "doctor",
        "analyze",
        "models",
        "migrate",
        "config",
        "streams",
        "ledger",
        "dlq",
        "token",
    ):
        assert f" {name} " in shown


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "down",
        "status",
        "logs",
        "doctor",
        "analyze",
        "migrate",
        "config",
        "models fetch",
        "models list",
        "ledger",
        "dlq list",
        "dlq show",
        "dlq replay",
        "dlq drop",
        "dlq resume",
        "token create",
        "token list",
        "token revoke",
        "streams add",
        "streams list",
        "streams remove",
        "evaluate detection",
        "evaluate tracking",
    ],
)
def test_every_command_has_its_own_help(command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.exit_code == 0
    assert command.rsplit(maxsplit=1)[-1] in shown.stdout


@pytest.mark.parametrize("words", ["nonsense", "status --nonsense", "streams remove not-an-id", "ledger --stream x"])
def test_wrong_use_is_2(words: str) -> None:
    assert run(*words.split()).exit_code == 2


def test_the_version_is_shown() -> None:
    assert run("--version").stdout.strip() == "0.1.0"


@pytest.mark.usefixtures("here")
def test_a_stack_that_is_down_is_3_and_says_the_command() -> None:
    shown = run("status")
    assert shown.exit_code == 3
    assert "sightline up" in shown.stderr


@pytest.mark.usefixtures("here")
def test_down_on_nothing_is_well() -> None:
    shown = run("down")
    assert (shown.exit_code, shown.stdout.strip()) == (0, "The stack was down already.")


@pytest.mark.usefixtures("here")
def test_the_doctor_says_what_mends_it_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    shown = run("doctor")
    assert shown.exit_code == 1
    assert "missing  Java is missing, which Kafka runs on: apt-get install default-jre-headless" in shown.stdout
    assert "ok       free disk" in shown.stdout


@pytest.mark.usefixtures("here")
def test_up_refuses_in_sentences_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    shown = run("up")
    assert shown.exit_code == 1
    assert "Java is missing" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (Path("var") / "run" / "supervisord.pid").exists()


@pytest.mark.usefixtures("here")
def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_KAFKA__PORT", "none")
    shown = run("config")
    assert shown.exit_code == 1
    assert "kafka.port" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.usefixtures("here")
def test_the_models_that_are_there_are_listed() -> None:
    folder = Path("var/models/mine")
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(
        '{"name": "mine", "version": 3, "kind": "detector", "input_size": 256, "licence": "MIT", "source": "here"}'
    )
    assert run("models", "list").stdout.splitlines()[1].split() == ["mine", "3", "detector", "256", "MIT", "here"]

    assert run("models").stdout == run("models", "list").stdout


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("streams add /nope.mp4", "/nope.mp4 is not there; a URL or a video file is needed"),
        ("analyze /dev/null", "/dev/null is no regular file"),
        ("analyze .", "is a folder"),
        ("evaluate detection --annotations notes.md --images .", "notes.md is no COCO instances JSON"),
        ("evaluate detection --annotations list.json --images .", "list.json is no COCO instances JSON"),
        ("evaluate detection --annotations notes.md --images nope", "nope is not there; --images is a folder"),
        ("evaluate tracking notes.md --truth /nope", "/nope is not there; a MOTChallenge truth file is needed"),
        ("evaluate tracking notes.md --truth notes.md", "notes.md, line 1: expected frame"),
        ("evaluate tracking notes.md --truth gt.txt --label dragon", "mine has no label 'dragon'; it has person"),
        ("evaluate tracking notes.md --truth gt.txt --model nope", "no detector 'nope'; there are mine"),
        ("analyze notes.md --model nope", "no detector 'nope'; there are mine"),
        ("analyze notes.md gt.txt --mot one.txt", "--mot one.txt names a file"),
    ],
)
def test_wrong_input_is_2_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch, words: str, says: str) -> None:
    monkeypatch.setenv("SIGHTLINE_MODELS__DETECTOR", "mine")
    Path("notes.md").write_text("# Notes\n")
    Path("list.json").write_text("[1]")
    Path("gt.txt").write_text("1,1,0,0,5,5,1\n")
    folder = Path("var/models/mine")
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(
        '{"name": "mine", "version": 3, "kind": "detector", "input_size": 256, "licence": "MIT", "source": "here",'
        ' "labels": ["person"]}'
    )
    shown = run(*words.split())
    assert says in shown.stderr
    assert shown.exit_code == 2


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("words", ["migrate", "dlq list", "dlq resume detect"])
def test_what_needs_the_stores_is_3_at_once_without_them(
    monkeypatch: pytest.MonkeyPatch, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infra.stack.readiness.can_connect", lambda host, port: False)
    shown = run(*words.split())
    assert shown.exit_code == 3
    assert "The stack is down: " in shown.stderr
    assert "Start it with `sightline up`" in shown.stderr
    assert "FAIL" not in capfd.readouterr().err


@pytest.mark.usefixtures("here")
def test_up_that_is_refused_for_a_port_says_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "stopping" not in run("up").stderr


def test_the_settings_are_shown_as_toml_that_can_be_read_back() -> None:
    settings = Settings(kafka=Kafka(port=1234, prefix='a"b.', security={"sasl.mechanism": "PLAIN"}))
    shown = tomllib.loads("\n".join(toml(settings, masked(settings))))
    again = Settings.model_validate(shown)
    assert again == settings


def test_secrets_are_masked_in_the_settings() -> None:
    kafka = Kafka(security={"sasl.password": "s3cret"})
    settings = Settings(kafka=kafka, clickhouse=ClickHouse.model_validate({"password": "s3cret"}))
    shown = "\n".join(toml(settings, masked(settings)))
    assert "s3cret" not in shown
    assert "# SIGHTLINE_CLICKHOUSE__PASSWORD" in shown


def test_an_unset_value_is_a_comment() -> None:
    settings = Settings()
    assert any(line.startswith("# dir =  # SIGHTLINE_MODELS__DIR;") for line in toml(settings, masked(settings)))


def test_a_log_s_end_is_shown_and_followed(tmp_path: Path) -> None:
    log = tmp_path / "detect.log"
    log.write_text("one\ntwo\nthree\n")
    end, lines = tail(log, 2)
    assert lines == ["two", "three"]
    with log.open("a") as more:
        more.write("four\nfi")
    end, lines = since(log, end)
    assert lines == ["four"], "a line is shown when it is whole"
    with log.open("a") as more:
        more.write("ve\n")
    assert since(log, end) == (log.stat().st_size, ["five"])


def test_a_log_that_was_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "detect.log"
    log.write_text("a long line before\n")
    end, _ = tail(log, 1)
    log.write_text("new\n")
    assert since(log, end) == (4, ["new"])


def test_no_lines_are_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    assert tail(log, 0) == (4, [])


@pytest.mark.usefixtures("here")
def test_logs_are_named_when_there_are_several() -> None:
    folder = Path("var/log")
    folder.mkdir(parents=True)
    (folder / "detect.log").write_text("d\n")
    (folder / "ingest.log").write_text("i\n")
    assert run("logs").stdout == "detect: d\ningest: i\n"
    assert run("logs", "ingest").stdout == "i\n"
    refused = run("logs", "kafka")
    assert refused.exit_code == 2
    assert "there are detect, ingest" in refused.stderr


@pytest.mark.usefixtures("here")
def test_without_logs_it_says_so() -> None:
    shown = run("logs")
    assert shown.exit_code == 1
    assert "nothing has been logged" in shown.stderr


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00:00"), (59.9, "0:00:59"), (3723, "1:02:03"), (90_061, "1d 1:01:01")]
)
def test_uptime_is_readable(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://user:secret@camera.local/door?key=1", "door"),
        ("http://example.org/live/a.m3u8", "a.m3u8"),
        ("rtsp://user:p@camera.local/", "camera.local"),
        ("", "stream"),
    ],
)
def test_a_stream_is_named_after_its_address_without_secrets(url: str, name: str) -> None:
    assert shown_name(url) == name


def test_an_error_is_a_sentence_and_its_code() -> None:
    screen = Console(file=io.StringIO())
    with pytest.raises(Exception) as ended, exits(screen):
        raise SetupError("no Java")
    assert getattr(ended.value, "exit_code", None) == 1
    with pytest.raises(Exception) as ended, exits(screen):
        raise KeyboardInterrupt
    assert getattr(ended.value, "exit_code", None) == 130
    with pytest.raises(Exception) as ended, exits(screen, lambda: None):
        raise StackDown("nobody answers")
    assert getattr(ended.value, "exit_code", None) == 3
    with pytest.raises(Exception) as ended, exits(screen, lambda: "query listens on 4077"):
        raise StackDown("nobody answers")
    assert getattr(ended.value, "exit_code", None) == 3
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().splitlines() == [
        "no Java",
        "The stack is down: nobody answers. Start it with `sightline up`.",
        "The stack runs, but nobody answers: query listens on 4077.",
    ]


def test_waiting_is_said_now_and_then_where_nothing_can_be_overwritten() -> None:
    screen = Console(file=io.StringIO(), force_terminal=False)
    steps = Steps(screen)
    for tenth in range(0, 250):
        steps.waiting("kafka", tenth / 10)
    steps.done("kafka", 25.0)
    steps.waiting("models", 1.0)
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().splitlines() == ["  kafka ... 10 s", "  kafka ... 20 s", "  kafka: 25.0 s"]


def test_waiting_counts_on_a_terminal() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    steps = Steps(screen)
    steps.waiting("kafka", 0.0)
    steps.waiting("kafka", 1.0)
    steps.done("kafka", 1.5)
    steps.close()
    assert isinstance(screen.file, io.StringIO)
    assert "kafka: 1.5 s" in screen.file.getvalue()


@pytest.mark.parametrize(("words", "gate"), [([], True), (["--gate"], True), (["--no-gate"], False)])
def test_a_stream_is_added_with_a_motion_gate_unless_it_is_to_have_none(
    monkeypatch: pytest.MonkeyPatch, words: list[str], gate: bool
) -> None:
    class Service:
        def add_stream(self, request: dict[str, Any]) -> Any:
            asked.update(request)
            return SimpleNamespace(stream_id="added")

    asked: dict[str, Any] = {}
    monkeypatch.setattr(streams, "_service", lambda: nullcontext(Service()))
    shown = run("streams", "add", "rtsp://camera.example/1", *words)
    assert (shown.exit_code, shown.stdout.strip()) == (0, "added")
    assert asked["gate"] is gate
