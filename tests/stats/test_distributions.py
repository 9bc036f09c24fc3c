"""Tails and quantiles agree with SciPy, and corrections with statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lossctl.stats.corrections import correct
from lossctl.stats.distributions import fair_two_sided, t_quantile, t_two_sided, welch_df

P_VALUES = [0.01, 0.04, 0.03, 0.005, 0.9, 0.04, 1.0, 0.0]


@pytest.mark.parametrize("df", [1, 2, 3, 10, 199, 1999, 5001, 100_000])
@pytest.mark.parametrize("t", [0.01, 0.5, -1.3, 1.96, 2.6, 9.0, 40.0])
def test_tails_of_t(t: float, df: int) -> None:
    assert t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("df", [1, 2, 9, 199, 1000, 5001, 50_000, 50_000_000])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.975, 0.9995, 1.0 - 2.0**-24])
def test_quantiles_of_t(probability: float, df: int) -> None:
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-10)


def test_degrees_of_freedom_of_two_samples() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=7), 3.0 * rng.normal(size=40)
    known = stats.ttest_ind(a, b, equal_var=False).df
    parts = [(stats.sem(x), len(x)) for x in (a, b)]
    assert welch_df(*parts) == pytest.approx(known, rel=1e-12)
    assert welch_df((0.0, 7), (0.0, 40)) == 6
    tiny = [(1e-200 * error, rows) for error, rows in parts]
    assert welch_df(*tiny) == pytest.approx(known, rel=1e-12)


def test_the_ends_of_t() -> None:
    assert t_two_sided(0.0, 5) == 1.0
    assert t_two_sided(float("inf"), 5) == 0.0


@pytest.mark.parametrize(
    ("heads", "tosses"), [(0, 1), (3, 10), (5, 10), (400, 1000), (2000, 4096), (49000, 99000)]
)
def test_a_fair_coin(heads: int, tosses: int) -> None:
    known = stats.binomtest(heads, tosses).pvalue
    assert fair_two_sided(heads, tosses - heads) == pytest.approx(known, rel=1e-10)


@pytest.mark.parametrize(("how", "name"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections(how: str, name: str) -> None:
    known = multipletests(P_VALUES, method=name)[1]
    assert correct([None, *P_VALUES], how)[1:] == pytest.approx(list(known), rel=1e-12)
    assert correct([None, *P_VALUES], how)[0] is None
    assert correct(P_VALUES, "none") == P_VALUES
