"""Finishes: exact means to one value, and the slopes that carry their spread."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lossctl.losses._finish import MEAN, RATIO, ROOT, SUM_OF_RATIOS, Finish

FINISHES = {"mean": MEAN, "root": ROOT, "ratio": RATIO, "sum of ratios": SUM_OF_RATIOS}
MEANS = [Fraction(7, 3), Fraction(2, 5), Fraction(11, 7), Fraction(3, 5)]

every_finish = pytest.mark.parametrize("finish", FINISHES.values(), ids=FINISHES)


@every_finish
def test_a_slope_is_the_derivative_of_the_value(finish: Finish) -> None:
    """Central differences of the exact value agree with the declared slope."""
    means = MEANS[: finish.components]
    slope = finish.slope(means)
    assert slope is not None
    step = Fraction(1, 10**5)
    for position, declared in enumerate(slope):
        up, down = (
            finish.value([m + sign * step * (i == position) for i, m in enumerate(means)])
            for sign in (1, -1)
        )
        assert up is not None
        assert down is not None
        assert float((up - down) / (2 * step)) == pytest.approx(declared, rel=1e-8)


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        (MEAN, Fraction(7, 3)),
        (ROOT, float(Fraction(7, 3)) ** 0.5),
        (RATIO, Fraction(35, 6)),
        (SUM_OF_RATIOS, Fraction(35, 6) + Fraction(55, 21)),
    ],
)
def test_the_value_of_exact_means(finish: Finish, expected: Fraction | float) -> None:
    """Nothing is rounded before the end."""
    assert finish.value(MEANS[: finish.components]) == expected


@pytest.mark.parametrize("finish", [RATIO, SUM_OF_RATIOS])
def test_a_population_of_no_rows_has_no_value(finish: Finish) -> None:
    """Neither value nor slope, and a reason."""
    means = [*MEANS[: finish.components - 1], Fraction(0)]
    assert finish.value(means) is None
    assert finish.slope(means) is None
    assert finish.undefined


def test_the_root_of_nothing_has_no_slope() -> None:
    """The value is 0 all the same."""
    assert ROOT.value([Fraction(0)]) == 0.0
    assert ROOT.slope([Fraction(0)]) is None


def test_a_row_shows_its_own_loss() -> None:
    """Of two populations each row belongs to one, and shows the loss it has there."""
    components = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 5.0], [0.0, 1.0]])
    assert SUM_OF_RATIOS.row(components).tolist() == [3.0, 5.0]
    assert RATIO.row(components[:2]).tolist() == [3.0, 0.0]
    assert MEAN.row(components[0]).tolist() == [3.0, 0.0]
