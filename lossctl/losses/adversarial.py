"""Losses of generative adversarial networks, from the discriminator's outputs.

A row holds the discriminator's output for one real or one generated example. The two populations
are independent samples, so each has its own mean and their sizes may differ.
"""

from __future__ import annotations

import numpy as np

from lossctl.losses._declare import curvature, gradient, loss
from lossctl.losses._domains import Array, Binary, Probability, Score
from lossctl.losses._finish import RATIO, SUM_OF_RATIOS
from lossctl.losses._logs import log_clipped, log_complement, sigmoid, softplus, times_log
from lossctl.losses.classification import EPS, Eps

GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
SAMPLE = "sample_data/gan.csv"
POPULATIONS = ("real", "generated")
GENERATED: Array = np.zeros(())
"""The label of every row of a file that has no labels."""


def discriminator_terms(target: Array, if_real: Array, if_generated: Array) -> Array:
    """Give each population's loss and indicator, shape ``(4, rows)``."""
    generated = 1.0 - target
    return np.stack(
        [times_log(target, if_real), target, times_log(generated, if_generated), generated]
    )


def generator_terms(target: Array, if_generated: Array) -> Array:
    """Give the generated rows' loss and indicator, shape ``(2, rows)``."""
    generated = is_generated(target, if_generated)
    return np.stack([times_log(generated, if_generated), generated])


def is_generated(target: Array, like: Array) -> Array:
    """Give 1 for generated and 0 for real rows, shape ``(rows,)`` for a single target as well."""
    return np.ones_like(like) - target


@loss(
    formula="mean over real(-log max(p, eps)) + mean over generated(-log max(1 - p, eps))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    equivalents={"PyTorch": "nn.BCELoss of the real rows plus nn.BCELoss of the generated rows"},
    finish=SUM_OF_RATIOS,
    populations=POPULATIONS,
)
def gan_discriminator(prediction: Probability, target: Binary, *, eps: Eps = EPS) -> Array:
    """Discriminator loss of the minimax game, from probabilities: minus the value of the game.

    The sum of two means, ``2 log 2`` where it cannot tell the populations apart; some libraries
    halve it or, like `bce`, average over all rows.
    """
    # -log p        where real
    # -log(1 - p)   where generated
    return discriminator_terms(
        target, -log_clipped(prediction, eps), -log_complement(prediction, eps)
    )


@gradient(gan_discriminator)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    return np.where(target == 1.0, -log_slope(prediction, eps), log_slope(1.0 - prediction, eps))


@curvature(gan_discriminator)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    likelihood = np.where(target == 1.0, prediction, 1.0 - prediction)
    return log_slope(likelihood, eps) ** 2


@loss(
    formula="mean over real(softplus(-z)) + mean over generated(softplus(z))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    aliases=("minimax_discriminator_loss", "modified_discriminator_loss"),
    equivalents={
        "PyTorch": "nn.BCEWithLogitsLoss of the real rows plus the same of the generated rows",
        "TF-GAN": "losses.minimax_discriminator_loss(label_smoothing=0) (0.25 unless given)",
    },
    finish=SUM_OF_RATIOS,
    populations=POPULATIONS,
)
def gan_discriminator_logits(prediction: Score, target: Binary) -> Array:
    """Discriminator loss of the minimax game, from logits and stable for any size of them.

    The sum of two means, as in `gan_discriminator`. Labels are not smoothed; TF-GAN does so
    unless told otherwise.
    """
    # softplus(-z)  where real
    # softplus(z)   where generated
    return discriminator_terms(target, softplus(-prediction), softplus(prediction))


@gradient(gan_discriminator_logits)
def _(prediction: Array, target: Array) -> Array:
    return np.where(target == 1.0, -sigmoid(-prediction), sigmoid(prediction))


@curvature(gan_discriminator_logits)
def _(prediction: Array, target: Array) -> Array:  # noqa: ARG001 - all curvatures share a shape
    return sigmoid(prediction) * sigmoid(-prediction)


