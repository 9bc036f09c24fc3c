"""Every loss, from a file to its value, against an oracle that shares no code with its kernel.

`ORACLES` holds one line per loss: a function of the whole columns and the parameters that gives
the value of the file. scikit-learn and SciPy answer where they have the loss; else the definition
is written out in plain Python, in fractions where no root or logarithm is in the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special
from scipy.spatial import distance
from sklearn import metrics

from lossctl.data import blocks
from lossctl.losses import REGISTRY, Loss, Ragged, Spec, loss
from lossctl.losses._domains import Real
from lossctl.report import Report

Array = npt.NDArray[np.float64]
Draw = Callable[..., dict[str, Any]]
Oracle = Callable[..., float]
Box = tuple[Fraction, Fraction, Fraction, Fraction]
"""Left, top, right, bottom."""

ROWS = 24
GROUPS = (9, 1, 11)


def mean(values: Iterable[Fraction | float]) -> float:
    """Average numbers exactly; infinities stay what they are."""
    numbers = list(values)
    if any(math.isinf(number) for number in numbers):
        return math.fsum(numbers)
    return float(sum((Fraction(number) for number in numbers), Fraction(0)) / len(numbers))


def by_row(of_row: Callable[..., Fraction | float]) -> Oracle:
    """Average a function of one row's values."""

    def oracle(*, parameters: Mapping[str, Any], **columns: Sequence[Any]) -> float:
        return mean(
            of_row(**dict(zip(columns, row, strict=True)), **parameters)
            for row in zip(*columns.values(), strict=True)
        )

    return oracle


def of_file(whole: Callable[..., float | Array]) -> Oracle:
    """Take a function of whole columns; where it gives one value per row, average those."""

    def oracle(*, parameters: Mapping[str, Any], **columns: Any) -> float:
        result = whole(**columns, **parameters)
        return mean(result.tolist()) if isinstance(result, np.ndarray) else float(result)

    return oracle


# Classes. The clip applies to the argument of each logarithm, from below, and to nothing else.


def log_hit(p: Array, eps: float, weight: Array | float = 1.0) -> Array:
    """Give ``weight * log(max(p, eps))`` with ``0 log 0 = 0``."""
    result: Array = special.xlogy(weight, np.maximum(p, eps))
    return result


def log_miss(p: Array, eps: float, weight: Array | float = 1.0) -> Array:
    """Give ``weight * log(max(1 - p, eps))`` with ``0 log 0 = 0``."""
    result: Array = special.xlog1py(weight, -np.minimum(p, 1.0 - eps))
    return result


def weights_of(target: Array, like: Array) -> Array:
    """Give class numbers or weights as weights."""
    return np.eye(like.shape[1])[target.astype(int)] if target.ndim == 1 else target


def bce(prediction: Array, target: Array, eps: float) -> Array:
    """Weigh the two logarithms of SciPy with the target."""
    return -log_hit(prediction, eps, target) - log_miss(prediction, eps, 1.0 - target)


def brier(prediction: Array, target: Array) -> float:
    """Ask scikit-learn, which takes labels only, once for each label that a soft one is between."""
    both = np.repeat([1, 0], len(target))
    weights = np.concatenate([target, 1.0 - target])
    twice = np.tile(prediction, 2)
    spread = mean(Fraction(t) * (1 - Fraction(t)) for t in target.tolist())
    return float(metrics.brier_score_loss(both, twice, sample_weight=weights)) - spread


def multiclass_hinge(prediction: Array, target: Array, kind: str, margin: float) -> float:
    """Ask scikit-learn, in units of the margin, which it has not; it knows only one kind."""
    if kind == "crammer_singer":
        labels = range(prediction.shape[1])
        return margin * float(metrics.hinge_loss(target, prediction / margin, labels=labels))
    return mean(
        sum(
            max(Fraction(0), Fraction(margin) + Fraction(rival) - Fraction(scores[int(true)]))
            for k, rival in enumerate(scores)
            if k != true
        )
        / len(scores)
        for scores, true in zip(prediction.tolist(), target.tolist(), strict=True)
    )


