"""Detection losses: numbers worked out by hand, and where libraries differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.errors import DomainError, LossctlError
from lossctl.evaluate import evaluate
from lossctl.losses import Ragged, find, parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report

SQUARE = [[0.0, 0.0, 2.0, 2.0]]
SHIFTED = [[1.0, 1.0, 3.0, 3.0]]
"""Shares one of seven parts with the square."""
AWAY = [[5.0, 5.0, 6.0, 6.0]]


def ragged(rows: Sequence[Sequence[float]]) -> Ragged:
    """Give rows of different lengths as ragged values."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(np.array([value for row in rows for value in row], dtype=np.float64), offsets)


@pytest.mark.parametrize(
    ("p", "label", "alpha", "expected"),
    [
        (0.9, 1, None, 0.001053605156578263),
        (0.9, 1, 0.25, 0.0002634012891445658),
        (0.1, 0, 0.25, 0.0007902038674336974),
    ],
)
def test_focal_loss_of_an_easy_row(
    p: float, label: int, alpha: float | None, expected: float
) -> None:
    """The numbers of several libraries; alpha weighs the positives and is off by default."""
    assert find("focal")([p], [label], alpha=alpha) == pytest.approx(expected, rel=1e-14)
    score = math.log(p / (1.0 - p))
    assert find("focal_logits")([score], [label], alpha=alpha) == pytest.approx(expected, rel=1e-14)


def test_focal_loss_without_focus_is_half_of_the_cross_entropy() -> None:
    """With gamma 0 and alpha one half, not with alpha off, the loss is halved."""
    columns = [0.2, 0.7, 1.0], [1, 0.4, 0]
    halved = find("focal")(*columns, gamma=0.0, alpha=0.5)
    np.testing.assert_allclose(2.0 * halved, find("bce")(*columns), rtol=1e-15)
    np.testing.assert_allclose(
        find("focal")(*columns, gamma=0.0), find("bce")(*columns), rtol=1e-15
    )


@pytest.mark.parametrize(
    ("name", "shifted", "away"),
    [
        ("iou", 6.0 / 7.0, 1.0),
        ("log_iou", math.log(7.0), math.inf),
        ("giou", 1.0793650793650793, 1.8611111111111112),
        ("diou", 0.9682539682539683, 1.5625),
        ("ciou", 0.9682539682539683, 1.5625),
    ],
)
def test_losses_of_boxes(name: str, shifted: float, away: float) -> None:
    """Two squares that share a part, and two that do not."""
    loss = find(name)
    assert loss(SQUARE, SHIFTED) == pytest.approx(shifted, rel=1e-15)
    assert loss(SQUARE, AWAY) == pytest.approx(away, rel=1e-15)


@pytest.mark.parametrize("name", ["iou", "log_iou", "giou", "diou", "ciou"])
def test_equal_boxes_lose_nothing_in_any_coding(name: str) -> None:
    """Exactly 0, and the codings of one box agree."""
    loss = find(name)
    codings = {"xyxy": [[1.0, 2.0, 4.0, 8.0]], "xywh": [[1.0, 2.0, 3.0, 6.0]]}
    codings["cxcywh"] = [[2.5, 5.0, 3.0, 6.0]]
    others = {"xyxy": [[2.0, 3.0, 6.0, 7.0]], "xywh": [[2.0, 3.0, 4.0, 4.0]]}
    others["cxcywh"] = [[4.0, 5.0, 4.0, 4.0]]
    for coding, box in codings.items():
        assert loss(box, box, format=coding).tolist() == [0.0]
    assert len({float(loss(codings[c], others[c], format=c)[0]) for c in codings}) == 1


@pytest.mark.parametrize("name", ["iou", "log_iou", "giou", "diou", "ciou"])
@pytest.mark.parametrize("coding", ["xyxy", "xywh", "cxcywh"])
def test_reversed_corners_are_an_error_and_not_a_silent_zero(name: str, coding: str) -> None:
    """Other libraries multiply two negative sides to a positive area, or clamp them."""
    reversed_box = [[2.0, 2.0, 0.0, 0.0]] if coding == "xyxy" else [[2.0, 2.0, -1.0, -1.0]]
    with pytest.raises(DomainError, match="prediction must hold .* the corners in order"):
        find(name)(reversed_box, SQUARE, format=coding)


def test_boxes_without_area_share_nothing() -> None:
    """Quotients 0/0 count as 0: no NaN, where other libraries give one."""
    point = [[1.0, 1.0, 1.0, 1.0]]
    assert [find(name)(point, point).tolist() for name in ("iou", "giou", "diou", "ciou")] == [
        [1.0]
    ] * 4


def test_a_mask_ratio_equal_to_a_threshold_does_not_exceed_it() -> None:
    """For IoU k/20 exactly ``k - 10`` of the ten thresholds are exceeded, without rounding."""
    masks = [[1.0] * k + [0.0] * (20 - k) for k in range(10, 21)]
    losses = find("mask_iou_thresholded")(ragged(masks), ragged([[1.0] * 20] * 11))
    assert losses.tolist() == [float(1 - Fraction(min(k - 10, 10), 10)) for k in range(10, 21)]


@pytest.mark.parametrize("name", ["mask_iou", "mask_iou_thresholded"])
def test_empty_masks(name: str) -> None:
    """Two empty masks agree; a pixel that should not be, or is not there, misses all."""
    loss = find(name)
    empty, one = [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    assert loss(ragged([empty, []]), ragged([empty, []])).tolist() == [0.0, 0.0]
    assert loss(ragged([one, empty]), ragged([empty, one])) == pytest.approx(1.0, rel=2e-6)


def test_a_soft_mask_counts_pixels_by_their_share() -> None:
    """I = 1.5 and U = 2.5 of the smoothed ratio."""
    result = find("mask_iou")(ragged([[1.0, 0.5, 0.5]]), ragged([[1.0, 1.0, 0.0]]), smooth=0.5)
    assert result == pytest.approx(1.0 / 3.0, rel=1e-15)


def test_masks_of_different_sizes_are_refused(
    write_parquet: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """A row whose masks differ in size is named, even where the sizes of a chunk add up."""
    prediction, target = ragged([[1.0], [0.0, 1.0, 1.0]]), ragged([[1.0, 0.0, 1.0], [1.0]])
    path = write_parquet(tmp_path / "masks.parquet", {"prediction": prediction, "target": target})
    with pytest.raises(LossctlError, match="1 .* 3|3 .* 1") as caught:
        measure("mask_iou", path)
    assert caught.value.place.row == 1


def test_masks_of_two_sizes_may_be_measured_in_one_run(
    write_parquet: Callable[..., Path], tmp_path: Path
) -> None:
    """Each loss compares the sizes of its own two masks."""
    columns = {
        "small": ragged([[1.0]]),
        "small_truth": ragged([[1.0]]),
        "large": ragged([[1.0, 0.0, 1.0]]),
        "large_truth": ragged([[1.0, 1.0, 1.0]]),
    }
    path = write_parquet(tmp_path / "masks.parquet", columns)
    choices = Choices(
        {
            "mask_iou.prediction": "small",
            "mask_iou.target": "small_truth",
            "mask_iou_thresholded.prediction": "large",
            "mask_iou_thresholded.target": "large_truth",
        }
    )
    specs = parse(["mask_iou,mask_iou_thresholded"])
    report = evaluate(make_plan([open_source(str(path))], specs, choices, Policies()))
    assert [result.value for result in report.results] == [0.0, 0.6]
