from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import percentile, ratio, spread

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(VALUES, st.floats(0.0, 1.0))
def test_a_percentile_is_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


def test_a_spread_is_a_part_of_the_median() -> None:
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)
    assert spread([7.0]) == 0.0
    assert spread([0.0, 0.0]) == 0.0


def test_a_machine_that_slows_down_does_not_change_the_ratio() -> None:
    mine, reference = [90.0, 45.0, 9.0], [100.0, 50.0, 10.0]
    assert ratio(mine, reference) == pytest.approx(0.9)
    assert max(mine) / max(reference) == pytest.approx(0.9)
    assert ratio([90.0, 50.0, 9.0], reference) == pytest.approx(0.9), "one odd round is not the ratio"


def test_rounds_without_a_neighbour_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])
