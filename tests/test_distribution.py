"""Quantiles and histograms of whole runs, held against the exact ones of the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.losses import Loss
from lossctl.report import Report
from lossctl.results import Result
from lossctl.stats.buckets import RELATIVE_ERROR

Array = npt.NDArray[np.float64]
Draw = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Measure = Callable[..., Report]

SHARES = (0.0, 0.001, 0.07, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0)
SMALLEST = 2.0**-1030
"""Error of a quantile below the smallest normal double."""
ROWS = 2000


def distributions() -> Mapping[str, Array]:
    """Give values of many shapes and sizes."""
    rng = np.random.default_rng(7)
    return {
        "normal": rng.normal(size=ROWS),
        "uniform": rng.random(ROWS),
        "lognormal": rng.lognormal(0.0, 3.0, ROWS),
        "heavy tails": rng.standard_t(1.0, ROWS) * 1e6,
        "many ties": rng.integers(-3, 4, ROWS).astype(np.float64),
        "zeros": np.where(rng.random(ROWS) < 0.6, 0.0, rng.normal(size=ROWS)),
        "one value": np.full(ROWS, 1.1),
        "one row": np.array([-3.3]),
        "every size": rng.choice([-1.0, 1.0], ROWS) * 10.0 ** rng.uniform(-307, 307, ROWS),
        "subnormal": rng.integers(-(2**51), 2**51, ROWS) * 5e-324,
        "the smallest": np.array([5e-324, -5e-324, 0.0]),
        "huge": rng.choice([-1.0, 1.0], ROWS) * rng.uniform(1e307, 1.7976931348623157e308, ROWS),
        "edges of buckets": np.ldexp(1.0 + rng.integers(0, 256, ROWS) / 256, rng.integers(-9, 9)),
        "below edges": np.nextafter(np.ldexp(1.0, rng.integers(-900, 900, ROWS)), 0.0),
    }


DISTRIBUTIONS = distributions()


@pytest.fixture(params=DISTRIBUTIONS, ids=str)
def values(request: pytest.FixtureRequest) -> Array:
    """Give the row losses of a run in turn."""
    return DISTRIBUTIONS[request.param]


@pytest.fixture
def of_rows(measure: Measure, write_parquet: Write, tmp_path: Path) -> Callable[..., Result]:
    """Evaluate rows whose bias is a given value each."""

    def run(values: Array, **policies: Any) -> Result:
        columns = {"prediction": np.zeros(len(values)), "target": values}
        path = write_parquet(tmp_path / "rows.parquet", columns)
        return measure("mbe", path, **policies).results[0]

    return run


def is_near(found: float | None, exact: float) -> bool:
    """Tell whether a quantile is within the stated error."""
    return found is not None and math.isclose(
        found, exact, rel_tol=RELATIVE_ERROR, abs_tol=SMALLEST if abs(exact) < 2.0**-1022 else 0.0
    )


def test_the_stated_error_is_that_of_the_help_text() -> None:
    """Within 0.2 %."""
    assert RELATIVE_ERROR <= 0.002


def test_quantiles_are_within_the_stated_error(
    values: Array, of_rows: Callable[..., Result]
) -> None:
    """Of the least value that is not below the share, as NumPy's ``inverted_cdf``."""
    result = of_rows(values, quantiles=SHARES, chunk_rows=300)
    exact = np.quantile(values, SHARES, method="inverted_cdf")
    found = result.quantiles.values()
    assert [s for s, f, e in zip(SHARES, found, exact, strict=True) if not is_near(f, e)] == []


def test_quantiles_ascend_and_stay_in_the_range(
    values: Array, of_rows: Callable[..., Result]
) -> None:
    """None lies below the least value or above the greatest."""
    result = of_rows(values, quantiles=SHARES)
    found = [result.min, *result.quantiles.values(), result.max]
    assert None not in found
    assert found == sorted(number for number in found if number is not None)


def test_the_counts_of_a_histogram_add_up(values: Array, of_rows: Callable[..., Result]) -> None:
    """Its bins ascend, do not overlap, and hold as many values as lie in them."""
    bins = of_rows(values, histogram=True, chunk_rows=300).histogram
    assert bins is not None
    assert sum(bin_.count for bin_ in bins) == len(values)
    ascending = np.sort(values)
    for bin_ in bins:
        part, ascending = ascending[: bin_.count], ascending[bin_.count :]
        slack = SMALLEST if bin_.low == bin_.high == 0.0 else 0.0
        assert bin_.count > 0
        assert bin_.low - slack <= part[0]
        assert part[-1] <= bin_.high + slack
    ends = [end for bin_ in bins for end in (bin_.low, bin_.high)]
    assert ends == sorted(ends)


def test_a_bin_spans_one_order_of_magnitude_at_most(
    values: Array, of_rows: Callable[..., Result]
) -> None:
    """From a power of two to the next."""
    for bin_ in of_rows(values, histogram=True).histogram or ():
        sizes = sorted((abs(bin_.low), abs(bin_.high)))
        if sizes[0] >= 2.0**-1022:
            assert sizes[1] <= 2.0 * sizes[0]


def test_the_distribution_of_any_loss_is_that_of_its_rows(
    loss: Loss, draw: Draw, write_parquet: Write, measure: Measure, tmp_path: Path
) -> None:
    """Quantiles lie between the extremes, and every row that counts is in the histogram."""
    path = write_parquet(tmp_path / "rows.parquet", draw(loss, 50))
    result = measure(loss.name, path, quantiles=(0.5,), histogram=True).results[0]
    bins = result.histogram or ()
    assert sum(bin_.count for bin_ in bins) + result.infinite.count == result.n
    assert result.min is not None
    assert result.max is not None
    assert result.min <= (result.quantiles["0.5"] or 0.0) <= result.max


def test_infinite_and_undefined_rows_are_in_no_bin(of_rows: Callable[..., Result]) -> None:
    """They are counted apart; quantiles are those of the finite rows."""
    values = np.array([1.0, math.inf, -math.inf, math.nan, 3.0, 2.0])
    result = of_rows(values, quantiles=(0.5,), histogram=True, nonfinite="keep")
    assert sum(bin_.count for bin_ in result.histogram or ()) == 3
    assert is_near(result.quantiles["0.5"], 2.0)
    assert result.value is None


def test_without_finite_rows_there_is_no_distribution(of_rows: Callable[..., Result]) -> None:
    """Undefined quantiles and no bin."""
    values = np.array([math.nan, math.inf])
    result = of_rows(values, quantiles=(0.5, 0.9), histogram=True, nonfinite="keep")
    assert result.quantiles == {"0.5": None, "0.9": None}
    assert result.histogram == ()


def test_quantiles_are_named_by_their_shares(of_rows: Callable[..., Result]) -> None:
    """In the order asked for, however close they are."""
    shares = (1.0, 0.5, 0.999999999, 0.9999999999, 0.0)
    result = of_rows(np.arange(9.0), quantiles=shares)
    assert list(result.quantiles) == ["1", "0.5", "0.999999999", "0.9999999999", "0"]


def test_nothing_of_it_is_there_unless_asked_for(of_rows: Callable[..., Result]) -> None:
    """Neither in the report nor, as empty lists, in its JSON form."""
    result = of_rows(np.arange(9.0))
    assert result.quantiles == {}
    assert result.histogram is None
