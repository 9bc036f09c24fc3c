"""Tallies: counts, first rows, range and sums of one quantity by group, merged in any order."""

from __future__ import annotations

import itertools
import math
import pickle
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.stats.segments import Segments
from lossctl.stats.tally import FIRST, KINDS, Row, Rows, Tally

GROUPS = 3
Indices = npt.NDArray[np.intp]
Marks = Sequence[bool]
Shown = Sequence[tuple[float, int]]
"""Losses of rows with the group of each."""

values = st.one_of(
    st.floats(-1e300, 1e300), st.sampled_from([math.inf, -math.inf, math.nan, 0.0, -0.0])
)
shown_rows = st.lists(st.tuples(values, st.integers(0, GROUPS - 1)), max_size=16)


def row_of(number: int, task: int = 0) -> Row:
    """Name a row of a task, which is a piece of a file."""
    return ("rows.csv", task, number)


def rows_of(marks: Marks, task: int = 0) -> Rows:
    """Count marked rows of one task."""
    rows = Rows()
    found = np.flatnonzero(np.array(marks, dtype=np.bool_))
    rows.add(found, lambda indices: [row_of(index, task) for index in indices.tolist()[:FIRST]])
    return rows


@given(
    st.lists(st.lists(st.booleans(), max_size=12), max_size=5), st.randoms(use_true_random=False)
)
def test_the_first_rows_are_the_first_in_any_order(
    tasks: list[list[bool]], dice: random.Random
) -> None:
    """Whichever task comes back first, the same rows are named."""
    everything = [
        row_of(row, task) for task, marks in enumerate(tasks) for row, m in enumerate(marks) if m
    ]
    order = list(range(len(tasks)))
    dice.shuffle(order)
    result = Rows()
    for task in order:
        result.merge(rows_of(tasks[task], task))
    assert result == Rows(len(everything), everything[:FIRST])


@given(*[st.lists(st.booleans(), max_size=12)] * 3)
def test_row_counts_are_a_commutative_monoid(a: Marks, b: Marks, c: Marks) -> None:
    """Zero is an identity, also of itself; order and grouping change nothing."""

    def merged(*parts: Rows) -> Rows:
        result = Rows()
        for part in parts:
            result.merge(part)
        return result

    x, y, z = rows_of(a, 0), rows_of(b, 1), rows_of(c, 2)
    assert merged(x, y, z) == merged(z, y, x) == merged(x, merged(y, z)) == merged(merged(x, y), z)
    assert merged(Rows(), x) == merged(x, Rows()) == x
    assert merged(Rows(), Rows()) == Rows()
    assert pickle.loads(pickle.dumps(x)) == x  # noqa: S301 - our own bytes


def empty(*, weighted: bool = False) -> Tally:
    """Give the identity of merging."""
    return Tally(1, products=True, buckets=True, weighted=weighted, groups=GROUPS)


def tally(rows: Shown, first: int = 0, *, weighted: bool = False) -> Tally:
    """Tally a chunk whose first row has the given number."""
    result = empty(weighted=weighted)
    add(result, rows, first)
    return result