def squared_hinge(prediction: float, target: float) -> Fraction:
    """Square the hinge of labels 0 and 1."""
    return max(Fraction(0), 1 - (2 * Fraction(target) - 1) * Fraction(prediction)) ** 2


# Focal losses


def focal(prediction: Array, target: Array, gamma: float, alpha: float | None, eps: float) -> Array:
    """Fade the two terms of the cross entropy, each by its own probability."""
    a, b = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    positive = log_hit(prediction, eps, a * target * (1.0 - prediction) ** gamma)
    negative = log_miss(prediction, eps, b * (1.0 - target) * prediction**gamma)
    return -positive - negative


def focal_logits(prediction: float, target: float, gamma: float, alpha: float | None) -> float:
    """Write the definition out for one row."""
    a, b = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    p, q = special.expit(prediction), special.expit(-prediction)
    positive = a * target * q**gamma * special.log_expit(prediction)
    negative = b * (1.0 - target) * p**gamma * special.log_expit(-prediction)
    return float(-positive - negative)


def categorical_focal(prediction: Array, target: Array, gamma: float, eps: float) -> Array:
    """Fade the terms of the cross entropy."""
    fading = weights_of(target, prediction) * (1.0 - prediction) ** gamma
    result: Array = -log_hit(prediction, eps, fading).sum(axis=1)
    return result


# Boxes, in fractions: `format` is read here once more


def box_of(numbers: Sequence[float], coding: str) -> Box:
    """Give the corners."""
    a, b, c, d = map(Fraction, numbers)
    if coding == "xywh":
        return a, b, a + c, b + d
    if coding == "cxcywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


def area(box: Box) -> Fraction:
    """Give the area; 0 for corners in the wrong order, as of a common part that is not there."""
    left, top, right, bottom = box
    return max(right - left, Fraction(0)) * max(bottom - top, Fraction(0))


def overlap(p: Box, t: Box) -> tuple[Fraction, Fraction]:
    """Give intersection and union."""
    common = area((max(p[0], t[0]), max(p[1], t[1]), min(p[2], t[2]), min(p[3], t[3])))
    return common, area(p) + area(t) - common


def hull(p: Box, t: Box) -> Box:
    """Give the smallest box around both."""
    return min(p[0], t[0]), min(p[1], t[1]), max(p[2], t[2]), max(p[3], t[3])


def of_boxes(of_pair: Callable[[Box, Box], Fraction | float]) -> Oracle:
    """Average a function of two boxes given by their corners."""
    return by_row(
        lambda prediction, target, format: of_pair(
            box_of(prediction, format), box_of(target, format)
        )
    )


def iou(p: Box, t: Box) -> Fraction:
    """Give intersection over union."""
    return Fraction(*overlap(p, t))


def giou(p: Box, t: Box) -> Fraction:
    """Add the share of the hull that no box fills."""
    union, around = overlap(p, t)[1], area(hull(p, t))
    return 1 - iou(p, t) + (around - union) / around


def diou(p: Box, t: Box) -> Fraction:
    """Add the squared distance of the centres in units of the hull's diagonal."""
    x, y = ((p[i] + p[i + 2] - t[i] - t[i + 2]) / 2 for i in (0, 1))
    left, top, right, bottom = hull(p, t)
    return 1 - iou(p, t) + (x**2 + y**2) / ((right - left) ** 2 + (bottom - top) ** 2)


def ciou(p: Box, t: Box) -> float:
    """Add the difference of the aspect ratios."""
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (p, t)]
    v = 4.0 / math.pi**2 * (angles[1] - angles[0]) ** 2
    return float(diou(p, t)) + v * v / (float(1 - iou(p, t)) + v)


# Masks, in fractions


