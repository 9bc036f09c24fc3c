"""Losses of class predictions: cross entropies and hinges, two classes and many."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from lossctl.losses._declare import CLIP, curvature, gradient, loss
from lossctl.losses._domains import (
    Array,
    ClassLabel,
    ClassTarget,
    Interval,
    Probabilities,
    Probability,
    Score,
    Scores,
    Sign,
    SoftBinary,
)
from lossctl.losses._logs import (
    log_clipped,
    log_complement,
    log_sum_exp,
    sigmoid,
    softmax,
    times_log,
)

Eps = Annotated[float, CLIP, "probabilities below it count as it; 0 allows infinite losses"]
EPS = 2.0**-52
Margin = Annotated[
    float, Interval(0, np.inf, open_low=True, open_high=True), "the lead that costs nothing"
]
GOOD = "Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x"
CORTES = "Cortes and Vapnik 1995, doi:10.1007/BF00994018"
BINARY = "sample_data/breast_cancer.csv"
DIGITS = "sample_data/digits.csv"
DIGIT_SCORES = "sample_data/digits_scores.csv"


def signs(target: Array) -> Array:
    """Map labels {0, 1} to {-1, +1}; labels of the latter kind stay."""
    return np.where(target == 0.0, -1.0, target)


def pick(values: Array, classes: Array) -> Array:
    """Give the value at each row's class number, shape ``(rows,)``."""
    return values[np.arange(len(values)), classes.astype(np.intp)]


def one_hot(target: Array, like: Array) -> Array:
    """Give class targets as weights of shape ``(rows, K)``."""
    if target.ndim == 2:
        return target
    return (np.arange(like.shape[1]) == target[:, None]).astype(np.float64)


def cross_entropies(p: Array, target: Array, eps: float) -> Array:
    """Give ``-(t log max(p, eps) + (1 - t) log max(1 - p, eps))`` with one logarithm a row.

    A hard label keeps only one of the two terms, the logarithm of ``|1 - t - p|``; the rows with
    soft labels are done again in full. The outcome is the same to the last bit.
    """
    other = 1.0 - target
    losses = other - p
    lost = other - losses
    lost -= p  # see log_complement
    np.abs(losses, out=losses)
    np.maximum(losses, eps, out=losses)
    np.log(losses, out=losses)
    losses += lost
    np.negative(losses, out=losses)
    other *= target
    soft = np.flatnonzero(other != 0.0)
    t, q = target[soft], p[soft]
    losses[soft] = -(times_log(t, log_clipped(q, eps)) + times_log(1.0 - t, log_complement(q, eps)))
    return losses


@loss(
    formula="-mean(t log max(p, eps) + (1 - t) log max(1 - p, eps))",
    reference=GOOD,
    sample=BINARY,
    aliases=(
        "log_loss",
        "logloss",
        "binary_crossentropy",
        "binary_cross_entropy",
        "BCELoss",
        "BinaryCrossentropy",
    ),
    equivalents={
        "scikit-learn": "metrics.log_loss (also moves p = 1 by eps where t = 1)",
        "PyTorch": "nn.BCELoss (clamps logarithms at -100 instead)",
        "Keras": "losses.BinaryCrossentropy (eps 1e-7)",
    },
)
def bce(prediction: Probability, target: SoftBinary, *, eps: Eps = EPS) -> Array:
    """Binary cross entropy of a probability; ``0 log 0 = 0``.

    Rows whose loss the clip ``eps`` changed are counted; ``eps=0`` gives honest infinities.
    With a soft target the least possible value is its entropy, not 0.
    """
    # -(t log p + (1 - t) log(1 - p))
    return cross_entropies(prediction, target, eps)


@gradient(bce)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    # A clipped logarithm no longer moves with p.
    rest = 1.0 - prediction
    positive = np.where((prediction < eps) | (target == 0.0), 0.0, target / prediction)
    negative = np.where((rest < eps) | (target == 1.0), 0.0, (1.0 - target) / rest)
    return negative - positive


@curvature(bce)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    rest = 1.0 - prediction
    positive = np.where((prediction < eps) | (target == 0.0), 0.0, target / prediction**2)
    negative = np.where((rest < eps) | (target == 1.0), 0.0, (1.0 - target) / rest**2)
    return positive + negative


