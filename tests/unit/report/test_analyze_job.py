from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from core.errors import InvalidInput, UnsupportedMedia
from infra.cli.found import ledger_line, print_found, problem_lines
from infra.cli.job import PATIENCE_S, Job, Options, TaskEnded, describe, words
from infra.cli.outputs import Outputs, make_folders, paths, plan
from infra.cli.progress import Lines, meter, time_left
from infra.cli.query_service import Counts, QueryService, StackDown, TaskProgress
from infra.report.result import Ledger, Problem, read_result
from tests.unit.report.fake_service import TASK, FakeService
from tests.unit.report.results import make_result


class Time:
    """A clock that only a pause moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def fake() -> FakeService:
    return FakeService(make_result(3))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"some bytes")
    return path


def _job(fake: FakeService, written: io.StringIO | None = None) -> Job:
    time = Time()
    service = QueryService("http://service", fake.transport(), time.pause)
    return Job(service, Console(file=written or io.StringIO(), width=100), time.pause, lambda: time.now)


def test_a_video_becomes_a_task_and_a_result(fake: FakeService, video: Path) -> None:
    written = io.StringIO()
    fake.states = [
        {"state": "pending"},
        {"state": "in_progress", "progress": 0.4, "frames_per_s": 12.5, "eta_s": 65.2, "ledger": {"processed": 40}},
        {"state": "collecting", "progress": 0.99, "ledger": {"processed": 100}},
        {"state": "done", "progress": 1.0, "ledger": {"processed": 100}},
    ]
    fake.states += [fake.states[-1]]
    answer = _job(fake, written).run(video, Options(fps=0.0, labels=("any",), model="centernet-256"))
    assert read_result(answer) == fake.result
    assert fake.submitted == [
        {
            "deferred_task": {"enable": 1},
            "video": {"url": fake.submitted[0]["video"]["url"], "fps": 0.0},
            "analytics": [{"analytic_name": "object_detection", "parameters": {"parameters": {"labels": "any"}}}],
            "model": "centernet-256",
        }
    ]
    assert "Analysing clip.mp4: 0% waiting for a reader" in written.getvalue()
    assert "Analysing clip.mp4: 100% 100 frames done" in written.getvalue()


def test_labels_go_to_the_analytics_that_take_them() -> None:
    request = Options(analytics=("object_detection", "people_count"), labels=("person", "car")).request("u")
    parameters = {a["analytic_name"]: a["parameters"]["parameters"] for a in request["analytics"]}
    assert parameters == {"object_detection": {"labels": ["person", "car"]}, "people_count": {}}
    assert "model" not in request


def test_what_no_analytic_understands_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no analytic 'juggling'; there are object_detection"):
        Options(analytics=("juggling",))
    with pytest.raises(InvalidInput, match="--labels means nothing to people_count"):
        Options(analytics=("people_count",), labels=("car",))


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [("failed", "no decoder reads it", "no decoder reads it"), ("cancelled", None, "the task was cancelled")],
)
def test_a_task_that_ends_without_a_result_says_why(
    fake: FakeService, video: Path, state: str, error: str | None, says: str
) -> None:
    fake.states = [{"state": state, "error": error}]
    with pytest.raises(TaskEnded, match=f"{says}.*{TASK}"):
        _job(fake).run(video, Options())


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_task_that_is_not_to_be_kept_is_removed_however_it_ends(fake: FakeService, video: Path, state: str) -> None:
    fake.states = [{"state": state}]
    with nullcontext() if state == "done" else pytest.raises(TaskEnded):
        _job(fake).run(video, Options(), keep=False)
    assert fake.calls[-1] == f"DELETE /query/v1/tasks/{TASK}"


def test_a_task_is_kept(fake: FakeService, video: Path) -> None:
    _job(fake).run(video, Options())
    assert not any(call.startswith("DELETE") for call in fake.calls)


def test_an_empty_file_is_not_sent(fake: FakeService, video: Path) -> None:
    video.write_bytes(b"")
    with pytest.raises(UnsupportedMedia, match="is empty"):
        _job(fake).run(video, Options())
    assert fake.calls == []


def test_ctrl_c_cancels_the_task(fake: FakeService, video: Path) -> None:
    class Interrupted(Time):
        def pause(self, seconds: float) -> None:
            raise KeyboardInterrupt

    fake.states = [{"state": "in_progress"}]
    written = io.StringIO()
    service = QueryService("http://service", fake.transport())
    with pytest.raises(KeyboardInterrupt):
        Job(service, Console(file=written, width=200), Interrupted().pause, lambda: 0.0).run(video, Options())
    assert fake.calls[-1] == f"POST /query/v1/tasks/{TASK}/cancel"
    assert f"Task {TASK} is cancelled" in written.getvalue()


@pytest.mark.parametrize(("failures", "patient"), [(20, True), (10_000, False)])
def test_a_service_that_restarts_is_waited_for(
    fake: FakeService, video: Path, monkeypatch: pytest.MonkeyPatch, failures: int, patient: bool
) -> None:
    time = Time()
    service = QueryService("http://service", fake.transport(), time.pause)
    left = [failures]
    answered = service.task

    def task(task_id: str) -> object:
        left[0] -= 1
        if left[0] >= 0:
            raise StackDown("nothing answers")
        return answered(task_id)

    monkeypatch.setattr(service, "task", task)
    job = Job(service, Console(file=io.StringIO()), time.pause, lambda: time.now)
    if patient:
        assert job.run(video, Options())
    else:
        with pytest.raises(StackDown, match=f"task {TASK} goes on"):
            job.run(video, Options())
        assert PATIENCE_S < time.now < PATIENCE_S + 2


def test_one_file_s_outputs_are_what_was_asked() -> None:
    asked = Outputs(json=Path("a.json"), report=Path("r.html"))
    assert plan([Path("x.mp4")], asked) == [asked]
    assert paths(asked) == [Path("a.json"), Path("r.html")]


def test_several_files_outputs_are_folders_with_a_file_each(tmp_path: Path) -> None:
    files = [Path("a/clip.mp4"), Path("b/CLIP.mov"), Path("c/clip-2.mp4"), Path("c/other.mp4")]
    planned = plan(files, Outputs(json=tmp_path, mot=tmp_path / "mot"))
    assert [o.json for o in planned] == [tmp_path / f"{n}.json" for n in ("clip", "CLIP-2", "clip-2-2", "other")]
    assert planned[0].mot == tmp_path / "mot/clip.txt"
    make_folders(planned[0])
    assert (tmp_path / "mot").is_dir()


def test_one_file_into_a_folder_that_exists(tmp_path: Path) -> None:
    assert plan([Path("x.mp4")], Outputs(csv=tmp_path))[0].csv == tmp_path / "x.csv"


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="overwritten"):
        plan([tmp_path / "a.mp4"], Outputs(annotate=tmp_path / "x/../a.mp4"))
    with pytest.raises(InvalidInput, match="overwritten"):
        plan([tmp_path / "a.mp4"], Outputs(json=tmp_path / "o", csv=tmp_path / "o"))


def test_several_files_into_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text("")
    with pytest.raises(InvalidInput, match="folder"):
        plan([Path("a"), Path("b")], Outputs(json=tmp_path / "o.json"))
    for kind in ("json", "csv", "mot", "annotate", "report"):
        with pytest.raises(InvalidInput, match=rf"--{kind} .*one\.txt names a file; several inputs need a folder"):
            plan([Path("a"), Path("b")], Outputs(**{kind: tmp_path / "one.txt"}))
    (tmp_path / "v1.0").mkdir()
    assert plan([Path("a"), Path("b")], Outputs(csv=tmp_path / "v1.0"))[0].csv == tmp_path / "v1.0" / "a.csv"
    with pytest.raises(InvalidInput, match="cannot be made"):
        make_folders(Outputs(json=tmp_path / "o.json" / "x" / "a.json"))


def test_lines_are_few_and_the_last_is_shown() -> None:
    written, now = io.StringIO(), [0.0]
    with Lines(Console(file=written, width=100), "Work", lambda: now[0]) as shown:
        for step in range(100):
            now[0] = step * 0.1
            shown.show(step / 99, f"[red]{step}")
    lines = written.getvalue().splitlines()
    assert lines == [
        "Work: 0% [red]0",
        "Work: 30% [red]30",
        "Work: 61% [red]60",
        "Work: 91% [red]90",
        "Work: 100% [red]99",
    ]


def test_a_terminal_gets_a_bar() -> None:
    written = io.StringIO()
    with meter(Console(file=written, force_terminal=True, width=80), "Work [b]") as shown:
        shown.show(0.5, "12 frames done")
    assert "Work [b]" in written.getvalue()
    assert "12 frames done" in written.getvalue()
    assert "50%" in written.getvalue()


@pytest.mark.parametrize("name", ["bikes.mp4", "a-video-with-a-name-that-is-longer-than-the-room-there-is.mp4"])
def test_80_columns_hold_all_that_is_said(name: str) -> None:
    written = io.StringIO()
    progress = TaskProgress("in_progress", 0.5, 123.4, 3665.0, ledger=Counts(processed=12_345))
    with meter(Console(file=written, force_terminal=True, width=80), f"Analysing {name}") as shown:
        shown.show(0.5, describe(progress))
    drawn = Text.from_ansi(written.getvalue()).plain.splitlines()
    assert any(line.endswith(" 50% 12345 frames done, 123.4 frames/s, 1:01:05 left") for line in drawn)
    assert all(line.startswith("Analysing ") for line in drawn if "%" in line)


def test_a_plain_line_has_the_time_left() -> None:
    written = io.StringIO()
    with meter(Console(file=written, width=80), "Analysing a.mp4") as shown:
        shown.show(0.5, describe(TaskProgress("in_progress", 0.5, 2.5, 65.0, ledger=Counts(processed=10))))
    assert written.getvalue() == "Analysing a.mp4: 50% 10 frames done, 2.5 frames/s, 1:05 left\n"


def test_a_task_in_the_store_s_hands_says_so() -> None:
    assert describe(TaskProgress("collecting", 0.99, 9.0, 1.0)) == "0 frames done, 9.0 frames/s, storing"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.2, "0:00 left"), (65.4, "1:05 left"), (3661, "1:01:01 left"), (-3, "0:00 left")],
)
def test_time_left(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


def test_what_was_found_is_told() -> None:
    written = io.StringIO()
    result = make_result(30, problems=(Problem("a packet [b]cannot[/b] be decoded", 12, 0.4), Problem("it ends early")))
    print_found(Console(file=written, width=120), result)
    text = written.getvalue()
    assert "300 frames of 640 x 480, 10.00 s" in text
    assert "30 tracks, 30 events" in text
    assert "... and 10 more" in text
    assert "25.0 frames/s" in text
    assert "Problem of the file after frame 12 at 0.40 s: a packet [b]cannot[/b] be decoded" in text
    assert list(problem_lines(result))[1] == "Problem of the file: it ends early"
    assert result.task_id in text
    for label, count in result.objects.items():
        assert [label, str(count.visits), str(count.frames), str(count.most_at_once)] in [
            line.split() for line in text.splitlines()
        ]


def test_nothing_found_is_told_too() -> None:
    written = io.StringIO()
    print_found(Console(file=written, width=120), make_result(0))
    assert "Nothing was found." in written.getvalue()


def test_the_ledger_in_one_line() -> None:
    assert ledger_line(Ledger(10, 3, 7, 3, 1, {"backlog": 1, "expired": 0}, 1, 1)) == (
        "10 decoded = 3 sampled out + 7 read; "
        "7 read = 3 processed + 1 held back without motion + 1 dropped (backlog) + 1 dead-lettered + 1 in flight"
    )


def test_words() -> None:
    assert words(" a, b,,a ,") == ("a", "b")
    assert words(None) == ()