def pixels(prediction: Sequence[float], target: Sequence[float]) -> tuple[Fraction, Fraction]:
    """Count intersection and union, a soft pixel by its share."""
    pairs = [(Fraction(p), Fraction(t)) for p, t in zip(prediction, target, strict=True)]
    common = sum((p * t for p, t in pairs), Fraction(0))
    return common, sum((p + t for p, t in pairs), Fraction(0)) - common


def mask_iou(prediction: Sequence[float], target: Sequence[float], smooth: float) -> Fraction:
    """Smooth both counts; two empty masks agree."""
    common, union = (count + Fraction(smooth) for count in pixels(prediction, target))
    return 1 - common / union if union else Fraction(0)


def mask_iou_thresholded(prediction: Sequence[float], target: Sequence[float]) -> Fraction:
    """Count the thresholds that the ratio does not exceed."""
    common, union = pixels(prediction, target)
    ratio = common / union if union else Fraction(1)
    return 1 - Fraction(sum(ratio > Fraction(k, 20) for k in range(10, 20)), 10)


# Vectors


def contrastive(
    left: Array, right: Array, target: float, margin: float, similar: int, half: bool, eps: float
) -> float:
    """Attract what is similar, repel the rest."""
    d = math.dist(left, right - eps)
    value = d**2 if target == similar else max(0.0, margin - d) ** 2
    return value / 2 if half else value


def triplet_margin(
    anchor: Array, positive: Array, negative: Array, margin: float, p: float, swap: bool, eps: float
) -> float:
    """Compare Minkowski distances of SciPy."""
    near = distance.minkowski(anchor + eps, positive, p)
    far = distance.minkowski(anchor + eps, negative, p)
    if swap:
        far = min(far, distance.minkowski(positive + eps, negative, p))
    return max(0.0, float(near - far) + margin)


def cosine_embedding(left: Array, right: Array, target: float, margin: float) -> float:
    """Take SciPy's cosine distance, which is 1 minus the cosine."""
    gap = float(distance.cosine(left, right))
    return gap if target == 1.0 else max(0.0, 1.0 - gap - margin)


# Two populations, each with its own mean


def gan(if_real: Callable[..., Array] | None, if_generated: Callable[..., Array]) -> Oracle:
    """Add the means over the populations that count."""

    def oracle(*, parameters: Mapping[str, Any], prediction: Array, target: Array) -> float:
        real, generated = prediction[target == 1.0], prediction[target == 0.0]
        total = mean(if_generated(generated, **parameters).tolist())
        return total + (mean(if_real(real, **parameters).tolist()) if if_real else 0.0)

    return oracle


