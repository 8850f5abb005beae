"""Analytics of somebody else's: found, declared, run, and never anybody else's trouble."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import analytics as declared
from core import metrics
from core.analytics import BUILT_IN, OBJECT_DETECTION, Declaration, Registry
from core.analytics.schema import object_of
from core.errors import InvalidInput
from core.ids import Run
from core.messages import Analytic
from streams_proc.analytics import start
from streams_proc.analytics.analytic import Found, Need, Scene, Subject
from streams_proc.analytics.guard import Guarded
from streams_proc.analytics.phases import Ledger
from streams_proc.state_bytes import pickled, unpickled
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Moment
from tests.unit.analyse.scenes import OBJECTS, STREAM, Bench, Row, at, events_of, whole_run

EXAMPLE = Path(__file__).parents[2] / "fixtures" / "standstill"
NEED = Need("object", Rules(0.4, 0.2, 3, 1.5))
SUBJECT = Subject(STREAM, Run(1), 0)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example, installed into a folder that is searched for packages."""
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(EXAMPLE, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*command, *options, str(source)], check=True, capture_output=True)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setattr(declared, "REGISTRY", Registry(BUILT_IN))
    yield target
    forget()


def forget() -> None:
    """Let the example be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "standstill"]:
        del sys.modules[name]


def test_the_example_is_short() -> None:
    lines = sum(len(file.read_text().splitlines()) for file in EXAMPLE.glob("*/*.py"))
    assert lines < 60


def test_an_installed_plugin_is_declared_and_run_and_kept(example: Path) -> None:
    registry = declared.REGISTRY
    assert list(registry)[-1] == "standstill"
    found = registry["standstill"]
    assert (found.publisher, found.presets, found.defaults["least_s"]) == ("Example", {"soon": {"least_s": 1}}, 10.0)
    assert "roi" in found.parameters["properties"], "what all analytics have in common"
    rows: list[Row] = [[("car", 0.8, at(0.1 if i < 25 else 0.22))] for i in range(30)]
    messages = whole_run(rows, Analytic("standstill", {"least_s": 1}), OBJECTS)
    whole = Bench().give(messages)
    began, ended = (e for e in events_of(whole) if e.type == "standstill")
    assert (began.phase, began.begin_seq, began.seq, began.label) == ("begin", 0, 10, "car")
    assert (ended.phase, ended.end_seq, ended.event_id) == ("end", 25, began.event_id)
    bench = Bench()
    first = bench.give(messages[:15])
    snapshot = bench.handler.snapshot()
    assert snapshot is not None
    bench.handler = bench.new_handler()
    bench.handler.restore(snapshot)
    assert [*first, *bench.give(messages[15:])] == whole


def test_a_state_is_read_where_the_plugin_is_gone(example: Path) -> None:
    messages = whole_run([[("car", 0.8, at(0.1))]] * 20, Analytic("standstill", {"least_s": 1}), OBJECTS)
    bench = Bench()
    bench.give(messages[:15])
    snapshot = bench.handler.snapshot()
    assert snapshot is not None
    shutil.rmtree(example)
    forget()
    bench.handler = bench.new_handler()
    bench.handler.restore(snapshot)
    events = events_of(bench.give(messages[15:]))
    assert [(e.type, e.phase) for e in events] == [("standstill", "end"), ("object_detection", "end")]


def test_a_declaration_is_read_without_what_analyses_frames(example: Path) -> None:
    script = (
        "import sys; from core.analytics import REGISTRY; REGISTRY['standstill'].complete({});"
        "print([m for m in sys.modules if m.partition('.')[0] in {'streams_proc', 'trackers', 'cv2'}])"
    )
    paths = os.pathsep.join([str(example), str(Path(__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_what_is_built_in_is_known_without_looking_for_plugins() -> None:
    def look() -> list[Any]:
        pytest.fail("plugins were looked for")

    registry = Registry(BUILT_IN, look)
    assert registry["people_count"].id == "people_count"
    assert "line_crossing" in registry


def plugin(name: str = "other", **more: Any) -> Any:
    made = Declaration(name, 1, "one", object_of("what", {}), ("it",))
    return SimpleNamespace(**{"declaration": made, "make": lambda *_: None, **more})


class Entry:
    """An entry point that gives, or raises, what it is made with."""

    name = "an-entry"
    value = module = "package.module"

    def __init__(self, gives: Any) -> None:
        self.gives = gives

    def load(self) -> Any:
        if isinstance(self.gives, BaseException):
            raise self.gives
        return self.gives


@pytest.mark.parametrize(
    "broken",
    [
        ImportError("no such module"),
        SystemExit(3),
        SimpleNamespace(),
        SimpleNamespace(declaration=OBJECT_DETECTION),
        plugin(declaration={"id": "other"}),
        plugin(make="no function"),
        plugin("object_detection"),
    ],
)
def test_a_broken_plugin_is_left_out(broken: Any) -> None:
    registry = Registry(BUILT_IN, lambda: [Entry(broken), Entry(plugin("sound"))])
    assert list(registry) == [*(d.id for d in BUILT_IN), "sound"]
    assert len(registry) == len(BUILT_IN) + 1
    assert registry["object_detection"] is OBJECT_DETECTION
    assert registry.package("sound") == "package"
    with pytest.raises(KeyError):
        registry["other"]


def test_the_second_of_two_with_one_id_is_refused() -> None:
    first, second = plugin("twice"), plugin("twice")
    registry = Registry(BUILT_IN, lambda: [Entry(first), Entry(second)])
    assert registry.plugin("twice") is first


def refuses_its_own_default() -> Declaration:
    wrong = {"n": {"type": "integer", "default": "many"}}
    return Declaration("wrong", 1, "one", object_of("what", wrong), ("it",))


def no_schema() -> Declaration:
    return Declaration("wrong", 1, "one", object_of("what", {"n": {"type": "number of things"}}), ("it",))


def wrong_preset() -> Declaration:
    return Declaration("wrong", 1, "one", object_of("what", {}), ("it",), presets={"a": {"b": 1}})


@pytest.mark.parametrize("make", [refuses_its_own_default, no_schema, wrong_preset])
def test_a_declaration_that_contradicts_itself_is_left_out(make: Any) -> None:
    registry = Registry(BUILT_IN, lambda: [Entry(plugin(declaration=make()))])
    assert "wrong" not in registry


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "with space"},
        {"event_types": ()},
        {"parameters": {"type": "array"}},
        {"parameters": object_of("its own region", {"roi": {"type": "string"}})},
        {"decided_by": ("nothing",)},
    ],
)
def test_a_declaration_that_cannot_be_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    sound: dict[str, Any] = {
        "id": "a", "version": 1, "description": "", "parameters": object_of("", {}), "event_types": ("a",),
    }  # fmt: skip
    Declaration(**sound)
    with pytest.raises(ValueError, match=r"."):
        Declaration(**{**sound, **wrong})


class Odd:
    """An analytic that does as it is told."""

    def __init__(self, does: str = "", need: Any = NEED) -> None:
        self.need = need
        self.does = does
        self.ledger = Ledger(SUBJECT, "odd", "odd")
        self.told: Any = None

    def see(self, scene: Scene) -> Any:
        if self.told is None:
            self.told = self.ledger.begin(scene.now, scene.now)
            return Found([self.told])
        other = Ledger(Subject(STREAM, Run(2), 0), "odd", "odd").begin(scene.now, scene.now)
        answers: dict[str, Any] = {
            "returns nothing": lambda: None,
            "tells no event": lambda: Found(["event"]),  # type: ignore[list-item]
            "tells another's": lambda: Found([other]),
            "tells what cannot be written": lambda: Found(
                [self.ledger.begin(scene.now, scene.now, data={"a": object()})]
            ),
            "tells a wrong score": lambda: Found([self.ledger.begin(scene.now, scene.now, score=7.0)]),
            "wants a wrong picture": lambda: Found((), "picture"),  # type: ignore[arg-type]
            "cannot be kept": lambda: setattr(self, "told", lambda: None) or Found(),
        }
        if self.does in answers:
            return answers[self.does]()
        if self.does:
            raise RuntimeError(self.does)
        return Found()

    def close(self, departures: Any, last: Any) -> Any:
        if self.does == "raises at the end":
            raise RuntimeError
        return ()

    def forget_pictures(self, media_keys: Any) -> None:
        if self.does == "raises when pictures are gone":
            raise RuntimeError


def moment(seq: int) -> Moment:
    return Moment(seq, seq / 10, 1000 + seq * 100, seq / 10)  # type: ignore[arg-type]


def scene(seq: int) -> Scene:
    return Scene(moment(seq), Followed())


def guarded(does: str) -> Guarded:
    return Guarded(SUBJECT, "odd", "tests", Odd(does))


@pytest.mark.parametrize(
    "does",
    [
        "raises",
        "returns nothing",
        "tells no event",
        "tells another's",
        "tells what cannot be written",
        "tells a wrong score",
        "wants a wrong picture",
    ],
)
def test_what_a_plugin_does_wrong_ends_what_it_had_open_and_nothing_else(does: str) -> None:
    made = guarded(does)
    left_out = metrics.counter("sightline_analytics_left_out_total").labels("odd", "broken")._value
    before = left_out.get()
    (began,) = made.see(scene(0)).events
    (ended,) = made.see(scene(1)).events
    assert left_out.get() == before + 1
    assert (ended.event_id, ended.phase, ended.end_seq) == (began.event_id, "end", 1)
    for _ in range(2):
        made = unpickled(pickled(made))
        assert made.see(scene(2)).events == []
        assert made.close((), moment(2)) == []


def test_a_state_that_cannot_be_kept_is_given_up() -> None:
    made = guarded("cannot be kept")
    (began,) = made.see(scene(0)).events
    made.see(scene(1))
    kept = unpickled(pickled(made))
    for each in (made, kept):
        (ended,) = each.see(scene(2)).events
        assert (ended.event_id, ended.phase) == (began.event_id, "end")


def test_what_a_plugin_forgets_to_end_is_ended_with_the_run() -> None:
    for does in ("", "raises at the end"):
        made = guarded(does)
        made.see(scene(0))
        (ended,) = made.close((), moment(4))
        assert (ended.phase, ended.end_seq) == ("end", 4)
        assert made.close((), moment(4)) == []


def test_a_plugin_that_minds_lost_pictures_is_left_out() -> None:
    made = guarded("raises when pictures are gone")
    made.see(scene(0))
    made.forget_pictures({"a"})
    assert [e.phase for e in made.see(scene(1)).events] == ["end"]


def test_a_state_survives_only_with_classes_of_the_plugin() -> None:
    made = guarded("")
    made.see(scene(0))
    assert unpickled(pickled(made)).see(scene(1)).events == []
    made._package = "elsewhere"
    assert [e.phase for e in unpickled(pickled(made)).see(scene(1)).events] == ["end"]


def test_a_class_that_a_plugin_only_uses_is_not_read() -> None:
    here = __name__.encode()
    borrowed = b"\x80\x04\x8c" + bytes([len(here)]) + here + b"\x8c\x04Path\x93."
    with pytest.raises(pickle.UnpicklingError, match="no part of a state"):
        unpickled(borrowed, "tests")


@pytest.mark.parametrize(
    "analytic",
    [None, Odd(need=None), Odd(need=Need("object", "rules")), Odd(need=Need("sound", NEED.rules))],  # type: ignore[arg-type]
)
def test_a_plugin_whose_analytic_is_none_is_refused(analytic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(BUILT_IN, lambda: [Entry(plugin("odd", make=lambda *_: analytic))])
    monkeypatch.setattr(declared, "REGISTRY", registry)
    with pytest.raises(InvalidInput, match="cannot make it"):
        start(SUBJECT, Analytic("odd"), 0.4)
