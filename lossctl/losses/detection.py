"""Losses of object detection: focal losses, overlaps of boxes, overlaps of masks."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossctl.losses._boxes import BoxFormat, Overlap, slopes_by_format
from lossctl.losses._declare import curvature, gradient, loss
from lossctl.losses._domains import (
    UNIT,
    Array,
    Box,
    ClassTarget,
    HardMask,
    Interval,
    Probabilities,
    Probability,
    Ragged,
    Score,
    SoftBinary,
    SoftMask,
)
from lossctl.losses._logs import log_clipped, log_complement, sigmoid, softplus, times_log
from lossctl.losses._ragged import sum_rows
from lossctl.losses._ratio import ratio
from lossctl.losses.classification import BINARY, DIGITS, EPS, Eps, one_hot, pick

Gamma = Annotated[
    float, Interval(0, np.inf, open_high=True), "how strongly easy rows fade; 0 fades none"
]
Alpha = Annotated[
    float | None,
    UNIT,
    "weight of the positive class, the other's is 1 - alpha; none weighs neither",
]
LIN = "Lin et al. 2017, doi:10.1109/ICCV.2017.324"


def class_weights(target: Array, alpha: float | None) -> tuple[Array, Array]:
    """Give what each row's positive and negative term weigh."""
    if alpha is None:
        return target, 1.0 - target
    return alpha * target, (1.0 - alpha) * (1.0 - target)


def focal_slope(hit: Array, miss: Array, log_hit: Array, *, gamma: float, eps: float) -> Array:
    """Differentiate ``-(1 - q)^gamma log max(q, eps)`` by q, the probability of the true class.

    Takes q, 1 - q and the logarithm, so that the caller's accurate ones are used.
    """
    fade = miss**gamma
    # A clipped logarithm no longer moves with q; at q = 1 the first term tends to 0.
    fading = ratio(times_log(gamma * fade, log_hit), miss)
    return fading - np.where(hit < eps, 0.0, fade / hit)


@loss(
    formula="-mean(a t (1 - p)^gamma log max(p, eps) + b (1 - t) p^gamma log max(1 - p, eps))"
    ", a = alpha and b = 1 - alpha, or a = b = 1",
    reference=LIN,
    sample=BINARY,
    aliases=("binary_focal_crossentropy", "BinaryFocalCrossentropy"),
    equivalents={
        "Keras": "losses.BinaryFocalCrossentropy (eps 1e-7; alpha needs apply_class_balancing)",
        "TensorFlow Addons": "losses.SigmoidFocalCrossEntropy (alpha 0.25 unless given)",
    },
)
def focal(
    prediction: Probability,
    target: SoftBinary,
    *,
    gamma: Gamma = 2.0,
    alpha: Alpha = None,
    eps: Eps = EPS,
) -> Array:
    """Focal loss of a probability: binary cross entropy in which easy rows fade.

    There are no class weights unless alpha is given, as in Keras; the paper and torchvision use
    0.25. With alpha 0.5 and gamma 0 it is half of `bce`. A soft target weighs the two terms, each
    with its own factor; Keras and torchvision take one factor, ``1 - (t p + (1 - t)(1 - p))``.
    """
    # -(a t (1 - p)^gamma log p + b (1 - t) p^gamma log(1 - p))
    positive, negative = class_weights(target, alpha)
    return -(
        times_log(positive * (1.0 - prediction) ** gamma, log_clipped(prediction, eps))
        + times_log(negative * prediction**gamma, log_complement(prediction, eps))
    )


@gradient(focal)
def _(prediction: Array, target: Array, *, gamma: float, alpha: float | None, eps: float) -> Array:
    positive, negative = class_weights(target, alpha)
    rest = 1.0 - prediction
    if_true = focal_slope(prediction, rest, log_clipped(prediction, eps), gamma=gamma, eps=eps)
    if_false = focal_slope(rest, prediction, log_complement(prediction, eps), gamma=gamma, eps=eps)
    # With eps=0 a slope can be infinite where its weight is 0.
    return times_log(positive, if_true) - times_log(negative, if_false)


