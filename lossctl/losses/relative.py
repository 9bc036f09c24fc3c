"""Losses of predictions that are judged by their ratio to the truth, not by their distance."""

from __future__ import annotations

import numpy as np

from lossctl.losses._declare import curvature, gradient, loss
from lossctl.losses._domains import AboveMinusOne, Array, NonZero, Real
from lossctl.losses._finish import ROOT

SAMPLE = "sample_data/diabetes_predictions.csv sample_data/diabetes_targets.csv"
TOFALLIS = "Tofallis 2015, doi:10.1057/jors.2014.103"


def log_ratio(prediction: Array, target: Array) -> Array:
    """Give ``log((1 + p) / (1 + t))``, which keeps its digits where the two are close."""
    gap = prediction - target
    return np.sign(gap) * np.log1p(np.abs(gap) / (1.0 + np.minimum(prediction, target)))


@loss(
    formula="mean(|t - p| / |t|), t != 0",
    reference="Hyndman and Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001",
    sample=SAMPLE,
    aliases=("mean_absolute_percentage_error", "MeanAbsolutePercentageError", "MAPE"),
    equivalents={
        "scikit-learn": "metrics.mean_absolute_percentage_error (divides by 2.2e-16 at least)",
        "Keras": "losses.MeanAbsolutePercentageError (in percent; divides by 1e-7 at least)",
    },
)
def mape(prediction: Real, target: NonZero) -> Array:
    """Mean absolute percentage error, as a fraction: 0.1 is 10 %.

    A target of 0 has no percentage, so such a row is refused and named; other libraries divide it
    by some tiny number. ``--where 'target != 0'`` leaves it out.
    """
    # |t - p| / |t|
    return np.abs(target - prediction) / np.abs(target)


@gradient(mape)
def _(prediction: Array, target: Array) -> Array:
    return np.sign(prediction - target) / np.abs(target)


@curvature(mape)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.zeros_like(prediction)


@loss(
    formula="mean((log(1 + t) - log(1 + p))^2), t > -1 and p > -1",
    reference=TOFALLIS,
    sample=SAMPLE,
    aliases=(
        "mean_squared_log_error",
        "mean_squared_logarithmic_error",
        "MeanSquaredLogarithmicError",
        "MSLE",
    ),
    equivalents={
        "scikit-learn": "metrics.mean_squared_log_error",
        "Keras": "losses.MeanSquaredLogarithmicError (raises both to 1e-7 at least)",
    },
    symmetric=True,
)
def msle(prediction: AboveMinusOne, target: AboveMinusOne) -> Array:
    """Mean squared logarithmic error of numbers above -1.

    XGBoost's objective is half of it.
    """
    # log((1 + p) / (1 + t))^2
    error = log_ratio(prediction, target)
    error *= error
    return error


@gradient(msle)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * log_ratio(prediction, target) / (1.0 + prediction)


@curvature(msle)
def _(prediction: Array, target: Array) -> Array:
    # Negative where the prediction is more than e times too large.
    return 2.0 * (1.0 - log_ratio(prediction, target)) / (1.0 + prediction) ** 2


@loss(
    formula="sqrt(mean((log(1 + t) - log(1 + p))^2)), t > -1 and p > -1",
    reference=TOFALLIS,
    sample=SAMPLE,
    aliases=("root_mean_squared_log_error", "RMSLE"),
    equivalents={"scikit-learn": "metrics.root_mean_squared_log_error", "XGBoost": "rmsle"},
    symmetric=True,
    finish=ROOT,
)
def rmsle(prediction: AboveMinusOne, target: AboveMinusOne) -> Array:
    """Root mean squared logarithmic error: the root of the mean over all rows, taken once.

    A row shows its squared error.
    """
    # log((1 + p) / (1 + t))^2
    error = log_ratio(prediction, target)
    error *= error
    return error


@gradient(rmsle)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * log_ratio(prediction, target) / (1.0 + prediction)


@curvature(rmsle)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * (1.0 - log_ratio(prediction, target)) / (1.0 + prediction) ** 2
