"""Exact sums: the same whole number of units whatever the values, their order and their cut."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lossctl.stats import exact
from lossctl.stats.exact import ExactSum
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Groups = Sequence[tuple[float, int]]
"""Values with the group of each."""

LARGEST = 1.7976931348623157e308
SMALLEST = 5e-324
EDGES = [0.0, -0.0, SMALLEST, -SMALLEST, 2.0**-1022, LARGEST, -LARGEST, exact.HUGE, -exact.HUGE]
EDGES += [math.nextafter(exact.HUGE, 0.0), exact.TINY, exact.LARGE, math.nextafter(exact.TINY, 0.0)]

finite = st.floats(allow_nan=False, allow_infinity=False)
wild = st.builds(
    math.ldexp,
    st.integers(-(2**53), 2**53),
    st.integers(-1074, 970),
)
"""Full mantissas at any exponent, subnormals among them."""
numbers = st.one_of(finite, wild, st.sampled_from(EDGES))
GROUPS = 4
grouped = st.lists(st.tuples(numbers, st.integers(0, GROUPS - 1)), max_size=40)


def total(values: Sequence[float]) -> Fraction:
    """Add numbers as fractions."""
    return sum(map(Fraction, values), Fraction(0))


def exact_sum(values: Sequence[float]) -> ExactSum:
    """Add numbers as one chunk."""
    result = ExactSum()
    result.add(np.array(values, dtype=np.float64))
    return result


def by_group(pairs: Groups) -> list[Fraction]:
    """Add numbers as fractions, by group."""
    return [total([value for value, code in pairs if code == group]) for group in range(GROUPS)]


def arranged(pairs: Groups) -> tuple[Array, Segments]:
    """Give values with those of each group side by side."""
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    segments, order = Segments.arrange(np.array([code for _, code in pairs], dtype=np.intp))
    return values[order], segments


@given(st.lists(numbers, max_size=60))
@example([LARGEST] * 3)
@example([SMALLEST] * 3)
@example([LARGEST, SMALLEST, -LARGEST])
@example([1e16, 1.0, -1e16, 1e-300])
@example([])
def test_a_sum_is_exact(values: list[float]) -> None:
    """No digit is lost between the largest and the smallest of doubles."""
    assert exact_sum(values).fraction() == total(values)


@given(st.lists(numbers, max_size=30), st.randoms(use_true_random=False))
def test_cancellation_leaves_what_is_left(values: list[float], dice: random.Random) -> None:
    """Every value is taken back but one tiny one, in some order."""
    both = [*values, 1e-300, *(-value for value in values)]
    dice.shuffle(both)
    assert exact_sum(both).fraction() == Fraction(1e-300)


@given(st.lists(st.floats(-1e300, 1e300), max_size=60))
def test_a_sum_rounds_to_what_fsum_gives(values: list[float]) -> None:
    """Rounded once, the sum is the correctly rounded one."""
    assert float(exact_sum(values).fraction()) == math.fsum(values)


@given(st.lists(numbers, max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_any_cut_gives_the_same_units(values: list[float], cuts: list[int]) -> None:
    """Chunks of any size, also of no and of one value, added in a row or merged."""
    parts = np.split(np.array(values, dtype=np.float64), sorted(cuts))
    added, merged = ExactSum(), ExactSum()
    for part in parts:
        added.add(part)
        single = ExactSum()
        single.add(part)
        merged.merge(single)
    expected = exact_sum(values).units.tolist()
    assert added.units.tolist() == expected
    assert merged.units.tolist() == expected


@given(grouped)
def test_sums_by_group_are_exact(pairs: list[tuple[float, int]]) -> None:
    """Every group has the sum it would have alone."""
    result = ExactSum(GROUPS)
    result.add(*arranged(pairs))
    assert [result.fraction(group) for group in range(GROUPS)] == by_group(pairs)


@given(st.lists(st.tuples(numbers, numbers), max_size=40))
@example([(LARGEST, LARGEST), (SMALLEST, SMALLEST), (LARGEST, -SMALLEST)])
@example([(exact.TINY, exact.TINY), (math.nextafter(exact.LARGE, 0.0),) * 2])
@example([(1.0, 2.0**-480), (2.0**-537, 2.0**-538), (0.0, LARGEST)])
def test_sums_of_products_are_exact(pairs: list[tuple[float, float]]) -> None:
    """Also of products that no double holds."""
    a, b = (np.array([pair[i] for pair in pairs], dtype=np.float64) for i in (0, 1))
    result, squares = ExactSum(), ExactSum()
    result.add_products(a, b)
    squares.add_squares(a)
    assert result.fraction() == sum((Fraction(x) * Fraction(y) for x, y in pairs), Fraction(0))
    assert squares.fraction() == sum((Fraction(x) ** 2 for x, _ in pairs), Fraction(0))


@given(st.lists(numbers, min_size=1, max_size=40))
def test_a_known_extent_changes_nothing(values: list[float]) -> None:
    """Callers who know the least and the greatest value spare the search, and get the same."""
    array, extent = np.array(values), (min(values), max(values))
    told = ExactSum()
    told.add(array, extent=extent)
    told.add_squares(array, extent=extent)
    assert told.fraction() == total(values) + sum(Fraction(value) ** 2 for value in values)


@given(grouped, st.randoms(use_true_random=False))
def test_sums_of_products_by_group_are_exact(
    pairs: list[tuple[float, int]], dice: random.Random
) -> None:
    """Products go to the group of their row."""
    values, segments = arranged(pairs)
    others = np.array(dice.sample(values.tolist(), len(values)), dtype=np.float64)
    result, squares = ExactSum(GROUPS), ExactSum(GROUPS)
    result.add_products(values, others, segments)
    squares.add_squares(values, segments)
    expected, expected_squares = [Fraction(0)] * GROUPS, [Fraction(0)] * GROUPS
    rows = zip(sorted(code for _, code in pairs), values.tolist(), others.tolist(), strict=True)
    for group, x, y in rows:
        expected[group] += Fraction(x) * Fraction(y)
        expected_squares[group] += Fraction(x) ** 2
    assert [result.fraction(group) for group in range(GROUPS)] == expected
    assert [squares.fraction(group) for group in range(GROUPS)] == expected_squares


ROWS = 20_011

BULKS: Mapping[str, Callable[[], npt.NDArray[Any]]] = {
    "all equal and full": lambda: np.full(ROWS, math.nextafter(2.0, 0.0)),
    "all equal and negative": lambda: np.full(ROWS, -math.nextafter(2.0, 0.0)),
    "alternating": lambda: np.where(np.arange(ROWS) % 2 == 0, 1e17, -1e17) + 1.0,
    "all just below huge": lambda: np.full(ROWS, math.nextafter(exact.HUGE, 0.0)),
    "subnormal": lambda: np.random.default_rng(1).integers(1, 2**52, ROWS) * SMALLEST,
    "normal": lambda: np.random.default_rng(2).normal(size=ROWS),
    "many exponents": lambda: np.ldexp(
        np.random.default_rng(3).uniform(-1.0, 1.0, ROWS),
        np.random.default_rng(4).integers(-1000, 900, ROWS),
    ),
    "positive": lambda: np.random.default_rng(6).exponential(size=ROWS),
    "squares": lambda: np.random.default_rng(7).normal(size=ROWS) ** 2,
    "all zero": lambda: np.zeros(ROWS),
    "zeros of both signs": lambda: np.where(np.arange(ROWS) % 2 == 0, 0.0, -0.0),
    "zeros among others": lambda: np.maximum(np.random.default_rng(8).normal(size=ROWS), -0.0),
    "labels": lambda: np.random.default_rng(9).integers(0, 2, ROWS).astype(np.float64),
    "one tiny value": lambda: np.append(np.random.default_rng(10).normal(size=ROWS), 1e-200),
    "a few tiny values": lambda: np.append(np.full(ROWS, 1e5), [1e-20, -1e-40, 3e-310]),
    "two far ranges": lambda: np.tile([1e30, -1.1, 3e-90], ROWS // 3),
    "one row": lambda: np.array([math.pi]),
}


@pytest.mark.parametrize("make", BULKS.values(), ids=BULKS)
def test_sums_of_whole_chunks_are_exact(make: Callable[[], npt.NDArray[Any]]) -> None:
    """Machine integers hold the folds of as many rows as a chunk has, in one group and in many."""
    values = make()
    expected = total(values.tolist())
    assert exact_sum(values.tolist()).fraction() == expected
    segments, order = Segments.arrange(np.arange(len(values), dtype=np.intp) % 3)
    result = ExactSum(3)
    result.add(values[order], segments)
    assert sum(result.fraction(group) for group in range(3)) == expected


@pytest.mark.parametrize("make", BULKS.values(), ids=BULKS)
def test_sums_of_products_of_whole_chunks_are_exact(make: Callable[[], npt.NDArray[Any]]) -> None:
    """The digits that rounding took from each product go down to those of both factors."""
    a = make()
    b = a[::-1].copy()
    squares, products = ExactSum(), ExactSum()
    squares.add_squares(a)
    products.add_products(a, b)
    pairs = list(zip(map(Fraction, a.tolist()), map(Fraction, b.tolist()), strict=True))
    assert squares.fraction() == sum(x * x for x, _ in pairs)
    assert products.fraction() == sum(x * y for x, y in pairs)


@pytest.mark.parametrize("field", ["bottom", "top"])
@pytest.mark.parametrize("name", ["positive", "squares", "normal", "one tiny value"])
def test_a_wrong_bound_would_be_noticed(
    name: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds trust the span of the values; these sums tell when it is too narrow."""
    right = getattr(exact.Span, field).fget
    wrong = {"bottom": lambda span: right(span) + 60, "top": lambda span: right(span) - 8}[field]
    monkeypatch.setattr(exact.Span, field, property(wrong))
    values = BULKS[name]()
    assert exact_sum(values.tolist()).fraction() != total(values.tolist())


