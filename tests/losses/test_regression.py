"""Regression losses: numbers worked out by hand, and where libraries differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossctl.losses import find
from lossctl.report import Report


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", 14.0 / 3.0), ("rmse", math.sqrt(14.0 / 3.0)), ("mae", 2.0), ("mbe", 4.0 / 3.0)],
)
def test_three_errors_of_minus_one_two_and_three(
    name: str,
    expected: float,
    write_csv: Callable[..., Path],
    measure: Callable[..., Report],
    tmp_path: Path,
) -> None:
    """The simplest file there is: predictions 0, targets -1, 2 and 3."""
    columns = {"prediction": np.zeros(3), "target": np.array([-1.0, 2.0, 3.0])}
    assert measure(name, write_csv(tmp_path / "rows.csv", columns)).results[0].value == expected


def test_bias_is_positive_where_the_model_predicts_too_little() -> None:
    """The sign is that of target minus prediction; half of the field has it the other way."""
    assert find("mbe")([1.0, 5.0], [3.0, 4.0]).tolist() == [2.0, -1.0]


def test_huber_is_quadratic_up_to_delta_and_linear_beyond() -> None:
    """An error of 5 costs 8 at delta 2; at delta itself both branches agree."""
    huber = find("huber")
    assert huber([0.0] * 4, [5.0, -5.0, 2.0, 1.0], delta=2.0).tolist() == [8.0, 8.0, 2.0, 0.5]


def test_huber_of_a_huge_error_is_finite() -> None:
    """Only the linear branch may see an error whose square overflows."""
    assert find("huber")([0.0], [1e300], delta=2.0).tolist() == [2.0 * (1e300 - 1.0)]


def test_the_root_is_taken_once(
    write_csv: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """The value is the root of the mean, not the mean of roots, and the sum that of squares."""
    columns = {"prediction": np.zeros(2), "target": np.array([3.0, 4.0])}
    result = measure("rmse", write_csv(tmp_path / "rows.csv", columns)).results[0]
    assert (result.value, result.sum) == (math.sqrt(12.5), 25.0)


def test_a_perfect_model_has_a_root_without_slope(
    write_csv: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """The root of 0 is 0, and the delta method gives no standard error there."""
    columns = {"prediction": np.ones(3), "target": np.ones(3)}
    result = measure("rmse", write_csv(tmp_path / "rows.csv", columns)).results[0]
    assert (result.value, result.std_error, result.ci) == (0.0, None, None)
