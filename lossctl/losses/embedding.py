"""Losses of embeddings: pairs and triplets of vectors, and of their similarity scores."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from lossctl.losses._declare import gradient, loss
from lossctl.losses._domains import (
    Array,
    Binary,
    Interval,
    NegativeScores,
    PlusMinus,
    PositiveScores,
    Ragged,
    Vector,
)
from lossctl.losses._logs import sigmoid, softplus
from lossctl.losses._ragged import cross, offsets_of, sum_rows
from lossctl.losses._ratio import ratio
from lossctl.losses._rows import dot

Margin = Annotated[
    float,
    Interval(0, np.inf, open_low=True, open_high=True),
    "the distance or lead that costs nothing",
]
Shift = Annotated[
    float, Interval(0, np.inf, open_high=True), "added to each difference of coordinates"
]
Similar = Annotated[Literal[0, 1], "the label of similar pairs"]
Half = Annotated[bool, "whether the squares are halved"]


def differences(left: Array, right: Array, eps: float) -> Array:
    """Give ``left - right + eps``, shape ``(rows, D)``."""
    gap = left - right
    if eps:
        gap += eps
    return gap


@loss(
    formula="mean(d^2 if similar else max(0, margin - d)^2), d = ||l - r + eps||; half: half of it",
    reference="Hadsell, Chopra and LeCun 2006, doi:10.1109/CVPR.2006.100",
    sample="sample_data/pairs.parquet",
    aliases=("contrastive_loss",),
    equivalents={
        "TensorFlow Addons": "losses.ContrastiveLoss (takes the distance; similar=1)",
        "Caffe": "ContrastiveLoss (similar=1,half=true)",
    },
)
def contrastive(
    left: Vector,
    right: Vector,
    target: Binary,
    *,
    margin: Margin = 1.0,
    similar: Similar = 0,
    half: Half = False,
    eps: Shift = 0.0,
) -> Array:
    """Contrastive loss of a pair: similar vectors attract, others repel up to the margin.

    Label 0 means similar, as in the paper, and 1 in most libraries: ``similar=1``. The paper
    halves the squares: ``half=true``. PyTorch's ``pairwise_distance`` has ``eps=1e-6``.
    pytorch-metric-learning's loss of that name does not square the distance.
    """
    # d^2                  where similar
    # max(0, margin - d)^2 elsewhere
    gap = differences(left, right, eps)
    squared = dot(gap, gap)
    short = np.maximum(margin - np.sqrt(squared), 0.0)
    values: Array = np.where(target == similar, squared, short * short)
    return 0.5 * values if half else values


@gradient(contrastive, wrt=("left", "right"))
def _(
    left: Array,
    right: Array,
    target: Array,
    *,
    margin: float,
    similar: int,
    half: bool,
    eps: float,
) -> tuple[Array, Array]:
    gap = differences(left, right, eps)
    distance = np.sqrt(dot(gap, gap))
    # Equal vectors repel in no direction.
    repulsion = ratio(np.maximum(margin - distance, 0.0), distance)
    pull = np.where(target == similar, 1.0, -repulsion) * (1.0 if half else 2.0)
    slopes = pull[:, None] * gap
    return slopes, -slopes


@loss(
    formula="mean(sum_ij log(1 + exp(n_j - p_i)) / (M N))",
    reference="Dong and Shen 2018, doi:10.1007/978-3-030-01261-8_28",
    sample="sample_data/rankings_lists.parquet",
    equivalents={"CatBoost": "PairLogit (of a single group)"},
)
def triplet(positive: PositiveScores, negative: NegativeScores) -> Array:
    """Triplet loss of similarity scores: the mean over all M N pairs of an exemplar.

    Takes scores, higher for more similar, not distances, and knows no margin: `triplet_margin` is
    the loss of that name elsewhere. Exemplars count alike, however many pairs they have.
    """
    # sum_ij softplus(n_j - p_i) / (M N)
    i, j = cross(positive.offsets, negative.offsets)
    counts = positive.lengths * negative.lengths
    losses = softplus(negative.values[j] - positive.values[i])
    return sum_rows(losses, offsets_of(counts)) / counts


@gradient(triplet, wrt=("positive", "negative"))
def _(positive: Ragged, negative: Ragged) -> tuple[Array, Array]:
    i, j = cross(positive.offsets, negative.offsets)
    counts = positive.lengths * negative.lengths
    slopes = sigmoid(negative.values[j] - positive.values[i]) / np.repeat(counts, counts)
    by_positive, by_negative = np.zeros_like(positive.values), np.zeros_like(negative.values)
    np.subtract.at(by_positive, i, slopes)
    np.add.at(by_negative, j, slopes)
    return by_positive, by_negative


Degree = Annotated[float, Interval(1, np.inf, open_high=True), "degree of the distance's norm"]
Swap = Annotated[bool, "whether d(positive, negative) stands in for a greater d(anchor, negative)"]


def norm(gap: Array, p: float) -> Array:
    """Give the length of each row in the p-norm, shape ``(rows,)``."""
    powers: Array = (np.abs(gap) ** p).sum(axis=1)
    return powers ** (1.0 / p)


def norm_slopes(gap: Array, p: float) -> Array:
    """Differentiate `norm` by its argument; 0 at the zero vector."""
    share = ratio(np.abs(gap), norm(gap, p)[:, None])
    return np.sign(gap) * share ** (p - 1.0)


@loss(
    formula="mean(max(0, d(a, p) - d(a, n) + margin)), d(x, y) = ||x - y + eps||_p"
    "; swap: min(d(a, n), d(p, n)) for d(a, n)",
    reference="Balntas et al. 2016, doi:10.5244/C.30.119",
    sample="sample_data/triplets.parquet",
    aliases=("triplet_margin_loss", "TripletMarginLoss"),
    equivalents={
        "PyTorch": "nn.TripletMarginLoss",
        "optax": "losses.triplet_margin_loss (eps under the root)",
    },
)
def triplet_margin(
    anchor: Vector,
    positive: Vector,
    negative: Vector,
    *,
    margin: Margin = 1.0,
    p: Degree = 2.0,
    swap: Swap = False,
    eps: Shift = 1e-6,
) -> Array:
    """Triplet loss of vectors: the negative must be farther than the positive by the margin.

    Distances are plain, as in PyTorch; FaceNet squares them. pytorch-metric-learning normalises
    the vectors and averages over the triplets with a loss only.
    """
    # max(0, d(a, p) - d(a, n) + margin)
    near = norm(differences(anchor, positive, eps), p)
    far = norm(differences(anchor, negative, eps), p)
    if swap:
        far = np.minimum(far, norm(differences(positive, negative, eps), p))
    return np.maximum(near - far + margin, 0.0)


@gradient(triplet_margin, wrt=("anchor", "positive", "negative"))
def _(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float,
    p: float,
    swap: bool,
    eps: float,
) -> tuple[Array, Array, Array]:
    to_positive = differences(anchor, positive, eps)
    to_negative = differences(anchor, negative, eps)
    across = differences(positive, negative, eps)
    far, other = norm(to_negative, p), norm(across, p)
    swapped = (other < far) & swap
    active = norm(to_positive, p) - np.where(swapped, other, far) + margin > 0.0
    near_slopes = active[:, None] * norm_slopes(to_positive, p)
    far_slopes = (active & ~swapped)[:, None] * norm_slopes(to_negative, p)
    swapped_slopes = (active & swapped)[:, None] * norm_slopes(across, p)
    return (
        near_slopes - far_slopes,
        -near_slopes - swapped_slopes,
        far_slopes + swapped_slopes,
    )


CosineMargin = Annotated[float, Interval(-1, 1), "the cosine that costs dissimilar pairs nothing"]


@loss(
    formula="mean(1 - c if t = 1 else max(0, c - margin)), c = l . r / (||l|| ||r||)",
    reference="Salvador et al. 2017, doi:10.1109/CVPR.2017.327",
    sample="sample_data/pairs.parquet -t similarity_label",
    aliases=("cosine_embedding_loss", "CosineEmbeddingLoss"),
    equivalents={"PyTorch": "nn.CosineEmbeddingLoss (adds 1e-12 to the squared lengths)"},
    symmetric=True,
)
def cosine_embedding(
    left: Vector, right: Vector, target: PlusMinus, *, margin: CosineMargin = 0.0
) -> Array:
    """Cosine loss of a pair: similar vectors must point one way, others apart.

    Label 1 means similar, -1 dissimilar; `contrastive` has it the other way round. The cosine
    with a zero vector counts as 0, as in PyTorch.
    """
    # 1 - c               where t = 1
    # max(0, c - margin)  elsewhere
    cosine = cosines(left, right)
    return np.where(target > 0.0, 1.0 - cosine, np.maximum(cosine - margin, 0.0))


@gradient(cosine_embedding, wrt=("left", "right"))
def _(left: Array, right: Array, target: Array, *, margin: float) -> tuple[Array, Array]:
    cosine = cosines(left, right)
    pull = np.where(target > 0.0, -1.0, np.where(cosine > margin, 1.0, 0.0))
    return (
        pull[:, None] * cosine_slopes(left, right, cosine),
        pull[:, None] * cosine_slopes(right, left, cosine),
    )


def cosines(left: Array, right: Array) -> Array:
    """Give the cosine between the vectors of each row, shape ``(rows,)``; 0 for a zero vector."""
    # The root of the product, not the product of the roots, is exact for equal vectors.
    lengths = np.sqrt(dot(left, left) * dot(right, right))
    return np.clip(ratio(dot(left, right), lengths), -1.0, 1.0)


def cosine_slopes(vector: Array, other: Array, cosine: Array) -> Array:
    """Differentiate the cosine by one of its vectors; 0 where either is the zero vector."""
    squared = dot(vector, vector)[:, None]
    lengths = np.sqrt(squared * dot(other, other)[:, None])
    return ratio(other, lengths) - ratio(cosine[:, None] * vector, squared)
