"""One running stack for the tests of a folder; a folder's `conftest.py` takes it in, and it goes down with the last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningStack, running_stack


@pytest.fixture(scope="package")
def stack(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The running stack."""
    with running_stack(tmp_path_factory.mktemp("stack"), models_dir) as running:
        yield running
