"""Segments: rows of each group side by side, and nothing lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.stats.segments import Segments

code_lists = st.lists(st.integers(0, 5), max_size=40)


def spelled(segments: Segments) -> list[int]:
    """Give the group of every row."""
    return np.repeat(segments.groups, segments.counts).tolist()


@given(code_lists)
def test_arranged_rows_lie_together_and_in_order(codes: list[int]) -> None:
    """The order is the stable one by group, and the segments spell it."""
    segments, order = Segments.arrange(np.array(codes, dtype=np.intp))
    assert order.tolist() == sorted(range(len(codes)), key=lambda row: codes[row])
    assert spelled(segments) == sorted(codes)
    assert segments.starts.tolist() == [sorted(codes).index(code) for code in sorted(set(codes))]
    assert all(segments.group_of(row) == code for row, code in enumerate(sorted(codes)))


@given(code_lists, st.data())
def test_some_of_the_rows_keep_their_groups(codes: list[int], data: st.DataObject) -> None:
    """Groups that lose all of their rows are gone."""
    segments, _ = Segments.arrange(np.array(codes, dtype=np.intp))
    rows = data.draw(st.sets(st.integers(0, max(len(codes) - 1, 0))) if codes else st.just(set()))
    taken = segments.take(np.array(sorted(rows), dtype=np.intp))
    assert spelled(taken) == [sorted(codes)[row] for row in sorted(rows)]
    assert (taken.counts > 0).all()
    assert len(set(taken.groups.tolist())) == len(taken.groups)


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_without_groups_all_rows_are_in_group_zero(rows: int) -> None:
    """One run, or none where there is no row."""
    assert spelled(Segments.single(rows)) == [0] * rows


def test_codes_of_many_groups_are_arranged_too() -> None:
    """Beyond what 16 bits hold the sort takes another road."""
    codes = np.array([70_000, 3, 70_000, 65_535, 3], dtype=np.intp)
    segments, order = Segments.arrange(codes)
    assert order.tolist() == [1, 4, 3, 0, 2]
    assert (segments.groups.tolist(), segments.counts.tolist()) == ([3, 65_535, 70_000], [2, 1, 2])
