"""Fingerprints: the same for the same rows in any order and cut, another one for any other rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lossctl.stats.fingerprint import Fingerprint, bits, of_lists

rows = st.lists(st.tuples(st.floats(), st.floats(allow_nan=False)), max_size=20)


def fingerprint_of(table: list[tuple[float, float]]) -> Fingerprint:
    """Take the fingerprint of rows of two numbers."""
    found = Fingerprint()
    columns = np.array(table, dtype=np.float64).reshape(-1, 2).T
    found.add(len(table), [bits(column) for column in columns])
    return found


@given(rows, st.randoms(), st.integers(0, 20))
def test_neither_order_nor_cut_changes_it(
    table: list[tuple[float, float]], dice: object, cut: int
) -> None:
    """Merging is associative and commutative, and no rows are the identity."""
    del dice
    whole = str(fingerprint_of(table))
    for order in (table[::-1], sorted(table, key=repr)):
        parts = [fingerprint_of(part) for part in (order[cut:], [], order[:cut])]
        for part in parts[1:]:
            parts[0].merge(part)
        assert str(parts[0]) == whole


@given(rows.filter(len), st.data())
def test_any_other_row_changes_it(table: list[tuple[float, float]], data: st.DataObject) -> None:
    """A row more or less, twice the same, another value, or values that have changed places."""
    whole = str(fingerprint_of(table))
    row = data.draw(st.integers(0, len(table) - 1))
    first, second = table[row]
    other = 2.0 if second == 1.0 else 1.0
    changes = [[], [table[row]] * 2, [(first, other)]]
    if repr(first + 0.0) != repr(second + 0.0):
        changes.append([(second, first)])
    for changed in changes:
        assert str(fingerprint_of([*table[:row], *changed, *table[row + 1 :]])) != whole


def test_zeros_are_alike_and_so_are_all_nans() -> None:
    """The sign of a zero and the bits of a NaN are accidents."""
    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert bits(np.array([-0.0])) == bits(np.array([0.0]))
    assert bits(odd) == bits(np.array([np.nan]))


@given(st.lists(st.lists(st.floats(0, 9), max_size=4), max_size=8))
def test_lists_are_told_apart_by_values_order_and_length(table: list[list[float]]) -> None:
    """Rows of any length, empty ones too."""
    offsets = np.cumsum([0, *map(len, table)], dtype=np.int64)
    flat = np.array([value for row in table for value in row])
    hashed = of_lists(flat, offsets).tolist()
    distinct = {tuple(value + 0.0 for value in row) for row in table}
    assert len(set(hashed)) == len(distinct)