@loss(
    formula="mean(softplus(z) - t z)",
    reference=GOOD,
    sample=BINARY,
    aliases=("binary_cross_entropy_with_logits", "BCEWithLogitsLoss"),
    equivalents={
        "PyTorch": "nn.BCEWithLogitsLoss",
        "Keras": "losses.BinaryCrossentropy(from_logits=True)",
    },
)
def bce_logits(prediction: Score, target: SoftBinary) -> Array:
    """Binary cross entropy of a logit, stable for any size of it."""
    # t softplus(-z) + (1 - t) softplus(z), which is softplus(z) - t z without its cancellation
    tail = np.log1p(np.exp(-np.abs(prediction)))
    return (
        target * np.maximum(-prediction, 0.0) + (1.0 - target) * np.maximum(prediction, 0.0) + tail
    )


@gradient(bce_logits)
def _(prediction: Array, target: Array) -> Array:
    return sigmoid(prediction) - target


@curvature(bce_logits)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return sigmoid(prediction) * sigmoid(-prediction)


@loss(
    formula="mean((p - t)^2)",
    reference="Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    sample=BINARY,
    aliases=("brier_score_loss", "brier_score"),
    equivalents={"scikit-learn": "metrics.brier_score_loss (of labels, not of soft targets)"},
)
def brier(prediction: Probability, target: SoftBinary) -> Array:
    """Brier score: squared error of a probability.

    That of two classes, from 0 to 1; Brier's own sum over both classes is twice as large.
    """
    # (p - t)^2
    error = prediction - target
    error *= error
    return error


@gradient(brier)
def _(prediction: Array, target: Array) -> Array:
    return 2.0 * (prediction - target)


@curvature(brier)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.full_like(prediction, 2.0)


@loss(
    formula="-mean(sum_k t_k log max(p_k, eps))",
    reference=GOOD,
    sample=DIGITS,
    aliases=(
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        "nll",
    ),
    equivalents={
        "scikit-learn": "metrics.log_loss (sorts the class names)",
        "PyTorch": "nn.NLLLoss on log-probabilities",
        "Keras": "losses.CategoricalCrossentropy (divides by the row sum, eps 1e-7)",
    },
)
def cross_entropy(prediction: Probabilities, target: ClassTarget, *, eps: Eps = EPS) -> Array:
    """Cross entropy of K class probabilities; ``0 log 0 = 0``.

    Rows are never rescaled to sum to 1. Rows whose loss the clip ``eps`` changed are counted.
    """
    # -sum_k t_k log p_k
    if target.ndim == 1:
        return -log_clipped(pick(prediction, target), eps)
    return -times_log(target, log_clipped(prediction, eps)).sum(axis=1)


@gradient(cross_entropy)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    weights = one_hot(target, prediction)
    return np.where((prediction < eps) | (weights == 0.0), 0.0, -weights / prediction)


@curvature(cross_entropy)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    weights = one_hot(target, prediction)
    return np.where((prediction < eps) | (weights == 0.0), 0.0, weights / prediction**2)


@loss(
    formula="mean(logsumexp(z) - sum_k t_k z_k)",
    reference=GOOD,
    sample=DIGIT_SCORES,
    aliases=("softmax_cross_entropy", "CrossEntropyLoss"),
    equivalents={
        "PyTorch": "nn.CrossEntropyLoss",
        "Keras": "losses.CategoricalCrossentropy(from_logits=True)",
    },
)
def cross_entropy_logits(prediction: Scores, target: ClassTarget) -> Array:
    """Cross entropy of the softmax of K scores, stable for any size of them."""
    # sum_k t_k (logsumexp(z) - z_k)
    if target.ndim == 1:
        return log_sum_exp(prediction - pick(prediction, target)[:, None])
    return (target * (log_sum_exp(prediction)[:, None] - prediction)).sum(axis=1)


@gradient(cross_entropy_logits)
def _(prediction: Array, target: Array) -> Array:
    weights = one_hot(target, prediction)
    return softmax(prediction) * weights.sum(axis=1, keepdims=True) - weights


@curvature(cross_entropy_logits)
def _(prediction: Array, target: Array) -> Array:
    shares = softmax(prediction)
    return shares * (1.0 - shares) * one_hot(target, prediction).sum(axis=1, keepdims=True)