@loss(
    formula="mean over generated(-log max(p, eps))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    equivalents={"PyTorch": "nn.BCELoss of the generated rows against the label 1"},
    finish=RATIO,
    populations=POPULATIONS,
)
def gan_generator(prediction: Probability, target: Binary = GENERATED, *, eps: Eps = EPS) -> Array:
    """Generator loss, non-saturating, from probabilities: what generators are trained with.

    `gan_generator_saturating` is the literal minimax loss. Real rows do not count.
    """
    # -log p  where generated
    return generator_terms(target, -log_clipped(prediction, eps))


@gradient(gan_generator)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    return times_log(is_generated(target, prediction), -log_slope(prediction, eps))


@curvature(gan_generator)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    return times_log(is_generated(target, prediction), log_slope(prediction, eps) ** 2)


@loss(
    formula="mean over generated(softplus(-z))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    aliases=("modified_generator_loss",),
    equivalents={
        "PyTorch": "nn.BCEWithLogitsLoss of the generated rows against the label 1",
        "TF-GAN": "losses.modified_generator_loss",
    },
    finish=RATIO,
    populations=POPULATIONS,
)
def gan_generator_logits(prediction: Score, target: Binary = GENERATED) -> Array:
    """Generator loss, non-saturating, from logits and stable for any size of them.

    `gan_generator_saturating_logits` is the literal minimax loss. Real rows do not count.
    """
    # softplus(-z)  where generated
    return generator_terms(target, softplus(-prediction))


@gradient(gan_generator_logits)
def _(prediction: Array, target: Array) -> Array:
    return times_log(is_generated(target, prediction), -sigmoid(-prediction))


@curvature(gan_generator_logits)
def _(prediction: Array, target: Array) -> Array:
    bend = sigmoid(prediction) * sigmoid(-prediction)
    return times_log(is_generated(target, prediction), bend)


@loss(
    formula="mean over generated(log max(1 - p, eps))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    equivalents={"PyTorch": "minus nn.BCELoss of the generated rows against the label 0"},
    finish=RATIO,
    populations=POPULATIONS,
)
def gan_generator_saturating(
    prediction: Probability, target: Binary = GENERATED, *, eps: Eps = EPS
) -> Array:
    """Generator loss of the minimax game itself, from probabilities; negative.

    Real rows do not count: their term of the game does not depend on the generator.
    """
    # log(1 - p)  where generated
    return generator_terms(target, log_complement(prediction, eps))


@gradient(gan_generator_saturating)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    return times_log(is_generated(target, prediction), -log_slope(1.0 - prediction, eps))


@curvature(gan_generator_saturating)
def _(prediction: Array, target: Array, *, eps: float) -> Array:
    return times_log(is_generated(target, prediction), -(log_slope(1.0 - prediction, eps) ** 2))


@loss(
    formula="mean over generated(-softplus(z))",
    reference=GOODFELLOW,
    sample=SAMPLE,
    equivalents={
        "TF-GAN": "losses.minimax_generator_loss (lower by softplus(-1), a constant real term)",
    },
    finish=RATIO,
    populations=POPULATIONS,
)
def gan_generator_saturating_logits(prediction: Score, target: Binary = GENERATED) -> Array:
    """Generator loss of the minimax game itself, from logits; negative and unbounded below.

    Real rows do not count; TF-GAN adds a constant term for them.
    """
    # -softplus(z)  where generated
    return generator_terms(target, -softplus(prediction))


@gradient(gan_generator_saturating_logits)
def _(prediction: Array, target: Array) -> Array:
    return times_log(is_generated(target, prediction), -sigmoid(prediction))


@curvature(gan_generator_saturating_logits)
def _(prediction: Array, target: Array) -> Array:
    bend = sigmoid(prediction) * sigmoid(-prediction)
    return times_log(is_generated(target, prediction), -bend)


def log_slope(p: Array, eps: float) -> Array:
    """Differentiate ``log(max(p, eps))``; a clipped logarithm no longer moves with p."""
    return np.where(p < eps, 0.0, 1.0 / p)
