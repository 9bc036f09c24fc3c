"""Moments: exact means and covariances, however the rows are cut, ordered, grouped and merged."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.stats.exact import ExactSum
from lossctl.stats.moments import Moments
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]

COMPONENTS = 2
numbers = st.floats(-1e150, 1e150)
row_lists = st.lists(st.tuples(numbers, numbers), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
sizes = st.floats(0.0, allow_infinity=False)
kinds = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def components_of(rows: Sequence[tuple[float, float]]) -> Array:
    """Give rows of numbers as components of shape ``(k, rows)``."""
    return np.array(rows, dtype=np.float64).reshape(-1, COMPONENTS).T.copy()


def weights_of(components: Array) -> Array:
    """Make weights that belong to their rows, 0 among them."""
    weights: Array = np.floor(np.abs(components[0]) % 7.0) / 4.0
    return weights


def moments(components: Array, *, weighted: bool = False, products: bool = True) -> Moments:
    """Give the moments of rows added as one chunk."""
    state = Moments(COMPONENTS, products=products, weighted=weighted)
    state.add(components, weights_of(components) if weighted else None)
    return state


def fields(state: Moments) -> dict[str, Any]:
    """Give everything a state holds as plain numbers."""

    def units(total: ExactSum) -> list[int]:
        return list(total.units)

    return {
        "weighted": state.weighted,
        "rows": state.rows.tolist(),
        "sums": [units(total) for total in state.sums],
        "weights": units(state.weights),
        "products": {pair: units(total) for pair, total in state.products.items()},
    }


def copy_of(state: Moments) -> Moments:
    """Send a state through its bytes."""
    copy: Moments = pickle.loads(pickle.dumps(state))  # noqa: S301 - our own bytes
    return copy


def merged(*states: Moments) -> Moments:
    """Merge copies of states."""
    first, *others = (copy_of(state) for state in states)
    for other in others:
        first.merge(other)
    return first


@kinds
@given(a=row_lists, b=row_lists, c=row_lists)
def test_moments_are_a_commutative_monoid(
    a: list[tuple[float, float]],
    b: list[tuple[float, float]],
    c: list[tuple[float, float]],
    weighted: bool,
) -> None:
    """Order and grouping of merges change no field, and nothing merged in changes nothing."""
    x, y, z = (moments(components_of(rows), weighted=weighted) for rows in (a, b, c))
    zero = Moments(COMPONENTS, products=True, weighted=weighted)
    everything = fields(merged(x, y, z))
    assert fields(merged(z, x, y)) == everything
    assert fields(merged(x, merged(y, z))) == everything
    assert fields(merged(zero, x)) == fields(merged(x, zero)) == fields(x)
    assert fields(merged(zero, zero)) == fields(zero)
    assert fields(copy_of(x)) == fields(x)


@kinds
@given(rows=row_lists, cuts=st.lists(st.integers(0, 12), max_size=4))
def test_any_cut_of_the_rows_gives_the_same_moments(
    rows: list[tuple[float, float]], cuts: list[int], weighted: bool
) -> None:
    """Chunks of no row and of one row among them, added in turn or merged."""
    parts = [part.copy() for part in np.split(components_of(rows), sorted(cuts), axis=1)]
    whole = fields(moments(components_of(rows), weighted=weighted))
    added = Moments(COMPONENTS, products=True, weighted=weighted)
    for part in parts:
        added.add(part, weights_of(part) if weighted else None)
    assert fields(added) == whole
    assert fields(merged(*(moments(part, weighted=weighted) for part in reversed(parts)))) == whole


@kinds
@given(rows=row_lists, codes=st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_a_group_has_the_moments_of_its_rows(
    rows: list[tuple[float, float]], codes: list[int], weighted: bool
) -> None:
    """Grouped in one pass or each group alone: the same summary."""
    chosen = np.array(codes[: len(rows)], dtype=np.intp)
    segments, order = Segments.arrange(chosen)
    components = components_of(rows)
    arranged = components[:, order].copy()
    state = Moments(COMPONENTS, products=True, weighted=weighted, groups=3)
    state.add(arranged, weights_of(arranged) if weighted else None, segments)
    for group in range(3):
        alone = moments(components[:, chosen == group].copy(), weighted=weighted)
        assert state.summary(group) == alone.summary()


@given(rows=row_lists)
def test_groups_grow_and_go_where_they_are_sent(rows: list[tuple[float, float]]) -> None:
    """A state with other groups is merged by a map of its groups."""
    components = components_of(rows)
    state = moments(components)
    state.grow(3)
    state.merge(moments(components), np.array([2], dtype=np.intp))
    summaries = [state.summary(group) for group in range(3)]
    assert summaries[0] == summaries[2] == moments(components).summary()
    assert (summaries[1].rows, summaries[1].means) == (0, None)


@given(st.lists(numbers, min_size=1, max_size=40))
def test_a_mean_is_the_exact_quotient(values: list[float]) -> None:
    """Rounded once at the end, it is the double nearest to the true mean."""
    state = Moments(1, products=False)
    state.add(np.array(values))
    summary = state.summary()
    assert summary.means == (sum(map(Fraction, values), Fraction(0)) / len(values),)
    assert summary.rows == summary.weight == len(values)
    assert summary.covariance is None


def exact_covariance(components: Array, weights: Array) -> list[list[Fraction]]:
    """Write the estimate out: n / (n - 1) sum (w (x - m)) (w (y - m)) / (sum w)^2."""
    columns = [list(map(Fraction, column)) for column in components.tolist()]
    shares = list(map(Fraction, weights.tolist()))
    total, count = sum(shares, Fraction(0)), len(shares)
    means = [sum((w * x for w, x in zip(shares, c, strict=True)), Fraction(0)) / total
             for c in columns]  # fmt: skip

    def entry(i: int, j: int) -> Fraction:
        rows = zip(shares, columns[i], columns[j], strict=True)
        spread = sum((w * w * (x - means[i]) * (y - means[j]) for w, x, y in rows), Fraction(0))
        return Fraction(count, count - 1) * spread / total**2

    return [[entry(i, j) for j in range(COMPONENTS)] for i in range(COMPONENTS)]


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=25))
def test_the_covariance_of_the_means_is_exact(rows: list[tuple[float, float]]) -> None:
    """Nothing cancels, however far the values are from zero."""
    components = components_of(rows)
    covariance = moments(components).summary().covariance
    assert covariance is not None
    expected = exact_covariance(components, np.ones(len(rows)))
    assert [list(row) for row in covariance] == expected


@given(
    st.lists(st.tuples(finite, finite, sizes), min_size=2, max_size=25).filter(
        lambda rows: any(weight for *_, weight in rows)
    )
)
def test_the_covariance_of_weighted_means_is_exact(
    rows: list[tuple[float, float, float]],
) -> None:
    """For any values and any weights, the largest and the smallest doubles among them."""
    table = np.array(rows, dtype=np.float64).T.copy()
    state = Moments(COMPONENTS, products=True, weighted=True)
    state.add(table[:COMPONENTS], table[COMPONENTS])
    summary = state.summary()
    assert summary.covariance is not None
    expected = exact_covariance(table[:COMPONENTS], table[COMPONENTS])
    assert [list(row) for row in summary.covariance] == expected
    assert summary.weight == sum(map(Fraction, table[COMPONENTS].tolist()), Fraction(0))


def test_the_covariance_is_the_one_of_numpy_and_scipy() -> None:
    """The textbook covariance of means and the standard error of a mean."""
    components = np.random.default_rng(8).normal(3.0, 2.0, (COMPONENTS, 200))
    covariance = moments(components).summary().covariance
    assert covariance is not None
    actual = np.array([[float(entry) for entry in row] for row in covariance])
    np.testing.assert_allclose(actual, np.cov(components) / 200, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diag(actual)), stats.sem(components, axis=1), rtol=1e-12)


def test_a_huge_weight_of_a_zero_is_a_weight_like_any_other() -> None:
    """Halving the largest doubles overflows, whatever stands beside them."""
    table = np.array([[0.0, 2.0, 1e308], [1e308, 1e308, 0.0]])
    state = Moments(1, products=True, weighted=True)
    state.add(table[0], table[1])
    summary = state.summary()
    assert summary.means == (1,)
    assert summary.covariance == ((Fraction(3, 4),),)


def test_no_digit_cancels_where_values_are_far_from_zero() -> None:
    """A spread of 1 around 1e15: rounding each weighted value would drown it."""
    values = 1e15 + np.arange(200.0) % 3.0
    weights = np.random.default_rng(3).uniform(size=200)
    state = Moments(1, products=True, weighted=True)
    state.add(values, weights)
    near = Moments(1, products=True, weighted=True)
    near.add(values - 1e15, weights)
    assert state.summary().covariance == near.summary().covariance


def test_equal_weights_are_no_weights() -> None:
    """Weighing all rows alike changes neither means nor covariance."""
    components = np.random.default_rng(9).normal(size=(COMPONENTS, 50))
    state = Moments(COMPONENTS, products=True, weighted=True)
    state.add(components, np.full(50, 0.25))
    plain, weighted = moments(components).summary(), state.summary()
    assert (weighted.means, weighted.covariance) == (plain.means, plain.covariance)


@pytest.mark.parametrize(
    ("rows", "weights"), [(0, None), (1, None), (3, np.zeros(3))], ids=["none", "one", "weightless"]
)
def test_too_little_has_no_covariance(rows: int, weights: Array | None) -> None:
    """One row has no spread, and rows without weight have not even a mean."""
    state = Moments(COMPONENTS, products=True, weighted=weights is not None)
    state.add(np.ones((COMPONENTS, rows)), weights)
    summary = state.summary()
    assert summary.covariance is None
    assert (summary.means is None) == (rows != 1)