def test_sums_of_many_chunks_are_exact() -> None:
    """Counters that chunks of one exponent share do not overflow."""
    value = math.nextafter(2.0, 0.0)
    values, segments = arranged([(value, 0), (-value, 1)] * 8192)
    result = ExactSum(2)
    for _ in range(2048):
        result.add(values, segments)
    rows = 2048 * 8192
    assert [result.fraction(0), result.fraction(1)] == [
        rows * Fraction(value),
        -rows * Fraction(value),
    ]


def test_adding_leaves_the_values_alone() -> None:
    """Folds work on copies, and slices of larger arrays are fine."""
    values = np.ldexp(np.random.default_rng(5).uniform(size=100), np.arange(100) - 50)
    before = values.copy()
    result, reversed_sum = ExactSum(), ExactSum()
    result.add(values)
    result.add_products(values, values)
    result.add_squares(values)
    assert np.array_equal(values, before)
    reversed_sum.add(values[::-1])
    reversed_sum.add_squares(values[::-1])
    reversed_sum.add_products(values[::-1], values[::-1])
    assert reversed_sum.units.tolist() == result.units.tolist()


@given(grouped, grouped, grouped)
def test_merging_is_commutative_and_associative_with_zero_as_identity(
    a: Groups, b: Groups, c: Groups
) -> None:
    """The laws of a commutative monoid, unit by unit."""

    def state(*parts: Groups) -> ExactSum:
        result = ExactSum(GROUPS)
        for part in parts:
            single = ExactSum(GROUPS)
            single.add(*arranged(part))
            result.merge(single)
        return result

    def merged(left: ExactSum, right: ExactSum) -> list[int]:
        left.merge(right)
        return list(left.units)

    assert merged(state(a), state(b)) == merged(state(b), state(a))
    assert merged(state(a, b), state(c)) == merged(state(a), state(b, c))
    assert merged(ExactSum(GROUPS), state(a)) == merged(state(a), ExactSum(GROUPS))
    assert merged(ExactSum(GROUPS), state(a)) == state(a).units.tolist()
    assert merged(ExactSum(GROUPS), ExactSum(GROUPS)) == [0] * GROUPS