@loss(
    formula="mean(a t (1 - p)^gamma softplus(-z) + b (1 - t) p^gamma softplus(z))"
    ", p = 1 / (1 + exp(-z)), a = alpha and b = 1 - alpha, or a = b = 1",
    reference=LIN,
    sample=BINARY,
    aliases=("sigmoid_focal_loss",),
    equivalents={
        "torchvision": "ops.sigmoid_focal_loss (alpha 0.25 unless given, -1 for none)",
        "Keras": "losses.BinaryFocalCrossentropy(from_logits=True)",
    },
)
def focal_logits(
    prediction: Score, target: SoftBinary, *, gamma: Gamma = 2.0, alpha: Alpha = None
) -> Array:
    """Focal loss of a logit, stable for any size of it.

    There are no class weights unless alpha is given; torchvision's alpha is 0.25. Soft targets
    count as in `focal`.
    """
    # a t (1 - p)^gamma softplus(-z) + b (1 - t) p^gamma softplus(z)
    positive, negative = class_weights(target, alpha)
    if_true = sigmoid(-prediction) ** gamma * softplus(-prediction)
    if_false = sigmoid(prediction) ** gamma * softplus(prediction)
    return positive * if_true + negative * if_false


@gradient(focal_logits)
def _(prediction: Array, target: Array, *, gamma: float, alpha: float | None) -> Array:
    positive, negative = class_weights(target, alpha)
    hit, miss = sigmoid(prediction), sigmoid(-prediction)
    if_true = miss**gamma * (gamma * hit * softplus(-prediction) + miss)
    if_false = hit**gamma * (gamma * miss * softplus(prediction) + hit)
    return negative * if_false - positive * if_true


@curvature(focal_logits)
def _(prediction: Array, target: Array, *, gamma: float, alpha: float | None) -> Array:
    positive, negative = class_weights(target, alpha)
    hit, miss = sigmoid(prediction), sigmoid(-prediction)
    if_true = focal_bend(hit, miss, softplus(-prediction), gamma)
    if_false = focal_bend(miss, hit, softplus(prediction), gamma)
    return positive * if_true + negative * if_false


def focal_bend(hit: Array, miss: Array, surprise: Array, gamma: float) -> Array:
    """Differentiate ``miss^gamma surprise`` twice by the logit, with ``surprise = -log hit``."""
    inner = (2.0 * gamma + 1.0) * miss - gamma * surprise * (miss - gamma * hit)
    return miss**gamma * hit * inner


@loss(
    formula="-mean(sum_k t_k (1 - p_k)^gamma log max(p_k, eps))",
    reference=LIN,
    sample=DIGITS,
    aliases=("categorical_focal_crossentropy", "CategoricalFocalCrossentropy"),
    equivalents={
        "Keras": "losses.CategoricalFocalCrossentropy (times alpha 0.25 for every class;"
        " divides by the row sum, eps 1e-7)",
    },
)
def categorical_focal(
    prediction: Probabilities, target: ClassTarget, *, gamma: Gamma = 2.0, eps: Eps = EPS
) -> Array:
    """Focal loss of K class probabilities: cross entropy in which easy rows fade.

    There is no constant factor: Keras multiplies by 0.25 for every class.
    """
    # -sum_k t_k (1 - p_k)^gamma log p_k
    if target.ndim == 1:
        hit = pick(prediction, target)
        return -((1.0 - hit) ** gamma * log_clipped(hit, eps))
    weights = target * (1.0 - prediction) ** gamma
    total: Array = times_log(weights, log_clipped(prediction, eps)).sum(axis=1)
    return -total


@gradient(categorical_focal)
def _(prediction: Array, target: Array, *, gamma: float, eps: float) -> Array:
    slopes = focal_slope(
        prediction, 1.0 - prediction, log_clipped(prediction, eps), gamma=gamma, eps=eps
    )
    return times_log(one_hot(target, prediction), slopes)


Format = Annotated[
    BoxFormat, "the four numbers: two corners, a corner and sides, or the centre and sides"
]
XYXY: BoxFormat = "xyxy"
BOXES = "sample_data/boxes.csv"
REZATOFIGHI = "Rezatofighi et al. 2019, doi:10.1109/CVPR.2019.00075"
ZHENG = "Zheng et al. 2020, doi:10.1609/aaai.v34i07.6999"


@loss(
    formula="mean(1 - I / U)",
    reference=REZATOFIGHI,
    sample=BOXES,
    equivalents={
        "torchvision": "1 - ops.box_iou (NaN for two boxes without area)",
        "mmdetection": "IoULoss(mode='linear')",
    },
    symmetric=True,
)
def iou(prediction: Box, target: Box, *, format: Format = XYXY) -> Array:
    """Intersection over union of two boxes, as a loss.

    The IoU of two boxes without area counts as 0. Sides are plain differences, without the 1 that
    inclusive pixel coordinates add.
    """
    # 1 - I / U
    return 1.0 - Overlap.of(prediction, target, format).iou


