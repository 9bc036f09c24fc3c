"""Intervals of single values: SciPy's, with the degrees of freedom of the rows that count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import lossctl

RNG = np.random.default_rng(5)
ERRORS = RNG.normal(size=30)


@pytest.mark.parametrize("rows", [2, 3, 30])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_of_a_mean_is_that_of_scipy(rows: int, level: float) -> None:
    losses = np.abs(ERRORS[:rows])
    [result] = lossctl.evaluate(ERRORS[:rows], np.zeros(rows), losses="mae", ci=level).results
    known = stats.t.interval(level, rows - 1, losses.mean(), stats.sem(losses))
    assert result.ci is not None
    assert (result.ci.lower, result.ci.upper) == pytest.approx(known, rel=1e-10)
    assert (result.ci.method, result.ci.df) == ("t", rows - 1)


def test_rows_of_weight_0_do_not_make_an_interval_narrower() -> None:
    table = {"prediction": ERRORS, "target": 0.0 * ERRORS, "w": np.where(ERRORS > 0.0, 1.0, 0.0)}
    [result] = lossctl.evaluate(table, losses="mae", weight="w").results
    heavy = ERRORS[ERRORS > 0.0]
    known = stats.t.interval(0.95, len(heavy) - 1, heavy.mean(), stats.sem(heavy))
    assert result.ci is not None
    assert (result.ci.lower, result.ci.upper) == pytest.approx(known, rel=1e-10)


def test_a_single_row_has_none() -> None:
    [result] = lossctl.evaluate([1.0], [2.0], losses="mae").results
    assert (result.value, result.std_error, result.ci) == (1.0, None, None)
