"""Classification losses: numbers worked out by hand, and where libraries differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from lossctl.errors import DomainError
from lossctl.losses import find
from lossctl.report import Report

EPS = 2.0**-52


def test_the_clip_bounds_the_loss_of_a_certain_and_wrong_row() -> None:
    """A probability of 1 for a label of 0 costs 52 log 2 by default, as in scikit-learn."""
    assert find("bce")([1.0, 0.0], [0, 1]) == pytest.approx(52.0 * math.log(2.0), rel=1e-15)


def test_a_certain_and_right_row_costs_nothing() -> None:
    """Only what a logarithm is taken of is clipped, so that no right answer costs eps."""
    assert find("bce")([1.0, 0.0], [1, 0]).tolist() == [0.0, 0.0]
    assert find("cross_entropy")([[1.0, 0.0]], [0]).tolist() == [0.0]


@pytest.mark.parametrize("target", [[1], [[0.5, 0.5]]], ids=["hard", "soft"])
def test_without_a_clip_the_loss_is_infinite(target: list[float]) -> None:
    """``eps=0`` is the honest logarithm, and 0 log 0 is still 0."""
    assert find("bce")([0.0, 0.0], [1, 0], eps=0.0).tolist() == [math.inf, 0.0]
    assert find("cross_entropy")([[1.0, 0.0]], target, eps=0.0).tolist() == [math.inf]


def test_an_infinite_row_makes_the_value_undefined_and_says_why(
    write_csv: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """No infinity is averaged silently: the report names the reason, the count and the row."""
    columns = {"prediction": np.array([0.5, 0.0]), "target": np.array([1.0, 1.0])}
    path = write_csv(tmp_path / "rows.csv", columns)
    result = measure("bce:eps=0", path).results[0]
    assert (result.value, result.limit, result.reason) == (None, math.inf, "infinite in 1 row")
    assert [ref.row for ref in result.infinite.first] == [2]


def test_clipped_rows_are_counted_with_their_share(
    write_csv: Callable[..., Path], measure: Callable[..., Report], tmp_path: Path
) -> None:
    """Two of four rows are certain, one of them wrong: that one was changed by the clip."""
    columns = {"prediction": np.array([0.5, 0.0, 0.0, 0.5]), "target": np.array([1.0, 0, 1, 0])}
    result = measure("bce", write_csv(tmp_path / "rows.csv", columns)).results[0]
    assert (result.clipped.count, [ref.row for ref in result.clipped.first]) == (1, [3])
    assert result.clipped_share == pytest.approx(52.0 / 54.0, rel=1e-15)


def test_the_least_loss_of_a_soft_target_is_its_entropy() -> None:
    """A probability equal to the soft target is not free."""
    assert find("bce")([0.3], [0.3]) == pytest.approx(0.6108643020548935, rel=1e-15)


def test_losses_of_scores_stay_finite_for_any_score() -> None:
    """A wrong score of 200 costs 200; Keras' NumPy backend gives 15.94."""
    assert find("bce_logits")([200.0, 1e300], [0, 0]).tolist() == [200.0, 1e300]
    assert find("cross_entropy_logits")([[0.0, 1e300]], [0]).tolist() == [1e300]


def test_hard_labels_give_the_log_loss_of_scikit_learn(
    draw: Callable[..., dict[str, np.ndarray]],
) -> None:
    """Binary and of several classes, certain rows included.

    scikit-learn clips to [eps, 1 - eps], so that a right and certain row costs it eps.
    """
    for name, labels in (("bce", [0, 1]), ("cross_entropy", [0, 1, 2, 3])):
        columns = draw(find(name), 80)
        target = np.round(columns["target"])
        expected = metrics.log_loss(target, columns["prediction"], labels=labels)
        assert find(name)(columns["prediction"], target).mean() == pytest.approx(expected, 1e-12)


def test_classes_are_matched_by_column_name_and_never_by_sorting(
    measure: Callable[..., Report], tmp_path: Path
) -> None:
    """Columns in the order b, a give 0.164; the classes sorted first would give 1.956."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction_b,prediction_a,target\n0.9,0.1,b\n0.2,0.8,a\n", encoding="utf-8")
    result = measure("cross_entropy", path).results[0]
    assert result.value == pytest.approx(-0.5 * math.log(0.9 * 0.8), rel=1e-12)


def test_class_numbers_may_be_written_as_floats(
    measure: Callable[..., Report], tmp_path: Path
) -> None:
    """Pandas writes a column of whole numbers as 1.0 as soon as one of them has been missing."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction_0,prediction_1,target\n0.25,0.75,1.0\n", encoding="utf-8")
    assert measure("cross_entropy", path).results[0].value == -math.log(0.75)


def test_rows_are_never_rescaled_to_sum_to_one() -> None:
    """A row that misses 1 by less than the tolerance counts as it stands; others are refused."""
    cross_entropy = find("cross_entropy")
    assert cross_entropy([[0.2, 0.7996]], [0]).tolist() == [-math.log(0.2)]
    with pytest.raises(DomainError, match="sum to 1 within 0.001"):
        cross_entropy([[0.2, 0.2]], [0])


def test_labels_zero_and_one_are_taken_as_signs() -> None:
    """Both codings give the same hinge losses."""
    scores = [0.5, -2.0, 0.5]
    for name, expected in (("hinge", [1.5, 0.0, 0.5]), ("squared_hinge", [2.25, 0.0, 0.25])):
        assert find(name)(scores, [0, 0, 1]).tolist() == expected
        assert find(name)(scores, [-1, -1, 1]).tolist() == expected


def test_a_file_of_one_class_is_read_like_any_other() -> None:
    """Two right scores of 2 cost nothing; scikit-learn takes a lone class for the negative one."""
    assert find("hinge")([2.0, 2.0], [1, 1]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_mixes_codings_is_refused_however_it_is_cut(
    chunk_rows: int,
    jobs: int,
    write_csv: Callable[..., Path],
    measure: Callable[..., Report],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """-1 and 0 far apart contradict each other, also where no chunk holds both."""
    monkeypatch.setattr("lossctl.data.csv.RANGE_BYTES", 8)
    columns = {"prediction": np.zeros(9), "target": np.array([-1.0, *[1.0] * 7, 0.0])}
    path = write_csv(tmp_path / "rows.csv", columns)
    with pytest.raises(DomainError, match="mix -1 and 0"):
        measure("hinge", path, chunk_rows=chunk_rows, jobs=jobs)


@pytest.mark.parametrize(
    ("scores", "crammer_singer", "weston_watkins"),
    [([1.0, 0.5, 0.8], 0.8, 1.3 / 3.0), ([-1.0, -5.0, -5.0], 0.0, 0.0)],
)
def test_the_two_hinges_of_several_classes(
    scores: list[float], crammer_singer: float, weston_watkins: float
) -> None:
    """The strongest rival, and the sum over all rivals divided by the number of classes."""
    hinge = find("multiclass_hinge")
    assert hinge([scores], [0]) == pytest.approx(crammer_singer, rel=1e-15)
    assert hinge([scores], [0], kind="weston_watkins") == pytest.approx(weston_watkins, rel=1e-15)
