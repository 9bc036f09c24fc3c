"""Buckets: counts that merge exactly, and quantiles within the stated error."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lossctl.stats.buckets import RELATIVE_ERROR, Buckets
from lossctl.stats.segments import Segments

finite = st.floats(allow_nan=False, allow_infinity=False)
normal = finite.filter(lambda value: value == 0.0 or abs(value) >= 2.0**-1022)
grouped = st.lists(st.tuples(finite, st.integers(0, 2)), max_size=40)
Rows = Sequence[tuple[float, int]]


def buckets(*chunks: Rows, weighted: bool = False) -> Buckets:
    """Count the values of chunks, with weights that belong to them."""
    result = Buckets(weighted=weighted)
    for rows in chunks:
        segments, order = Segments.arrange(np.array([group for _, group in rows], dtype=np.intp))
        values = np.array([value for value, _ in rows], dtype=np.float64)[order]
        result.add(values, segments, weights_of(values) if weighted else None)
    return result


def weights_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Make a positive weight of each value."""
    weights: npt.NDArray[np.float64] = np.abs(values) % 7.0 + 0.1
    return weights


def spelled(state: Buckets) -> list[list[int]]:
    """Give everything the counts hold."""
    weights = [] if state.weights is None else [state.weights.units.tolist()]
    return [part.tolist() for part in state.table] + weights


def merged(*states: Buckets) -> Buckets:
    """Merge copies."""
    first, *others = (pickle.loads(pickle.dumps(state)) for state in states)  # noqa: S301
    for other in others:
        first.merge(other)
    return first  # type: ignore[no-any-return]


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@given(a=grouped, b=grouped, c=grouped)
def test_counts_are_a_commutative_monoid(a: Rows, b: Rows, c: Rows, weighted: bool) -> None:
    """Any cut and any order of merges give the same counts, and zero is an identity."""
    x, y, z = (buckets(rows, weighted=weighted) for rows in (a, b, c))
    zero = Buckets(weighted=weighted)
    everything = spelled(buckets([*a, *b, *c], weighted=weighted))
    assert spelled(buckets(a, b, c, weighted=weighted)) == everything
    assert spelled(merged(z, x, y)) == spelled(merged(x, merged(y, z))) == everything
    assert spelled(merged(zero, x)) == spelled(merged(x, zero)) == spelled(x)
    assert spelled(merged(zero, zero)) == [[]] * (2 + weighted)


def test_counts_of_many_chunks_are_joined_on_the_way() -> None:
    """More chunks than may wait."""
    rows = [(float(number % 7), number % 3) for number in range(300)]
    assert spelled(buckets(*([row] for row in rows))) == spelled(buckets(rows))


@given(grouped)
def test_every_value_is_in_one_bin_of_its_group(rows: Rows) -> None:
    """Bins are disjoint, in ascending order, and hold as many values as lie in them."""
    state = buckets(rows)
    for group in range(3):
        values = sorted(value for value, code in rows if code == group)
        bins = state.bins(group)
        assert sum(bin_.count for bin_ in bins) == len(values)
        assert all(a.high <= b.low for a, b in itertools.pairwise(bins))
        for bin_ in bins:
            part, values = values[: bin_.count], values[bin_.count :]
            slack = 2.0**-1022 if bin_.low == bin_.high == 0.0 else 0.0
            assert all(bin_.low - slack <= value <= bin_.high + slack for value in part)


@given(st.lists(normal, min_size=1, max_size=40), st.integers(0, 1000))
def test_a_quantile_is_within_the_stated_error(values: list[float], thousandths: int) -> None:
    """The value at the rank that the share names, exactly counted, to a relative error."""
    assume(max(map(abs, values)) < 1e308)
    share = thousandths / 1000
    rank = max(1, math.ceil(Fraction(thousandths, 1000) * len(values)))
    expected = sorted(values)[rank - 1]
    found = buckets([(value, 0) for value in values]).quantile(share)
    assert found == pytest.approx(expected, rel=RELATIVE_ERROR, abs=0.0)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.07, 7.0), (0.29, 29.0), (0.5, 50.0), (1, 100.0)]
)
def test_a_share_that_hits_a_rank_takes_it(share: float, expected: float) -> None:
    """Of the numbers 1 to 100, whatever rounding makes of a hundred times the share."""
    found = buckets([(float(number), 0) for number in range(1, 101)]).quantile(share)
    assert found == pytest.approx(expected, rel=RELATIVE_ERROR, abs=0.0)


@given(st.lists(normal, min_size=1, max_size=40), st.integers(0, 1000))
def test_a_weighted_quantile_is_the_value_that_carries_the_weight_over_the_share(
    values: list[float], thousandths: int
) -> None:
    """The least value up to which the exact sum of the weights is the share of all or more."""
    assume(max(map(abs, values)) < 1e308)
    values.sort()
    weights = [Fraction(weight) for weight in weights_of(np.array(values)).tolist()]
    wanted = Fraction(thousandths, 1000) * sum(weights)
    reached = itertools.accumulate(weights)
    value = next(value for value, sum_ in zip(values, reached, strict=True) if sum_ >= wanted)
    state = buckets([(value, 0) for value in values], weighted=True)
    found = state.quantile(thousandths / 1000)
    assert found == pytest.approx(value, rel=RELATIVE_ERROR, abs=0.0)
    assert sum(bin_.mass for bin_ in state.bins()) == sum(weights)


def test_nothing_has_no_quantile() -> None:
    """Nor has a group without values."""
    assert Buckets().quantile(0.5) is None
    assert buckets([(1.0, 0)]).quantile(0.5, group=1) is None


def test_zeros_of_both_signs_share_a_bin_and_keep_their_place() -> None:
    """Between the negative and the positive values, whose bins do not reach them."""
    bins = buckets([(value, 0) for value in (-1.0, -0.0, 0.0, 1.0)]).bins()
    assert [bin_.count for bin_ in bins] == [1, 2, 1]