ORACLES: Mapping[str, Oracle] = {
    "mse": of_file(lambda prediction, target: metrics.mean_squared_error(target, prediction)),
    "rmse": of_file(lambda prediction, target: metrics.root_mean_squared_error(target, prediction)),
    "mbe": by_row(lambda prediction, target: Fraction(target) - Fraction(prediction)),
    "mae": of_file(lambda prediction, target: metrics.mean_absolute_error(target, prediction)),
    "huber": of_file(lambda prediction, target, delta: special.huber(delta, target - prediction)),
    "mape": of_file(
        lambda prediction, target: metrics.mean_absolute_percentage_error(target, prediction)
    ),
    "msle": of_file(lambda prediction, target: metrics.mean_squared_log_error(target, prediction)),
    "rmsle": of_file(
        lambda prediction, target: metrics.root_mean_squared_log_error(target, prediction)
    ),
    "bce": of_file(bce),
    "brier": of_file(brier),
    "bce_logits": of_file(
        lambda prediction, target: (
            -target * special.log_expit(prediction)
            - (1.0 - target) * special.log_expit(-prediction)
        )
    ),
    "cross_entropy": of_file(
        lambda prediction, target, eps: (
            -log_hit(prediction, eps, weights_of(target, prediction)).sum(axis=1)
        )
    ),
    "cross_entropy_logits": of_file(
        lambda prediction, target: (
            -(weights_of(target, prediction) * special.log_softmax(prediction, axis=1)).sum(axis=1)
        )
    ),
    "hinge": of_file(lambda prediction, target: metrics.hinge_loss(target, prediction)),
    "squared_hinge": by_row(squared_hinge),
    "multiclass_hinge": of_file(multiclass_hinge),
    "focal": of_file(focal),
    "focal_logits": by_row(focal_logits),
    "categorical_focal": of_file(categorical_focal),
    "iou": of_boxes(lambda p, t: 1 - iou(p, t)),
    "log_iou": of_boxes(lambda p, t: -math.log(iou(p, t))),
    "giou": of_boxes(giou),
    "diou": of_boxes(diou),
    "ciou": of_boxes(ciou),
    "mask_iou": by_row(mask_iou),
    "mask_iou_thresholded": by_row(mask_iou_thresholded),
    "contrastive": by_row(contrastive),
    "triplet": by_row(
        lambda positive, negative: -special.log_expit(np.subtract.outer(positive, negative)).mean()
    ),
    "triplet_margin": by_row(triplet_margin),
    "cosine_embedding": by_row(cosine_embedding),
    "gan_discriminator": gan(lambda p, eps: -log_hit(p, eps), lambda p, eps: -log_miss(p, eps)),
    "gan_discriminator_logits": gan(
        lambda z: -special.log_expit(z), lambda z: -special.log_expit(-z)
    ),
    "gan_generator": gan(None, lambda p, eps: -log_hit(p, eps)),
    "gan_generator_logits": gan(None, lambda z: -special.log_expit(z)),
    "gan_generator_saturating": gan(None, log_miss),
    "gan_generator_saturating_logits": gan(None, lambda z: special.log_expit(-z)),
}
"""Name of every loss to its oracle: a new loss needs one line here."""


def plain(values: Any) -> Any:
    """Give ragged values as a list of arrays, the form that needs no explanation."""
    return np.split(values.values, values.offsets[1:-1]) if isinstance(values, Ragged) else values


def test_the_value_of_a_file_agrees_with_the_oracle(
    spec: Spec,
    soft_targets: bool,
    draw: Draw,
    write_parquet: Callable[..., Path],
    measure: Callable[..., Report],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To 1e-12 relative, and the same bits for chunks of 1, 7 and all rows and for two jobs."""
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 8)
    columns = draw(spec.loss, ROWS, soft_targets=soft_targets, seed=11)
    path = write_parquet(tmp_path / "rows.parquet", columns, groups=GROUPS)
    result, *others = (
        measure(spec.full, path, chunk_rows=chunk_rows, jobs=jobs).results[0]
        for chunk_rows in (1, 7, ROWS)
        for jobs in (1, 2)
    )
    assert {repr(other) for other in others} == {repr(result)}
    with np.errstate(divide="ignore"):
        expected = ORACLES[spec.loss.name](
            **{role: plain(values) for role, values in columns.items()}, parameters=spec.parameters
        )
    if math.isinf(expected):
        assert (result.value, result.limit) == (None, expected)
    else:
        assert result.value == pytest.approx(expected, rel=1e-12, abs=0.0)


def without_oracle(registry: Mapping[str, Loss]) -> set[str]:
    """Give the names of the losses that nothing is compared with."""
    return set(registry) - set(ORACLES)


def test_every_loss_has_an_oracle() -> None:
    """No loss without a line in `ORACLES`, and no line without its loss."""
    assert not without_oracle(REGISTRY)
    assert not set(ORACLES) - set(REGISTRY)


def test_a_loss_without_an_oracle_is_noticed() -> None:
    """One more loss is enough for the test above to fail."""

    @loss(formula="mean((t - p)^4)", reference="none")
    def unproven(prediction: Real, target: Real) -> Array:
        """Quartic error."""
        return (target - prediction) ** 4

    assert without_oracle(REGISTRY | {unproven.name: unproven}) == {unproven.name}
