"""Domains: what they take and refuse beyond what the contract shows of every one."""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.losses import Domain, Ragged, _domains
from lossctl.losses._domains import (
    Box,
    ClassTarget,
    HardMask,
    Interval,
    PositiveScores,
    Probabilities,
    Probability,
    Sign,
)


def domain_of(alias: Any) -> Domain:
    """Give the domain that an annotation of a role carries."""
    return next(extra for extra in typing.get_args(alias) if isinstance(extra, Domain))


def bad_rows(alias: Any, values: Any, **parameters: Any) -> list[int]:
    """Give the rows that the domain refuses, for K = 3."""
    with np.errstate(invalid="ignore"):  # as the evaluation does
        marks = domain_of(alias).violations(values, parameters, {"K": 3})
    return [] if marks is None else np.flatnonzero(marks).tolist()


@given(
    st.floats(allow_nan=True),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
    st.booleans(),
    st.booleans(),
)
def test_an_interval_judges_numbers_and_arrays_alike(
    value: float, low: float, high: float, open_low: bool, open_high: bool
) -> None:
    """NaN lies in no interval."""
    interval = Interval(low, high, open_low, open_high)
    assert interval.outside(np.array([value])).tolist() == [value not in interval]
    assert math.nan not in interval


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0, 1), "[0, 1]"),
        (Interval(0, 0.5, open_high=True), "[0, 0.5)"),
        (Interval(0, np.inf, open_low=True, open_high=True), "(0, inf)"),
        (Interval(), "(-inf, inf)"),
    ],
)
def test_an_interval_is_written_as_in_mathematics(interval: Interval, text: str) -> None:
    """Brackets for ends inside, parentheses for ends outside."""
    assert str(interval) == text


@pytest.mark.parametrize(
    ("alias", "good", "bad"),
    [
        (_domains.Real, [-1e308, 0.0, 7.5], [np.inf, np.nan]),
        (_domains.Score, [-1e308, 0.0, 7.5], [-np.inf, np.nan]),
        (_domains.Probability, [0.0, 0.5, 1.0], [-0.1, 1.1, 2.0]),
        (_domains.SoftBinary, [0.0, 0.5, 1.0], [-1.0, 1.1, 2.0]),
        (_domains.Binary, [0.0, 1.0], [-1.0, 0.5, 2.0]),
        (_domains.Sign, [-1.0, 0.0, 1.0], [-0.5, 0.5, 2.0]),
        (_domains.PlusMinus, [-1.0, 1.0], [0.0, 0.5, 2.0]),
        (_domains.ClassLabel, [0.0, 1.0, 2.0], [-1.0, 0.5, 3.0]),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else domain_of(value).name,
)
def test_a_domain_of_numbers_takes_these_and_refuses_those(
    alias: Any, good: list[float], bad: list[float]
) -> None:
    """Written out, since the counterexamples of a domain come from the domain itself."""
    assert bad_rows(alias, np.array([*good, *bad])) == list(range(len(good), len(good) + len(bad)))


def test_the_ends_of_a_range_belong_to_it() -> None:
    """A probability may be 0 or 1, and not the next double beyond."""
    values = np.array([0.0, 1.0, np.nextafter(1.0, 2.0), -5e-324, np.nan])
    assert bad_rows(Probability, values) == [2, 3, 4]


def test_probabilities_may_miss_one_by_the_tolerance() -> None:
    """Columns written with three decimals pass; a row of scores does not."""
    rows = [[0.333, 0.333, 0.333], [0.3, 0.3, 0.3], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5]]
    assert bad_rows(Probabilities, np.array(rows)) == [1, 2, 3]


def test_a_class_is_a_whole_number_below_their_count_or_a_row_of_weights() -> None:
    """Class 3 of three classes 0, 1 and 2 does not exist."""
    assert bad_rows(ClassTarget, np.array([0.0, 2.0, 3.0, -1.0, 0.5, np.nan])) == [2, 3, 4, 5]
    assert bad_rows(ClassTarget, np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])) == [1]


def test_signs_are_judged_over_the_whole_file() -> None:
    """Every label is fine in its row; -1 and 0 contradict each other wherever they stand."""
    domain = domain_of(Sign)
    assert bad_rows(Sign, np.array([-1.0, 0.0, 1.0, 2.0])) == [3]
    seen = domain.labels_seen(np.array([1.0, -1.0])) | domain.labels_seen(np.array([0.0]))
    assert domain.contradiction(seen)
    assert domain.contradiction(domain.labels_seen(np.array([1.0, -1.0]))) is None
    assert domain.contradiction(domain.labels_seen(np.array([1.0, 0.0]))) is None


@pytest.mark.parametrize("coding", ["xyxy", "xywh", "cxcywh"])
def test_a_box_may_be_a_point_but_not_turned_inside_out(coding: str) -> None:
    """Sides of 0 are allowed in every coding, negative ones in none."""
    corners = coding == "xyxy"
    rows = [
        [1.0, 1.0, 1.0, 1.0] if corners else [1.0, 1.0, 0.0, 0.0],
        [1.0, 1.0, 2.0, 0.0] if corners else [1.0, 1.0, 1.0, -1.0],
        [1.0, 1.0, 0.0, 2.0] if corners else [1.0, 1.0, -1.0, 1.0],
        [np.inf, 1.0, np.inf, 1.0],
    ]
    assert bad_rows(Box, np.array(rows), format=coding) == [1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "masks", "scores"),
    [
        ([[0.0, 1.0], [], [1.0]], [], [1]),
        ([[], [2.0], []], [1], [0, 2]),
        ([[1.0], [1.0, np.nan], []], [1], [1, 2]),
        ([], [], []),
    ],
)
def test_a_bad_value_is_found_in_its_row_among_rows_of_any_length(
    rows: Sequence[Sequence[float]], masks: list[int], scores: list[int]
) -> None:
    """Empty rows before and after move nothing; scores need at least one value a row."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    values = Ragged(np.array([v for row in rows for v in row], dtype=np.float64), offsets)
    assert bad_rows(HardMask, values) == masks
    assert bad_rows(PositiveScores, values) == scores