@gradient(iou)
def _(prediction: Array, target: Array, *, format: BoxFormat) -> Array:
    return slopes_by_format(-Overlap.of(prediction, target, format).iou_slopes, format)


@loss(
    formula="mean(-log(I / U))",
    reference="Yu et al. 2016, doi:10.1145/2964284.2967274",
    sample=BOXES,
    equivalents={"mmdetection": "IoULoss(mode='log') (raises the IoU to 1e-6 at least)"},
    symmetric=True,
)
def log_iou(prediction: Box, target: Box, *, format: Format = XYXY) -> Array:
    """Negative logarithm of the intersection over union of two boxes.

    Boxes without common area lose infinity, where other libraries clip the IoU or add 1 to both
    areas; `iou` and `giou` stay finite there.
    """
    # -log(I / U)
    return -np.log(Overlap.of(prediction, target, format).iou)


@gradient(log_iou)
def _(prediction: Array, target: Array, *, format: BoxFormat) -> Array:
    overlap = Overlap.of(prediction, target, format)
    # Without common area the loss stays infinite whichever way the box moves: no slope.
    return slopes_by_format(-ratio(overlap.iou_slopes, overlap.iou), format)


@loss(
    formula="mean(1 - I / U + (C - U) / C), C the area of the smallest box around both",
    reference=REZATOFIGHI,
    sample=BOXES,
    aliases=("generalized_box_iou_loss",),
    equivalents={
        "torchvision": "ops.generalized_box_iou_loss (adds 1e-7 to U and C)",
        "TensorFlow Addons": "losses.GIoULoss (boxes as y, x)",
    },
    symmetric=True,
)
def giou(prediction: Box, target: Box, *, format: Format = XYXY) -> Array:
    """Generalised IoU loss of two boxes, from 0 to 2: it still grows when they move apart.

    A quotient 0/0 of boxes without area counts as 0, as in torchvision.
    """
    # 1 - I / U + (C - U) / C
    overlap = Overlap.of(prediction, target, format)
    waste = np.maximum(overlap.hull - overlap.union, 0.0)  # rounding alone makes it negative
    return 1.0 - overlap.iou + ratio(waste, overlap.hull)


@gradient(giou)
def _(prediction: Array, target: Array, *, format: BoxFormat) -> Array:
    overlap = Overlap.of(prediction, target, format)
    filled = ratio(overlap.union, overlap.hull)
    filled_slopes = ratio(overlap.union_slopes - filled * overlap.hull_slopes, overlap.hull)
    return slopes_by_format(-overlap.iou_slopes - filled_slopes, format)


@loss(
    formula="mean(1 - I / U + d^2 / c^2)"
    ", d the distance of the centres, c the diagonal of the smallest box around both",
    reference=ZHENG,
    sample=BOXES,
    aliases=("distance_box_iou_loss",),
    equivalents={"torchvision": "ops.distance_box_iou_loss (adds 1e-7 to U and c^2)"},
    symmetric=True,
)
def diou(prediction: Box, target: Box, *, format: Format = XYXY) -> Array:
    """Distance IoU loss of two boxes: it still grows when the centres move apart.

    A quotient 0/0 of boxes without area counts as 0, as in torchvision.
    """
    # 1 - I / U + d^2 / c^2
    overlap = Overlap.of(prediction, target, format)
    return 1.0 - overlap.iou + overlap.offset


@gradient(diou)
def _(prediction: Array, target: Array, *, format: BoxFormat) -> Array:
    overlap = Overlap.of(prediction, target, format)
    return slopes_by_format(overlap.offset_slopes - overlap.iou_slopes, format)


