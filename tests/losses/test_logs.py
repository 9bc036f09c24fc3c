"""Logarithms and exponentials: correct to the last digits, against forty-digit decimals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt
import pytest

from lossctl.losses._logs import (
    log_clipped,
    log_complement,
    log_sum_exp,
    sigmoid,
    softmax,
    softplus,
    times_log,
)

Array = npt.NDArray[np.float64]

PROBABILITIES = np.concatenate(
    [
        10.0 ** -np.arange(1.0, 18.0),
        1.0 - 2.0 ** -np.arange(1.0, 53.0),
        np.random.default_rng(1).uniform(size=200),
        [5e-324, 0.5, np.nextafter(0.5, 0.0), np.nextafter(0.5, 1.0)],
    ]
)
SCORES = np.concatenate(
    [np.linspace(-40.0, 40.0, 161), [-700.0, 700.0, 1e-300, -1e-300, 1e-9, -1e-9, 0.0]]
)


@pytest.fixture(autouse=True)
def _forty_digits() -> Iterator[None]:
    with localcontext() as context:
        context.prec = 400  # 1 + exp(-700) needs more than the digits that are compared
        yield


@pytest.mark.parametrize(
    ("function", "exact", "points"),
    [
        (lambda p: log_complement(p, 0.0), lambda p: (1 - p).ln(), PROBABILITIES),
        (softplus, lambda x: (1 + x.exp()).ln(), SCORES),
        (sigmoid, lambda x: 1 / (1 + (-x).exp()), SCORES),
        (
            lambda x: log_sum_exp(np.stack([x, np.zeros_like(x)], axis=1)),
            lambda x: (1 + x.exp()).ln(),
            SCORES,
        ),
        (
            lambda x: softmax(np.stack([x, np.zeros_like(x)], axis=1))[:, 0],
            lambda x: 1 / (1 + (-x).exp()),
            SCORES,
        ),
    ],
    ids=["log_complement", "softplus", "sigmoid", "log_sum_exp", "softmax"],
)
def test_a_function_is_correct_to_three_units_in_the_last_place(
    function: Callable[[Array], Array], exact: Callable[[Decimal], Decimal], points: Array
) -> None:
    """Also where the textbook formula loses its digits or overflows."""
    expected = np.array([float(exact(Decimal(point))) for point in points.tolist()])
    assert (np.abs(function(points) - expected) <= 3.0 * np.spacing(np.abs(expected))).all()


def test_functions_take_scores_of_any_size() -> None:
    """Nothing overflows at the ends of the range of doubles."""
    ends = np.array([-1e308, 1e308])
    assert softplus(ends).tolist() == [0.0, 1e308]
    assert sigmoid(ends).tolist() == [0.0, 1.0]
    with np.errstate(over="ignore"):
        far_apart = log_sum_exp(np.array([[1e308, -1e308], [0.0, -1e308]]))
    assert far_apart.tolist() == [1e308, 0.0]


def test_a_clip_takes_over_below_it_and_not_at_it() -> None:
    """The logarithm of eps itself is the last one that is not clipped."""
    eps = 0.25
    assert log_clipped(np.array([0.1, 0.25, 0.5]), eps).tolist() == [
        math.log(0.25),
        math.log(0.25),
        math.log(0.5),
    ]
    assert log_complement(np.array([0.9, 0.75, 0.5]), eps).tolist() == [
        math.log(0.25),
        math.log(0.25),
        math.log(0.5),
    ]


def test_nothing_times_an_infinite_logarithm_is_nothing() -> None:
    """The limit of x log x at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        assert times_log(np.array([0.0, 1.0]), np.log(np.zeros(2))).tolist() == [0.0, -math.inf]
