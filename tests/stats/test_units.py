"""Units: sums by group and unit are exact and the same for any cut and order of merging."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from lossctl.stats.bootstrap import buckets, poisson_weights, replicate_means
from lossctl.stats.fingerprint import mix
from lossctl.stats.segments import Segments
from lossctl.stats.units import Units

ROWS = 60
VALUES = np.random.default_rng(0).normal(size=(2, ROWS)) * 10.0 ** np.arange(-30, 30)
IDS = np.random.default_rng(1).integers(9, size=ROWS).astype(np.uint64) * np.uint64(1 << 60)
GROUPS = np.random.default_rng(2).integers(3, size=ROWS)


def units_of(rows: Any) -> Units:
    """Add some rows in one go."""
    found = Units(2)
    if len(rows):
        segments, order = Segments.arrange(GROUPS[rows])
        found.add(IDS[rows][order], VALUES[:, rows][:, order], segments)
    return found


def shown(units: Units, groups: list[int]) -> Any:
    """Give all that is known of some groups."""
    sums = units.of(groups)
    return sums.ids.tolist(), [part.tolist() for part in sums.sums], sums.weights.tolist()


@given(st.lists(st.integers(0, ROWS), max_size=5), st.permutations(range(3)))
def test_any_cut_and_order_gives_the_same_sums(cuts: list[int], groups: list[int]) -> None:
    order = np.random.default_rng(len(cuts)).permutation(ROWS)
    merged = Units(2)
    for rows in np.split(order, sorted(cuts)):
        merged.merge(units_of(rows), np.arange(3))
    whole = units_of(np.arange(ROWS))
    for chosen in ([0], [1, 2], [0, 1, 2], [7]):
        assert shown(merged, chosen) == shown(whole, chosen)
    renamed = Units(2)
    renamed.merge(whole, np.array(groups))
    assert shown(renamed, [groups[1]]) == shown(whole, [1])


def test_sums_are_exact() -> None:
    sums = units_of(np.arange(ROWS)).of([0, 1, 2])
    for number, unit in enumerate(sums.ids):
        for component in range(2):
            known = sum(map(Fraction, VALUES[component, unit == IDS]), Fraction(0))
            assert Fraction(int(sums.sums[component][number]), 1 << 2148) == known


def test_the_covariance_of_single_rows_is_the_textbook_one() -> None:
    units = Units(2)
    values: npt.NDArray[np.float64] = np.random.default_rng(3).normal(size=(2, 50))
    units.add(np.arange(50, dtype=np.uint64), values, Segments.single(50))
    found = np.array(units.of([0]).covariance(), dtype=np.float64)
    np.testing.assert_allclose(found, np.cov(values) / 50, rtol=1e-12)


def test_weights_are_poisson_numbers_that_depend_on_all_they_are_made_of() -> None:
    ids = np.arange(20_000, dtype=np.uint64)
    weights = poisson_weights(0, np.arange(20), ids).astype(np.float64)
    counts = np.bincount(weights.astype(int).ravel()) / weights.size
    known = np.exp(-1.0) / np.array([1, 1, 2, 6, 24])
    np.testing.assert_allclose(counts[:5], known, atol=0.003)
    correlations = np.corrcoef(weights) - np.eye(20)
    assert np.abs(correlations).max() < 0.04
    assert (poisson_weights(1, np.arange(20), ids) != weights).any()
    one = poisson_weights(0, np.array([7]), ids[[5]])
    assert one[0, 0] == weights[7, 5]


def test_replicates_do_not_depend_on_the_order_of_the_units() -> None:
    means = []
    for order in (np.arange(ROWS), np.random.default_rng(5).permutation(ROWS)):
        units = Units(2)
        values = np.round(VALUES[:, order] * 1e3)
        units.add(mix(order.astype(np.uint64)), values, Segments.single(ROWS))
        means.append(replicate_means(units.of([0]), 50, 1))
    assert (means[0] == means[1]).all()


def test_buckets_are_even() -> None:
    counts = np.bincount(buckets(mix(np.arange(1 << 20, dtype=np.uint64))).astype(int))
    assert len(counts) == 1 << 16
    assert counts.mean() == 16
    assert 14.5 < counts.var() < 17.5
