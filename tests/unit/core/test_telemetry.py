"""Logs hide secrets; metrics are the listed ones."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from core import clock, errors, log, metrics
from core.settings import Telemetry


@pytest.fixture
def fresh_logging() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://user:pass@camera/1", "rtsp://***@camera/1"),
        ("https://host/a?token=abc&x=1", "https://host/a?token=***&x=1"),
        ("see http://a@b and password=xyz.", "see http://***@b and password=***"),
        ("rtsp://admin:p@ss@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:pa/ss@cam/1", "rtsp://***@cam/1"),
        ("http://cam/video.cgi?user=a&pwd=b&loginpas=c", "http://cam/video.cgi?user=a&pwd=***&loginpas=***"),
        ("http://cam:80/x and mail@b", "http://cam:80/x and mail@b"),
        ("nothing to hide", "nothing to hide"),
        (f"sent slt_AbCd-_12{35 * 'x'} here", "sent slt_AbCd-_12*** here"),
        ("the token slk_AbCd-_12... was revoked", "the token slk_AbCd-_12... was revoked"),
    ],
)
def test_credentials_are_masked(text: str, shown: str) -> None:
    assert log.mask(text) == shown


@pytest.mark.usefixtures("fresh_logging")
def test_a_log_line_is_json_with_its_process_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(Telemetry(), "ingest")
    log.get("test.json").warning("cannot connect", url="rtsp://u:p@cam/1")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["process"]) == ("cannot connect", "warning", "ingest")
    assert line["url"] == "rtsp://***@cam/1"


@pytest.mark.usefixtures("fresh_logging")
def test_other_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(Telemetry(level="error"), "ingest")
    logging.getLogger("somebody").error("said %s", "this")
    logging.getLogger("somebody").warning("unheard")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["said this"]


@pytest.mark.usefixtures("fresh_logging")
def test_people_get_lines_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(Telemetry(format="console"), "ingest")
    log.get("test.console").info("hello")
    assert "hello" in capsys.readouterr().err


def test_every_metric_is_exposed_with_its_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    text = metrics.exposition().decode()
    for metric in metrics.DEFINITIONS:
        exposed = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        assert f"# HELP {exposed}" in text, metric.name
        assert metric.help in text


def test_metrics_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics.counter("sightline_sink_rows_total").labels("clickhouse", "test").inc(3)
    metrics.gauge("sightline_ledger_imbalance").set(2)
    metrics.histogram("sightline_sink_seconds").labels("test").observe(0.02)
    text = metrics.exposition().decode()
    assert 'sightline_sink_rows_total{store="clickhouse",table="test"} 3.0' in text
    assert "sightline_ledger_imbalance 2.0" in text
    assert 'sightline_sink_seconds_bucket{le="0.025",store="test"} 1.0' in text


def test_processes_of_a_machine_are_shown_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert metrics.exposition() == b""


def test_of_a_process_that_has_ended_its_counts_stay_and_its_standing_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    script = (
        "from core import metrics; metrics.gauge('sightline_ledger_imbalance').set(2);"
        "metrics.counter('sightline_sink_rows_total').labels('a', 'b').inc(3); print(metrics.exposition().decode())"
    )
    lived = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "sightline_ledger_imbalance 2.0" in lived
    text = metrics.exposition().decode()
    assert "sightline_ledger_imbalance 2.0" not in text
    assert 'sightline_sink_rows_total{store="a",table="b"} 3.0' in text


def test_a_metric_that_is_not_listed_does_not_exist() -> None:
    with pytest.raises(KeyError):
        metrics.counter("sightline_made_up_total")


def test_time_is_written_as_rfc_3339() -> None:
    assert clock.rfc3339(1767225600250) == "2026-01-01T00:00:00.250Z"
    assert clock.now_ms(lambda: 1.5) == 1500


@pytest.mark.parametrize(
    ("error", "handling"),
    [
        (errors.ModelUnavailable("x"), errors.Handling.RETRY),
        (errors.BadImage("x"), errors.Handling.DEAD_LETTER),
        (errors.GapError("x"), errors.Handling.STOP),
        (errors.InvalidInput("x", "a.b"), errors.Handling.CLIENT_ERROR),
        (RuntimeError("x"), errors.Handling.STOP),
    ],
)
def test_every_error_has_one_handling(error: Exception, handling: errors.Handling) -> None:
    assert errors.handling_of(error) is handling