@loss(
    formula="mean(1 - I / U + d^2 / c^2 + a v), v = 4 / pi^2 (atan(w_t / h_t) - atan(w_p / h_p))^2"
    ", a = v / (1 - I / U + v)",
    reference=ZHENG,
    sample=BOXES,
    aliases=("complete_box_iou_loss",),
    equivalents={
        "torchvision": "ops.complete_box_iou_loss (adds 1e-7 to U, c^2 and a's denominator;"
        " the gradient takes a as constant)",
    },
    symmetric=True,
)
def ciou(prediction: Box, target: Box, *, format: Format = XYXY) -> Array:
    """Complete IoU loss of two boxes: overlap, distance of the centres and aspect ratio.

    A box whose sides are both 0 has no aspect ratio and v is 0, where torchvision gives NaN. The
    gradient is the full one; torchvision's takes a as constant.
    """
    # 1 - I / U + d^2 / c^2 + a v
    overlap = Overlap.of(prediction, target, format)
    v = (2.0 / np.pi * overlap.turn) ** 2
    a = ratio(v, 1.0 - overlap.iou + v)
    return 1.0 - overlap.iou + overlap.offset + a * v


@gradient(ciou)
def _(prediction: Array, target: Array, *, format: BoxFormat) -> Array:
    overlap = Overlap.of(prediction, target, format)
    v = (2.0 / np.pi * overlap.turn) ** 2
    v_slopes = 8.0 / np.pi**2 * overlap.turn * overlap.turn_slopes
    a = ratio(v, 1.0 - overlap.iou + v)
    # a v is v^2 / (1 - I / U + v), which moves with v and with the overlap.
    aspect_slopes = a * (2.0 - a) * v_slopes + a * a * overlap.iou_slopes
    return slopes_by_format(overlap.offset_slopes - overlap.iou_slopes + aspect_slopes, format)


Smooth = Annotated[
    float,
    Interval(0, np.inf, open_high=True),
    "added to both counts of pixels, so that two empty masks agree",
]
MASKS = "sample_data/masks.parquet"


def areas(prediction: Ragged, target: Ragged) -> tuple[Array, Array]:
    """Give the intersection and the union of two masks in pixels, each ``(rows,)``."""
    offsets = prediction.offsets
    intersection = sum_rows(prediction.values * target.values, offsets)
    both = sum_rows(prediction.values, offsets) + sum_rows(target.values, offsets)
    return intersection, both - intersection


@loss(
    formula="mean(1 - (I + smooth) / (U + smooth))"
    ", I = sum_i p_i t_i, U = sum_i (p_i + t_i - p_i t_i)",
    reference="Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22",
    sample=MASKS,
    aliases=("soft_jaccard",),
    equivalents={
        "segmentation-models-pytorch": "losses.JaccardLoss (one quotient over the whole batch)",
    },
)
def mask_iou(prediction: SoftMask, target: HardMask, *, smooth: Smooth = 1e-6) -> Array:
    """Intersection over union of a soft mask and a true one, as a loss of each image.

    Two empty masks lose 0, without smoothing as well. Libraries that add up the pixels of a whole
    batch first get another value.
    """
    # 1 - (I + smooth) / (U + smooth), without its cancellation
    intersection, union = areas(prediction, target)
    return ratio(union - intersection, union + smooth)


@gradient(mask_iou)
def _(prediction: Ragged, target: Ragged, *, smooth: float) -> Array:
    intersection, union = areas(prediction, target)
    inside = ratio(np.ones_like(union), union + smooth)
    outside = (intersection + smooth) * inside * inside
    inside, outside = (np.repeat(slope, prediction.lengths) for slope in (inside, outside))
    return (1.0 - target.values) * outside - target.values * inside


TWENTIETHS = np.arange(10.0, 20.0)
"""The thresholds .50, .55, ..., .95 in twentieths: whole numbers, unlike the thresholds."""


@loss(
    formula="mean(1 - sum_k [20 I > k U] / 10), k = 10, 11, ..., 19; 0 for two empty masks",
    reference="Lin et al. 2014, doi:10.1007/978-3-319-10602-1_48",
    sample=MASKS,
    equivalents={"Kaggle": "1 - the score of an image in TGS Salt (rounds IoUs of k/20 upwards)"},
    symmetric=True,
)
def mask_iou_thresholded(prediction: HardMask, target: HardMask) -> Array:
    """Share of the ten IoU thresholds .50, .55, ..., .95 that two masks do not exceed.

    Thresholds are compared in whole numbers of pixels, so that an IoU equal to a threshold does
    not exceed it; the rounding of the usual float formulas lets some or all of those pass.
    """
    # 1 - sum_k [20 I > k U] / 10
    intersection, union = areas(prediction, target)
    missed = 20.0 * intersection[:, None] <= TWENTIETHS * union[:, None]
    count: Array = (missed & (union[:, None] > 0.0)).sum(axis=1, dtype=np.float64)
    return count / 10.0
