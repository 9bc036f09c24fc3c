"""The contract can be broken: each planted fault is found by the check that is meant for it."""

from __future__ import annotations

import re
from typing import Annotated, Any

import numpy as np
import pytest

from lossctl import contract
from lossctl.losses import (
    Array,
    Box,
    Interval,
    Loss,
    Probability,
    Real,
    SoftMask,
    Vector,
    curvature,
    gradient,
    loss,
)

CALLS = iter(range(1_000_000))


@loss
def pinball(
    prediction: Real,
    target: Real,
    *,
    q: Annotated[float, Interval(0, 1, open_low=True, open_high=True)] = 0.75,
) -> Array:
    """Pinball loss."""
    return np.maximum(q * (target - prediction), (q - 1.0) * (target - prediction))


@gradient(pinball)
def _(prediction: Array, target: Array, *, q: float) -> Array:
    return np.where(prediction < target, -q, 1.0 - q)


@loss
def centred(prediction: Real, target: Real) -> Array:
    return (prediction - prediction.mean() - target) ** 2


@loss
def summed(prediction: Vector, target: Vector) -> Array:
    return np.asarray(prediction @ np.ones(prediction.shape[1]) - target[:, 0])


@loss
def greedy(prediction: Real, target: Real) -> Array:
    prediction -= target
    return prediction


@loss
def moody(prediction: Real, target: Real) -> Array:
    return prediction - target + next(CALLS)


@loss
def narrow(prediction: Real, target: Real) -> Array:
    return (prediction - 2.0 * target).astype(np.float32)  # type: ignore[return-value]


@loss
def short(prediction: Real, target: Real) -> Array:
    return (prediction - 2.0 * target)[1:]


@loss
def undefined(prediction: Real, target: Real) -> Array:
    return np.log(prediction) - target


@loss
def infinite(prediction: Probability, target: Real) -> Array:
    return target - np.log(prediction)


@loss(symmetric=True)
def lopsided(prediction: Real, target: Real) -> Array:
    return prediction - 2.0 * target


@loss
def balanced(prediction: Real, target: Real) -> Array:
    return np.abs(prediction - target)


@loss(symmetric=True)
def unlike(prediction: Real, target: Probability) -> Array:
    return prediction - target


@loss
def steep(prediction: Real, target: Real) -> Array:
    return (prediction - target) ** 2 + target


@gradient(steep)
def _(prediction: Array, target: Array) -> Array:
    return 3.0 * (prediction - target)


@loss
def shapeless(prediction: Real, target: Real) -> Array:
    return (prediction - target) ** 2 + target


@gradient(shapeless)
def _(prediction: Array, target: Array) -> Array:
    return np.stack([prediction, target])


@loss
def restless(prediction: Real, target: Real) -> Array:
    return (prediction - target) ** 2 + target


@gradient(restless)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * (prediction - target) * len(prediction)


@loss
def unready(prediction: Real, target: Real) -> Array:
    return prediction - 2.0 * target if len(prediction) else np.zeros(1)


@loss
def failing(prediction: Real, target: Real, *, depth: int = 2) -> Array:
    return prediction - {2: 2.0}[depth] * target


@loss
def bent(prediction: Real, target: Real) -> Array:
    return (prediction - target) ** 4 + target


@gradient(bent)
def _(prediction: Array, target: Array) -> Array:
    return 4.0 * (prediction - target) ** 3


@curvature(bent)
def _(prediction: Array, target: Array) -> Array:
    return 11.0 * (prediction - target) ** 2


class Careless(Loss):
    """A loss that checks nothing when it is called."""

    def __call__(self, *columns: Any, **named: Any) -> Array:
        del named
        return columns[0] if columns else np.zeros(0)


careless = Careless(**vars(pinball))

FAULTS = [
    (centred, {"rows_stand_alone"}, "differs in chunks of 1, as at pred"),
    (summed, {"rows_stand_alone"}, "depends on the rows around it"),
    (greedy, {"is_pure"}, "writes to its input 'prediction'"),
    (moody, {"is_pure", "a_call_gives_the_rows", "rows_stand_alone"}, "when it is called again"),
    (narrow, {"gives_numbers"}, "gives float32, not float64"),
    (short, {"gives_numbers", "rows_stand_alone"}, r"gives the shape \(47,\), not \(48,\)"),
    (undefined, {"gives_numbers", "is_finite"}, "gives NaN on values of its domain"),
    (infinite, {"is_finite"}, "is not finite at prediction=0, target="),
    (lopsided, {"is_symmetric_as_declared"}, "is declared symmetric, but is not"),
    (balanced, {"is_symmetric_as_declared"}, "is symmetric, but not declared so"),
    (unlike, {"is_symmetric_as_declared"}, "its first roles differ"),
    (steep, {"gradient_is_the_slope"}, "where the slope is"),
    (shapeless, {"gradient_is_the_slope", "derivatives_stand_alone"}, r"has the shape \(2, 48\)"),
    (
        restless,
        {"gradient_is_the_slope", "derivatives_stand_alone"},
        "of a row depends on the rows",
    ),
    (failing, {"gives_numbers"}, r"failing:depth=.* fails \(KeyError: .*\)"),
    (bent, {"curvature_is_the_slope_of_the_gradient"}, "the curvature is .* where the slope is"),
    (unready, {"takes_an_empty_chunk"}, "gives rows for a chunk without any"),
    (
        careless,
        {
            "refuses_values_outside_its_domain",
            "refuses_holes",
            "refuses_parameters_outside_their_range",
        },
        "takes prediction=inf",
    ),
]


def broken(subject: Loss) -> dict[str, str]:
    """Give the names of the checks that find a fault, and the faults."""
    verdicts = zip(contract.CHECKS, contract.check(subject), strict=True)
    return {check.__name__: verdict.fault for check, verdict in verdicts if verdict.fault}


@pytest.mark.parametrize(
    ("subject", "checks", "text"), FAULTS, ids=[fault[0].name for fault in FAULTS[:-1]] + ["call"]
)
def test_a_planted_fault_is_found(subject: Loss, checks: set[str], text: str) -> None:
    """By the check that is meant for it, in words that say what to mend."""
    found = broken(subject)
    assert checks <= found.keys()
    faults = " | ".join(found.values())
    assert re.search(text, faults), faults


def test_every_check_is_shown_to_fail() -> None:
    """No check without a fault that it finds."""
    assert {name for _, checks, _ in FAULTS for name in checks} == {
        check.__name__ for check in contract.CHECKS
    }


def test_a_sound_loss_keeps_the_contract() -> None:
    """Parameters with open ends, a gradient with a kink; nothing is found."""
    assert broken(pinball) == {}
    names = [verdict.check for verdict in contract.check(pinball)]
    assert len(set(names)) == len(contract.CHECKS)
    assert all(names)


def test_domains_of_every_shape_are_drawn() -> None:
    """Vectors, boxes and ragged rows, in the three sizes."""

    @loss
    def many(prediction: Box, mask: SoftMask, target: Vector) -> Array:
        sums = np.array([part.sum() for part in np.split(mask.values, mask.offsets[1:-1])])
        return prediction[:, 0] + target[:, 0] + (sums if len(mask.lengths) else 0.0)

    found = broken(many)
    assert found == {}, found