def test_merging_leaves_the_other_sum_alone() -> None:
    """The other one can be merged again, as a saved state is."""
    one, other = exact_sum([1.0]), exact_sum([2.0])
    one.merge(other)
    one.add(np.array([4.0]))
    assert one.fraction() == 7
    assert other.fraction() == 2


@given(grouped)
def test_a_sum_survives_pickling_with_what_is_pending(pairs: list[tuple[float, int]]) -> None:
    """A state travels as it is."""
    result = ExactSum(GROUPS)
    result.add(*arranged(pairs))
    copy = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own bytes
    copy.add(*arranged(pairs))
    assert [copy.fraction(group) for group in range(GROUPS)] == [
        2 * part for part in by_group(pairs)
    ]


@given(grouped, st.permutations(range(GROUPS)))
def test_groups_are_merged_where_they_are_sent(
    pairs: list[tuple[float, int]], places: list[int]
) -> None:
    """Another state may number its groups in another order and know fewer of them."""
    result, other = ExactSum(2), ExactSum(GROUPS)
    other.add(*arranged(pairs))
    result.add(*arranged([(1.0, 0), (2.0, 1)]))
    result.grow(GROUPS + 1)
    result.merge(other, np.array(places, dtype=np.intp))
    expected = [Fraction(1), Fraction(2), *[Fraction(0)] * (GROUPS - 1)]
    for group, part in enumerate(by_group(pairs)):
        expected[places[group]] += part
    assert [result.fraction(group) for group in range(GROUPS + 1)] == expected


def test_groups_may_be_merged_into_one() -> None:
    """Several groups of another state can go to the same place."""
    result, other = ExactSum(), ExactSum(2)
    other.add(*arranged([(1.0, 0), (2.0, 1)]))
    result.merge(other, np.zeros(2, dtype=np.intp))
    assert result.fraction() == 3
