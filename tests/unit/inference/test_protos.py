from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "import sys; print([m for m in sys.modules if m.startswith(('tensorflow.python', 'keras', 'pycocotools'))])"


@pytest.mark.parametrize("module", ["protos", "client", "evaluate", "fetch", "command", "serving_config"])
def test_only_the_messages_of_tensorflow_are_loaded(module: str) -> None:
    program = f"import inference.{module}; {LOADED}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_tensorflow_that_is_loaded_stays_as_it_is() -> None:
    program = (
        "import sys, types; real = types.ModuleType('tensorflow'); import inference.protos as p; "
        "bare = sys.modules['tensorflow']; sys.modules['tensorflow'] = real; p._stand_in(); "
        "print(sys.modules['tensorflow'] is real, bare.__spec__.name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "tensorflow"]


def test_a_missing_package_is_named() -> None:
    program = (
        "from importlib.machinery import PathFinder as P; find = P.find_spec; "
        "P.find_spec = lambda name, *a, **k: None if name == 'tensorflow' else find(name, *a, **k); "
        "import inference.protos"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "tensorflow-cpu is not installed" in done.stderr