def weights_of(losses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Make weights that belong to the losses, 0 among them."""
    finite = np.where(np.isfinite(losses), losses, 3.3)
    weights: npt.NDArray[np.float64] = np.floor(np.abs(finite) % 4.0) / 7.0
    return weights


def add(state: Tally, rows: Shown, first: int) -> None:
    """Add a chunk to a tally; rows with a finite negative loss count as clipped."""
    segments, order = Segments.arrange(np.array([group for _, group in rows], dtype=np.intp))
    losses = np.array([value for value, _ in rows], dtype=np.float64)[order]

    def first_rows(indices: Indices) -> list[Row]:
        return [row_of(first + number) for number in sorted(order[indices].tolist())[:FIRST]]

    weights = weights_of(losses) if state.moments.weighted else None
    state.add(losses, losses, segments, first_rows, weights)
    with np.errstate(invalid="ignore"):
        clipped = np.isfinite(losses) & (losses < 0.0)
    state.add_clipped(clipped, losses, segments, first_rows, weights)


def fields(state: Tally) -> dict[str, Any]:
    """Give everything a tally holds as plain numbers."""
    moments = state.moments
    buckets = state.buckets
    return {
        "low": state.low.tolist(),
        "high": state.high.tolist(),
        "odd rows": {(k, g): state.rows_of(k, g) for k in KINDS for g in range(GROUPS)},
        "clipped sum": state.clipped_sum.units.tolist(),
        "rows": moments.rows.tolist(),
        "sums": [total.units.tolist() for total in moments.sums],
        "products": {pair: total.units.tolist() for pair, total in moments.products.items()},
        "weights": [moments.weights.units.tolist(), state.odd_weight.units.tolist()],
        "weightless": state.weightless.tolist(),
        "buckets": None if buckets is None else [part.tolist() for part in buckets.table],
        "bucket weights": buckets and buckets.weights and buckets.weights.units.tolist(),
    }


def copy_of(state: Tally) -> Tally:
    """Send a tally through its bytes."""
    copy: Tally = pickle.loads(pickle.dumps(state))  # noqa: S301 - our own bytes
    return copy


def merged(*states: Tally) -> Tally:
    """Merge copies of tallies."""
    first, *others = (copy_of(state) for state in states)
    for other in others:
        first.merge(other)
    return first


kinds = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


@kinds
@given(a=shown_rows, b=shown_rows, c=shown_rows)
def test_tallies_are_a_commutative_monoid(a: Shown, b: Shown, c: Shown, weighted: bool) -> None:
    """Order and grouping of merges change no field, and nothing merged in changes nothing."""
    starts = 0, len(a), len(a) + len(b)
    x, y, z = (
        tally(rows, first, weighted=weighted) for rows, first in zip((a, b, c), starts, strict=True)
    )
    zero = empty(weighted=weighted)
    everything = fields(merged(x, y, z))
    assert fields(merged(z, x, y)) == everything
    assert fields(merged(x, merged(y, z))) == everything
    assert fields(merged(zero, x)) == fields(merged(x, zero)) == fields(x)
    assert fields(merged(zero, zero)) == fields(zero)
    assert fields(copy_of(x)) == fields(x)


@kinds
@given(rows=shown_rows, cuts=st.lists(st.integers(0, 16), max_size=4))
def test_any_cut_of_the_rows_gives_the_same_tally(
    rows: Shown, cuts: list[int], weighted: bool
) -> None:
    """Chunks of no row and of one row among them, added in turn or merged."""
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [(rows[start:stop], start) for start, stop in itertools.pairwise(ends)]
    whole = fields(tally(rows, weighted=weighted))
    state = empty(weighted=weighted)
    for part, first in parts:
        add(state, part, first)
    assert fields(state) == whole
    states = [tally(part, first, weighted=weighted) for part, first in reversed(parts)]
    assert fields(merged(*states)) == whole


@given(shown_rows)
def test_a_row_without_weight_is_counted_and_has_no_other_part(rows: Shown) -> None:
    """As if it were not there: not in sums, range, buckets, nor among infinite or clipped rows."""
    weights = weights_of(np.array([value for value, _ in rows], dtype=np.float64))
    heavy = [row for row, weight in zip(rows, weights, strict=True) if weight]
    everything, some = (fields(tally(part, weighted=True)) for part in (rows, heavy))
    lost = [sum(group == g for _, group in rows) for g in range(GROUPS)]
    kept = [sum(group == g for _, group in heavy) for g in range(GROUPS)]
    assert everything.pop("weightless") == [a - b for a, b in zip(lost, kept, strict=True)]
    assert some.pop("weightless") == [0] * GROUPS
    for part in (everything, some):
        part["odd rows"] = {kind: odd.count for kind, odd in part["odd rows"].items()}
    assert everything == some


@given(shown_rows)
def test_only_finite_rows_are_averaged(rows: Shown) -> None:
    """Infinities of both signs and NaN are counted, each apart, and in no sum and no range."""
    state = tally(rows)
    for group in range(GROUPS):
        losses = [value for value, code in rows if code == group]
        good = [value for value in losses if math.isfinite(value)]
        counts = {kind: state.rows_of(kind, group).count for kind in KINDS}
        assert counts == {
            "infinite": losses.count(math.inf),
            "negative_infinite": losses.count(-math.inf),
            "undefined": sum(map(math.isnan, losses)),
            "clipped": sum(value < 0.0 for value in good),
        }
        summary = state.moments.summary(group)
        assert (summary.rows, summary.sums) == (len(good), (sum(map(Fraction, good), Fraction(0)),))
        assert state.low[group] == min(good, default=math.inf)
        assert state.high[group] == max(good, default=-math.inf)
        negative = [Fraction(value) for value in good if value < 0.0]
        assert state.clipped_sum.fraction(group) == sum(negative, Fraction(0))


@given(shown_rows)
def test_the_first_odd_rows_of_a_group_are_named(rows: Shown) -> None:
    """By their numbers in the input, not by where the groups have moved them."""
    state = tally(rows, first=100)
    for group in range(GROUPS):
        bad = [row_of(100 + i) for i, (v, g) in enumerate(rows) if g == group and math.isnan(v)]
        assert state.rows_of("undefined", group).first == bad[:FIRST]


@given(shown_rows, st.permutations(range(GROUPS)))
def test_groups_are_merged_where_they_are_sent(rows: Shown, places: list[int]) -> None:
    """A tally that numbers its groups otherwise, merged into one that is large enough."""
    grown = Tally(1, products=True, buckets=True)
    grown.grow(GROUPS)
    grown.merge(tally(rows), np.array(places, dtype=np.intp))
    assert fields(grown) == fields(tally([(value, places[group]) for value, group in rows]))


def test_groups_may_be_united() -> None:
    """Slices are unions of groups: their counts, ranges and sums add up."""
    rows = [(1.0, 0), (-2.0, 1), (math.nan, 1), (8.0, 2), (math.nan, 0)]
    united = Tally(1, products=True, buckets=True)
    united.merge(tally(rows), np.zeros(GROUPS, dtype=np.intp))
    alone = Tally(1, products=True, buckets=True)
    add(alone, [(value, 0) for value, _ in rows], 0)
    assert united.rows_of("undefined", 0) == Rows(2, [row_of(2), row_of(4)])
    assert united.moments.summary() == alone.moments.summary()
    assert (united.low.tolist(), united.high.tolist()) == ([-2.0], [8.0])
    assert united.buckets is not None
    assert alone.buckets is not None
    assert united.buckets.bins() == alone.buckets.bins()


@pytest.mark.parametrize("products", [False, True])
def test_what_is_not_asked_for_is_not_kept(products: bool) -> None:
    """Second moments and buckets cost time and are optional."""
    state = Tally(2, products=products)
    assert state.buckets is None
    assert len(state.moments.products) == 3 * products
