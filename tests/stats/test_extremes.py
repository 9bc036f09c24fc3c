"""Extremes: the same rows for any cut of the input and any order of merging."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.stats.extremes import Extreme, Extremes, Order
from lossctl.stats.segments import Segments

GROUPS = 3
ORDERS = get_args(Order)
PIECES = (("a.csv", 0), ("a.csv", 900), ("b.csv", 0))

# Few distinct values, so that most of them are tied.
value = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, -7.0, math.inf, -math.inf, math.nan])
rows_of_pieces = st.tuples(
    *[st.lists(st.tuples(value, st.integers(0, GROUPS - 1)), max_size=12)] * len(PIECES)
)
most = st.integers(1, 5)
order = st.sampled_from(ORDERS)
Rows = Sequence[tuple[float, int]]


def extremes(
    most: int, order: Order, pieces: Sequence[Rows], chunk: int = 100, shift: int = 0
) -> Extremes:
    """Add the rows of pieces in chunks; each row carries its value as text."""
    state = Extremes(most, order, GROUPS)
    for number, rows in enumerate(pieces):
        for first in range(0, len(rows), chunk):
            part = rows[first : first + chunk]
            segments, places = Segments.arrange(np.array([g for _, g in part], dtype=np.intp))
            values = np.array([value for value, _ in part])[places]

            def numbers(
                indices: npt.NDArray[np.intp],
                places: npt.NDArray[np.intp] = places,
                first: int = first,
            ) -> npt.NDArray[np.intp]:
                return first + places[indices]

            def carried(
                indices: npt.NDArray[np.intp], values: npt.NDArray[np.float64] = values
            ) -> list[tuple[Any, ...]]:
                return [(str(value),) for value in values[indices]]

            state.add(values, segments, PIECES[number + shift], numbers, carried)
    return state


def expected(most: int, order: Order, pieces: Sequence[Rows]) -> list[list[Extreme]]:
    """Sort all rows in plain Python."""
    ranks = {
        "largest": lambda v: -v,
        "smallest": lambda v: v,
        "largest_absolute": lambda v: -abs(v),
    }
    everything = [
        (ranks[order](value), (*PIECES[piece], row), value, group)
        for piece, rows in enumerate(pieces)
        for row, (value, group) in enumerate(rows)
        if not math.isnan(value)
    ]
    ranked = sorted(everything, key=lambda entry: entry[:2])
    return [
        [Extreme(v, row, (str(v),)) for _, row, v, group in ranked if group == wanted][:most]
        for wanted in range(GROUPS)
    ]


@given(rows_of_pieces, most, order, st.integers(1, 13))
def test_the_most_extreme_rows_of_each_group_are_kept(
    pieces: Sequence[Rows], most: int, order: Order, chunk: int
) -> None:
    """Whatever the size of chunks; of equal values the earliest rows."""
    assert extremes(most, order, pieces, chunk).kept == expected(most, order, pieces)


@given(rows_of_pieces, most, order)
def test_extremes_are_a_commutative_monoid(pieces: Sequence[Rows], most: int, order: Order) -> None:
    """States of pieces merge in any order to the state of all; a fresh one changes nothing."""
    parts = [extremes(most, order, [rows], shift=i) for i, rows in enumerate(pieces)]
    zero = Extremes(most, order, GROUPS)

    def merged(*states: Extremes) -> list[list[Extreme]]:
        first, *others = (pickle.loads(pickle.dumps(state)) for state in states)  # noqa: S301
        for other in others:
            first.merge(other)
        kept: list[list[Extreme]] = first.kept
        return kept

    a, b, c = parts
    pair = pickle.loads(pickle.dumps(c))  # noqa: S301 - our own bytes
    pair.merge(a)
    assert merged(a, b, c) == merged(c, a, b) == merged(b, pair) == expected(most, order, pieces)
    assert merged(zero, a, zero) == a.kept
    assert merged(zero, zero) == [[]] * GROUPS


@given(rows_of_pieces, most, order)
def test_groups_are_united_and_grown(pieces: Sequence[Rows], most: int, order: Order) -> None:
    """All groups merged into one hold what one group holds of all rows, in a state that grew."""
    one = Extremes(most, order, 1)
    one.grow(2)
    one.merge(extremes(most, order, pieces), np.array([1, 1, 1], dtype=np.intp))
    together = [[(value, 0) for value, _ in rows] for rows in pieces]
    assert one.kept == [[], expected(most, order, together)[0]]


@pytest.mark.parametrize("order", ORDERS)
def test_rows_may_come_in_any_order_within_a_piece(order: Order) -> None:
    """Rows paired by key do; equal values are still told apart by their number."""
    values = np.random.default_rng(3).integers(-2, 3, 5000).astype(np.float64)
    numbers = np.random.default_rng(4).permutation(5000)
    state = Extremes(7, order)
    for cut in np.split(np.arange(5000), [1, 40, 3000]):
        state.add(values[cut], Segments.single(len(cut)), ("x", 0), lambda i, c=cut: numbers[c[i]])
    assert (
        state.kept[0]
        == sorted(
            (
                Extreme(v, ("x", 0, n))
                for v, n in zip(values.tolist(), numbers.tolist(), strict=True)
            ),
            key=lambda it: (
                {"largest": -it.value, "smallest": it.value}.get(order, -abs(it.value)),
                it.row,
            ),
        )[:7]
    )