@loss(
    formula="mean(max(0, 1 - t z)), t in {-1, +1}",
    reference=CORTES,
    sample=BINARY,
    aliases=("hinge_loss", "Hinge"),
    equivalents={"scikit-learn": "metrics.hinge_loss", "Keras": "losses.Hinge"},
)
def hinge(prediction: Score, target: Sign) -> Array:
    """Hinge loss of a score; labels {0, 1} are taken as {-1, +1}.

    A file that mixes -1 and 0 is an error, whichever rows hold them.
    """
    # max(0, 1 - t z)
    return np.maximum(1.0 - signs(target) * prediction, 0.0)


@gradient(hinge)
def _(prediction: Array, target: Array) -> Array:
    sign = signs(target)
    return np.where(sign * prediction < 1.0, -sign, 0.0)


@curvature(hinge)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.zeros_like(prediction)


@loss(
    formula="mean(max(0, 1 - t z)^2), t in {-1, +1}",
    reference=CORTES,
    sample=BINARY,
    aliases=("SquaredHinge",),
    equivalents={"Keras": "losses.SquaredHinge"},
)
def squared_hinge(prediction: Score, target: Sign) -> Array:
    """Squared hinge loss of a score; labels {0, 1} are taken as {-1, +1}."""
    # max(0, 1 - t z)^2
    short = np.maximum(1.0 - signs(target) * prediction, 0.0)
    return short * short


@gradient(squared_hinge)
def _(prediction: Array, target: Array) -> Array:
    sign = signs(target)
    return -2.0 * sign * np.maximum(1.0 - sign * prediction, 0.0)


@curvature(squared_hinge)
def _(prediction: Array, target: Array) -> Array:
    return np.where(signs(target) * prediction < 1.0, 2.0, 0.0)


Kind = Annotated[
    Literal["crammer_singer", "weston_watkins"],
    "the strongest rival only, or the sum over all rivals divided by K",
]


@loss(
    formula="mean(max(0, margin + max_{j != t} z_j - z_t))"
    "; weston_watkins: mean(sum_{j != t} max(0, margin + z_j - z_t) / K)",
    reference="Crammer and Singer 2001, JMLR 2:265; Weston and Watkins 1999, ESANN 99:219",
    sample=DIGIT_SCORES,
    aliases=("multi_margin_loss", "MultiMarginLoss"),
    equivalents={
        "scikit-learn": "metrics.hinge_loss (crammer_singer)",
        "PyTorch": "nn.MultiMarginLoss (weston_watkins)",
    },
)
def multiclass_hinge(
    prediction: Scores, target: ClassLabel, *, kind: Kind = "crammer_singer", margin: Margin = 1.0
) -> Array:
    """Hinge loss of K scores, by the strongest rival or by all rivals.

    Keras' ``CategoricalHinge`` is another loss: there the true class competes with score 0.
    """
    # max(0, margin + z_j - z_t) for the rivals j != t
    short = _shortfalls(prediction, target, margin)
    if kind == "crammer_singer":
        return short.max(axis=1)
    return short.sum(axis=1) / prediction.shape[1]


@gradient(multiclass_hinge)
def _(prediction: Array, target: Array, *, kind: str, margin: float) -> Array:
    short = _shortfalls(prediction, target, margin)
    active = (short > 0.0).astype(np.float64)
    if kind == "crammer_singer":
        active *= np.arange(prediction.shape[1]) == short.argmax(axis=1)[:, None]
    true = one_hot(target, prediction)
    slopes = active - true * active.sum(axis=1, keepdims=True)
    return slopes if kind == "crammer_singer" else slopes / prediction.shape[1]


@curvature(multiclass_hinge)
def _(prediction: Array, target: Array, *, kind: str, margin: float) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return np.zeros_like(prediction)


def _shortfalls(scores: Array, classes: Array, margin: float) -> Array:
    """Give what each rival takes from the margin, shape ``(rows, K)``; 0 for the true class."""
    short = np.maximum(margin + scores - pick(scores, classes)[:, None], 0.0)
    short[np.arange(len(scores)), classes.astype(np.intp)] = 0.0
    return short
