"""Effects: the difference of two models' values and its standard error, from exact sums."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.losses import Spec
from lossctl.record import record
from lossctl.stats.bootstrap import replicate_means
from lossctl.stats.moments import Matrix, Summary
from lossctl.stats.units import UnitSums

Array = npt.NDArray[np.float64]

Exact = Fraction | float
ZERO = Fraction(0)


@record
class Estimate:
    """The means of the stacked components over one slice, and how far they are known."""

    rows: int
    weight: Fraction
    means: tuple[Fraction, ...]
    covariance: Matrix | None
    df: int
    """Degrees of freedom of the standard errors."""
    lacking: str = ""
    """Why there is no covariance."""
    units: UnitSums | None = None
    """What a bootstrap draws; None where none was asked for."""
    clusters: int | None = None
    """Number of the clusters that the covariance is between; None where it is between rows."""


@record
class Value:
    """One model's value: exact, or undefined for a reason."""

    exact: Exact | None
    reason: str | None = None

    @property
    def rounded(self) -> float | None:
        """Give the value as it is reported."""
        return None if self.exact is None else float(self.exact)


def estimate_of(summary: Summary) -> Estimate:
    """Take every row as one independent observation."""
    means = summary.means or ()
    lacking = "fewer than 2 rows" if summary.rows < 2 else "no weight"
    return Estimate(
        summary.rows, summary.weight, means, summary.covariance, summary.rows - 1, lacking
    )


def clustered(estimate: Estimate, units: UnitSums) -> Estimate:
    """Take every cluster as one independent observation."""
    count = len(units.ids)
    lacking = "fewer than 2 clusters" if count < 2 else "no weight"
    return replace(
        estimate,
        covariance=units.covariance(),
        df=count - 1,
        lacking=lacking,
        units=units,
        clusters=count,
    )


def replicates(spec: Spec, units: UnitSums, models: int, resamples: int, seed: int) -> Array:
    """Give the value of each model in each replicate, NaN where undefined."""
    size, value = spec.loss.finish.components, spec.loss.finish.value
    found = np.full((models, resamples), np.nan)
    for number, means in enumerate(replicate_means(units, resamples, seed).tolist()):
        if math.isnan(means[0]):
            continue
        for model in range(models):
            finished = value(means[model * size : (model + 1) * size])
            found[model, number] = np.nan if finished is None else float(finished)
    return found


def influence(spec: Spec, estimate: Estimate, factors: Mapping[int, int]) -> Array:
    """Give the influence of each unit on a sum of models' values, by the slopes of the finishes."""
    if estimate.units is None:
        return np.zeros(0)
    sums, weights = estimate.units.rounded()
    size = spec.loss.finish.components
    total = np.zeros(len(weights))
    for model, factor in factors.items():
        means = _part(spec, estimate, model)
        for i, slope in enumerate(spec.loss.finish.slope(means) or ()):
            total += factor * slope * (sums[model * size + i] - float(means[i]) * weights)
    return total


def value_of(spec: Spec, estimate: Estimate, model: int) -> Value:
    """Finish the means of one model."""
    means = _part(spec, estimate, model)
    if not means:
        return Value(None, "no rows")
    exact = spec.loss.finish.value(means)
    if exact is None:
        return Value(None, spec.loss.finish.undefined)
    try:
        finite = math.isfinite(float(exact))
    except OverflowError:
        finite = False
    return Value(exact) if finite else Value(None, "beyond the largest double")


def change(first: Exact, second: Exact) -> Exact:
    """Give ``second - first``, exact where both are."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return second - first
    return float(second) - float(first)


def standard_error(
    spec: Spec, estimate: Estimate, factors: Mapping[int, int] | Mapping[int, Fraction]
) -> float | None:
    """Carry the covariance of the means through the finishes of several models.

    ``factors`` are those of the models in a sum of their values, as in ``{0: -1, 1: 1}`` for a
    difference. None where the covariance or a slope is undefined.
    """
    if estimate.covariance is None:
        return None
    if sum(factors.values()) == 0 and _alike(spec, estimate, list(factors)):
        return 0.0
    slope: dict[int, Fraction] = {}
    size = spec.loss.finish.components
    for model, factor in factors.items():
        parts = spec.loss.finish.slope(_part(spec, estimate, model))
        if parts is None:
            return None
        slope |= {model * size + i: factor * Fraction(part) for i, part in enumerate(parts)}
    variance = sum(
        (a * b * estimate.covariance[i][j] for i, a in slope.items() for j, b in slope.items()),
        ZERO,
    )
    try:
        # Rounding of the slopes can push an exact 0 below it.
        return math.sqrt(max(float(variance), 0.0))
    except OverflowError:
        return None


def _part(spec: Spec, estimate: Estimate, model: int) -> tuple[Fraction, ...]:
    size = spec.loss.finish.components
    return estimate.means[model * size : (model + 1) * size]


def _alike(spec: Spec, estimate: Estimate, models: Sequence[int]) -> bool:
    """Tell whether models show the same of every row: their means agree and so do all products."""
    size, covariance = spec.loss.finish.components, estimate.covariance
    if covariance is None or len({_part(spec, estimate, model) for model in models}) > 1:
        return False
    blocks = {
        tuple(covariance[a * size + i][b * size + j] for i in range(size) for j in range(size))
        for a in models
        for b in models
    }
    return len(blocks) == 1
