"""Losses of real-valued predictions."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossctl.losses._declare import curvature, gradient, loss
from lossctl.losses._domains import Array, Interval, Real
from lossctl.losses._finish import ROOT

SAMPLE = "sample_data/diabetes_predictions.csv sample_data/diabetes_targets.csv"
Delta = Annotated[
    float, Interval(0, np.inf, open_low=True, open_high=True), "where the quadratic part ends"
]


@loss(
    formula="mean((t - p)^2)",
    reference="Gauss 1823, Theoria combinationis observationum erroribus minimis obnoxiae",
    sample=SAMPLE,
    aliases=("mean_squared_error", "mse_loss", "MSELoss", "MeanSquaredError", "MSE"),
    equivalents={
        "scikit-learn": "metrics.mean_squared_error",
        "PyTorch": "nn.MSELoss",
        "Keras": "losses.MeanSquaredError",
    },
    symmetric=True,
)
def mse(prediction: Real, target: Real) -> Array:
    """Mean squared error.

    The plain square: `half squared error` of some libraries is half of it.
    """
    # (t - p)^2
    error = target - prediction
    error *= error
    return error


@gradient(mse)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * (prediction - target)


@curvature(mse)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.full_like(prediction, 2.0)


@loss(
    formula="sqrt(mean((t - p)^2))",
    reference="Gauss 1823, Theoria combinationis observationum erroribus minimis obnoxiae",
    sample=SAMPLE,
    aliases=("root_mean_squared_error", "RootMeanSquaredError", "RMSE"),
    equivalents={
        "scikit-learn": "metrics.root_mean_squared_error",
        "Keras": "metrics.RootMeanSquaredError",
    },
    symmetric=True,
    finish=ROOT,
)
def rmse(prediction: Real, target: Real) -> Array:
    """Root mean squared error: the root of the mean over all rows, taken once.

    A row shows its squared error.
    """
    # (t - p)^2
    error = target - prediction
    error *= error
    return error


@gradient(rmse)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * (prediction - target)


@curvature(rmse)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.full_like(prediction, 2.0)


@loss(
    formula="mean(t - p)",
    reference="Willmott 1982, doi:10.1175/1520-0477(1982)063<1309:SCOTEO>2.0.CO;2",
    sample=SAMPLE,
    aliases=("mean_bias_error",),
    direction="zero_is_best",
)
def mbe(prediction: Real, target: Real) -> Array:
    """Mean bias error: positive where the model predicts too little.

    Several libraries use the opposite sign. Errors cancel, so 0 says nothing about their size.
    """
    # t - p
    return target - prediction


@gradient(mbe)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all gradients share a shape
    return np.full_like(prediction, -1.0)


@curvature(mbe)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.zeros_like(prediction)


@loss(
    formula="mean(|t - p|)",
    reference="Laplace 1774, Memoire sur la probabilite des causes par les evenements",
    sample=SAMPLE,
    aliases=("mean_absolute_error", "l1_loss", "L1Loss", "MeanAbsoluteError", "MAE"),
    equivalents={
        "scikit-learn": "metrics.mean_absolute_error",
        "PyTorch": "nn.L1Loss",
        "Keras": "losses.MeanAbsoluteError",
    },
    symmetric=True,
)
def mae(prediction: Real, target: Real) -> Array:
    """Mean absolute error."""
    # |t - p|
    return np.abs(target - prediction)


@gradient(mae)
def _(prediction: Array, target: Array) -> Array:
    return np.sign(prediction - target)


@curvature(mae)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.zeros_like(prediction)


@loss(
    formula="mean(e^2 / 2 if |e| <= delta else delta (|e| - delta / 2)), e = t - p",
    reference="Huber 1964, doi:10.1214/aoms/1177703732",
    sample=SAMPLE,
    aliases=("huber_loss", "HuberLoss", "Huber"),
    equivalents={"PyTorch": "nn.HuberLoss", "Keras": "losses.Huber"},
    symmetric=True,
)
def huber(prediction: Real, target: Real, *, delta: Delta = 1.0) -> Array:
    """Huber loss: quadratic near zero, linear in the tails.

    Smooth L1 is this divided by delta; LightGBM calls delta ``alpha`` and defaults to 0.9.
    """
    # e^2 / 2                  where |e| <= delta
    # delta (|e| - delta / 2)  elsewhere; both are q (|e| - q / 2) with q = min(|e|, delta)
    size = np.abs(target - prediction)
    quadratic = np.minimum(size, delta)
    return quadratic * (size - 0.5 * quadratic)


@gradient(huber)
def _(prediction: Array, target: Array, *, delta: float) -> Array:
    return np.clip(prediction - target, -delta, delta)


@curvature(huber)
def _(prediction: Array, target: Array, *, delta: float) -> Array:
    return (np.abs(prediction - target) <= delta).astype(np.float64)
