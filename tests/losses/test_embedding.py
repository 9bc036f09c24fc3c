"""Embedding losses: numbers worked out by hand, and where libraries differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DomainError
from lossctl.losses import Ragged, find
from lossctl.report import Report


def ragged(rows: Sequence[Sequence[float]]) -> Ragged:
    """Give rows of different lengths as ragged values."""
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Ragged(np.array([value for row in rows for value in row], dtype=np.float64), offsets)


@pytest.mark.parametrize(
    ("half", "dissimilar", "similar"), [(False, 0.36, 0.16), (True, 0.18, 0.08)]
)
def test_contrastive_loss_at_distance_two_fifths(
    half: bool, dissimilar: float, similar: float
) -> None:
    """Label 0 means similar, as in Hadsell 2006, who halves the squares; ``similar=1`` flips."""
    pairs = [[0.0, 0.0]] * 2, [[0.24, 0.32]] * 2
    contrastive = find("contrastive")
    expected = pytest.approx([dissimilar, similar], rel=1e-12)
    assert contrastive(*pairs, [1, 0], half=half).tolist() == expected
    assert contrastive(*pairs, [0, 1], half=half, similar=1).tolist() == expected


def test_contrastive_loss_is_flat_beyond_the_margin() -> None:
    """Dissimilar vectors at the margin or farther cost nothing."""
    pairs = [[0.0, 0.0]] * 2, [[3.0, 4.0], [30.0, 40.0]]
    assert find("contrastive")(*pairs, [1, 1], margin=5.0).tolist() == [0.0, 0.0]


def test_a_shift_of_the_difference_reproduces_pairwise_distance() -> None:
    """With ``eps=1e-6`` a vector is ``1e-6 sqrt(D)`` away from itself, as in PyTorch."""
    same = [[0.5, -1.0, 2.0, 0.0]]
    assert find("contrastive")(same, same, [0], eps=1e-6) == pytest.approx(4e-12, rel=1e-9)


def test_the_triplet_loss_of_five_scores() -> None:
    """The mean over all six pairs of softplus(negative - positive)."""
    result = find("triplet")(ragged([[2.0, 0.5]]), ragged([[1.0, -1.0, 0.0]]))
    assert result == pytest.approx(0.3563907160796506, rel=1e-15)


def test_exemplars_count_alike_however_many_pairs_they_have(
    write_parquet: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """The value is the mean of the groups' means, not the pooled mean over pairs."""
    columns = {
        "positive": ragged([[0.0, 0.0, 0.0], [5.0]]),
        "negative": ragged([[0.0, 0.0], [5.0 + math.log(math.e**2 - 1.0)]]),
    }
    path = write_parquet(tmp_path / "groups.parquet", columns)
    value = measure("triplet", path).results[0].value
    assert value == pytest.approx((math.log(2.0) + 2.0) / 2.0, rel=1e-12)


def test_the_triplet_loss_stays_finite_for_any_score() -> None:
    """The direct formula with exponentials is NaN at a score of 800."""
    result = find("triplet")(ragged([[800.0], [-800.0]]), ragged([[800.0], [800.0]]))
    assert result.tolist() == [math.log(2.0), 1600.0]


def test_an_exemplar_without_scores_is_refused() -> None:
    """There is no mean over no pairs."""
    with pytest.raises(
        DomainError, match=r"negative must hold M|negative must hold N .* \(row 1\)"
    ):
        find("triplet")(ragged([[1.0], [2.0]]), ragged([[1.0], []]))


def test_the_margin_triplet_compares_plain_distances() -> None:
    """Near 5, far 13: free at margin 1, 2 short at margin 10; FaceNet squares the distances."""
    vectors = [[0.0, 0.0]], [[3.0, 4.0]], [[5.0, 12.0]]
    triplet = find("triplet_margin")
    assert triplet(*vectors, eps=0.0).tolist() == [0.0]
    assert triplet(*vectors, margin=10.0, eps=0.0).tolist() == [2.0]


def test_swapping_takes_the_nearer_of_anchor_and_positive() -> None:
    """The negative is 13 from the anchor, and the square root of 68 from the positive."""
    vectors = [[0.0, 0.0]], [[3.0, 4.0]], [[5.0, 12.0]]
    result = find("triplet_margin")(*vectors, margin=10.0, swap=True, eps=0.0)
    assert result == pytest.approx(15.0 - math.sqrt(68.0), rel=1e-15)


def test_the_degree_of_the_norm() -> None:
    """With p = 1 distances are 7 and 17."""
    vectors = [[0.0, 0.0]], [[3.0, 4.0]], [[5.0, 12.0]]
    assert find("triplet_margin")(*vectors, margin=12.0, p=1.0, eps=0.0).tolist() == [2.0]


def test_the_cosine_loss_knows_equal_opposite_and_crossing_vectors() -> None:
    """Exactly 0, 2 and 1 for similar pairs; exactly 1, 0 and 0 for dissimilar ones."""
    left = [[3.0, 4.0]] * 3
    right = [[3.0, 4.0], [-3.0, -4.0], [4.0, -3.0]]
    cosine = find("cosine_embedding")
    assert cosine(left, right, [1] * 3).tolist() == [0.0, 2.0, 1.0]
    assert cosine(left, right, [-1] * 3).tolist() == [1.0, 0.0, 0.0]


def test_the_zero_vector_has_no_direction() -> None:
    """Its cosine counts as 0, as in PyTorch."""
    assert find("cosine_embedding")([[0.0, 0.0]], [[1.0, 0.0]], [1]).tolist() == [1.0]
