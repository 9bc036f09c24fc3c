"""Comparisons: the numbers are those of SciPy and of the definitions, whatever the cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from lossctl.compare import Method
from lossctl.comparison import Comparison, Difference
from lossctl.errors import ColumnError, InputError, PairingError, UsageError

Array = npt.NDArray[np.float64]
Contest = Callable[..., Comparison]
Write = Callable[..., Path]
ROWS = 400


def rows_of(seed: int = 0, rows: int = ROWS) -> dict[str, Any]:
    """Give a target and the columns of three models of it, the third the best."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=rows) * np.exp(rng.normal(size=rows))
    return {
        "target": target,
        "a": target + rng.normal(size=rows),
        "b": target + 0.9 * rng.normal(size=rows) + 0.1,
        "c": target + 0.3 * rng.normal(size=rows),
        "part": rng.integers(3, size=rows).astype(np.float64),
    }


@pytest.fixture
def columns() -> dict[str, Any]:
    return rows_of()


@pytest.fixture
def path(columns: dict[str, Any], write_parquet: Write, tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "rows.parquet", columns, groups=(1, 150, 7))


def of(found: Comparison, loss: str, **slice_: Any) -> Difference:
    """Give the first result of a loss over a slice."""
    return next(r for r in found.results if r.loss == loss and r.slice == slice_)


def test_a_mean_is_judged_by_the_paired_t_test(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    result = of(contest("mae", path, preds=["a", "b"]), "mae")
    before, after = (np.abs(columns["target"] - columns[name]) for name in "ab")
    known = stats.ttest_rel(after, before)
    interval = known.confidence_interval(0.95)
    assert result.difference == pytest.approx(after.mean() - before.mean(), rel=1e-10)
    assert result.p_value == pytest.approx(known.pvalue, rel=1e-10)
    assert result.ci is not None
    assert result.ci.lower == pytest.approx(interval.low, rel=1e-10)
    assert result.ci.upper == pytest.approx(interval.high, rel=1e-10)
    assert result.better == np.mean(after < before)
    assert result.worse == np.mean(after > before)
    assert result.relative_difference == pytest.approx(after.mean() / before.mean() - 1, rel=1e-9)


def test_a_root_is_judged_by_the_delta_method(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    result = of(contest("rmse", path, preds=["a", "b"]), "rmse")
    squares = [(columns["target"] - columns[name]) ** 2 for name in "ab"]
    roots = [math.sqrt(part.mean()) for part in squares]
    linear = squares[1] / (2 * roots[1]) - squares[0] / (2 * roots[0])
    assert result.difference == pytest.approx(roots[1] - roots[0], rel=1e-10)
    assert result.std_error == pytest.approx(linear.std(ddof=1) / math.sqrt(ROWS), rel=1e-10)


def test_a_ratio_over_a_population_is_judged_by_the_delta_method(
    contest: Contest, write_parquet: Write, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    label = rng.integers(2, size=ROWS).astype(np.float64)
    models = {name: rng.uniform(0.05, 0.95, ROWS) for name in "ab"}
    path = write_parquet(tmp_path / "x.parquet", {"target": label} | models)
    result = of(contest("gan_discriminator", path, preds=["a", "b"]), "gan_discriminator")

    def parts(p: Array) -> Array:
        logs = np.where(label == 1, -np.log(p), -np.log(1 - p))
        real, fake = logs[label == 1].mean(), logs[label == 0].mean()
        share = label.mean()
        return (
            label * (logs - real) / share
            + (1 - label) * (logs - fake) / (1 - share)
            + (real + fake)
        )

    linear = parts(models["b"]) - parts(models["a"])
    assert result.difference == pytest.approx(linear.mean(), rel=1e-9)
    assert result.std_error == pytest.approx(linear.std(ddof=1) / math.sqrt(ROWS), rel=1e-9)


def test_weights_are_those_of_the_ratio_of_weighted_sums(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    weights = np.random.default_rng(1).uniform(0.1, 3.0, ROWS)
    path = write_parquet(tmp_path / "w.parquet", columns | {"w": weights})
    result = of(contest("mse", path, preds=["a", "b"], weight="w"), "mse")
    before, after = ((columns["target"] - columns[name]) ** 2 for name in "ab")
    gap = np.average(after - before, weights=weights)
    variance = np.sum((weights * (after - before - gap)) ** 2) / weights.sum() ** 2
    assert result.difference == pytest.approx(gap, rel=1e-9)
    assert result.std_error == pytest.approx(math.sqrt(variance * ROWS / (ROWS - 1)), rel=1e-9)


def test_a_model_compared_with_itself_differs_by_exactly_nothing(
    contest: Contest, path: Path
) -> None:
    found = contest("mae,rmse,mbe,huber", path, preds=["a", "a"], by=(("part",),))
    for result in found.results:
        assert result.difference == result.relative_difference == result.std_error == 0.0
        assert result.ci is not None
        assert (result.ci.lower, result.ci.upper) == (0.0, 0.0)
        assert (result.p_value, result.verdict) == (1.0, "no difference shown")
        assert (result.better, result.equal, result.worse) == (0.0, 1.0, 0.0)
        assert result.minimum_detectable_effect == 0.0


def test_perfect_models_are_equal_even_where_a_root_has_no_slope(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    target = columns["target"]
    path = write_parquet(tmp_path / "x.parquet", {"target": target, "a": target, "b": target + 1})
    same = contest("rmse", path, preds=["a", "a"]).results[0]
    assert (same.difference, same.p_value, same.verdict) == (0.0, 1.0, "no difference shown")
    assert same.relative_reason == "the baseline is 0"
    other = contest("rmse", path, preds=["a", "b"]).results[0]
    assert (other.difference, other.verdict) == (1.0, "not judged")
    assert other.reason == "the value has no slope here"


def test_the_verdict_of_a_bias_is_about_its_distance_from_zero(
    contest: Contest, write_parquet: Write, tmp_path: Path
) -> None:
    noise = np.random.default_rng(2).normal(size=(2, ROWS)) * 0.1
    columns = {"target": np.zeros(ROWS), "a": noise[0] + 1.0, "b": noise[1] - 0.5}
    path = write_parquet(tmp_path / "x.parquet", columns)
    result = contest("mbe", path, preds=["a", "b"]).results[0]
    assert result.difference == pytest.approx(1.5, abs=0.05)
    assert result.verdict == "better"
    assert result.distance is not None
    assert result.distance.difference == pytest.approx(-0.5, abs=0.05)


def test_slices_are_compared_as_if_they_were_files(
    contest: Contest, path: Path, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    found = contest("rmse,mbe", path, preds=["a", "b"], by=(("part",),))
    for part in range(3):
        rows = columns["part"] == part
        alone = write_parquet(tmp_path / "p.parquet", {k: v[rows] for k, v in columns.items()})
        for result in contest("rmse,mbe", alone, preds=["a", "b"]).results:
            sliced = of(found, result.loss, part=part)
            assert (sliced.difference, sliced.ci, sliced.p_value, sliced.better) == (
                result.difference,
                result.ci,
                result.p_value,
                result.better,
            )


@pytest.mark.parametrize(("chunk_rows", "jobs"), [(1, 1), (7, 4), (64, 2), (1 << 16, 1)])
def test_a_comparison_is_the_same_for_any_cut(
    contest: Contest, path: Path, chunk_rows: int, jobs: int
) -> None:
    asked = "mae,rmse,mbe"
    first = contest(asked, path, preds=["a", "b", "c"], by=(("part",),))
    cut = contest(
        asked, path, preds=["a", "b", "c"], by=(("part",),), chunk_rows=chunk_rows, jobs=jobs
    )
    assert cut.to_dict()["digest"] == first.to_dict()["digest"]


def test_the_order_of_the_rows_changes_no_digit(
    contest: Contest, path: Path, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    order = np.random.default_rng(3).permutation(ROWS)
    shuffled = {name: values[order] for name, values in columns.items()}
    other = write_parquet(tmp_path / "shuffled.parquet", shuffled, groups=(3, 90))
    both = [contest("mae,rmse", p, preds=["a", "b"], by=(("part",),)) for p in (path, other)]
    assert both[0].to_dict()["digest"] == both[1].to_dict()["digest"]


def test_files_are_compared_as_columns_of_one_file_are(
    contest: Contest, path: Path, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    for name in "abc":
        write_parquet(tmp_path / f"{name}.parquet", {"id": columns["part"], "yhat": columns[name]})
    truth = write_parquet(tmp_path / "truth.parquet", {"target": columns["target"]})
    files = [tmp_path / f"{name}.parquet" for name in "abc"]
    apart = contest("mae,rmse", *files, targets=truth)
    whole = contest("mae,rmse", path, preds=["a", "b", "c"])
    told = contest("mae,rmse", *files, targets=truth, preds=["yhat"])
    for found in (apart, told):
        for result, other in zip(found.results, whole.results, strict=True):
            assert (result.difference, result.ci, result.p_value) == (
                other.difference,
                other.ci,
                other.p_value,
            )


def test_a_leaderboard_marks_the_rivals_that_a_model_beats(contest: Contest, path: Path) -> None:
    found = contest("rmse", path, preds=["a", "b", "c"], method=Method(correction="holm"))
    [board] = found.leaderboards
    assert board.standings[0].model == "c"
    assert [one.rank for one in board.standings] == [1, 2, 3]
    assert set(board.standings[0].beats) == {"a", "b"}
    pair = contest("rmse", path, preds=["b", "c"]).results[0]
    assert pair.verdict == "better"


def test_p_values_are_corrected_over_losses_slices_and_candidates(
    contest: Contest, path: Path
) -> None:
    raw = contest("mae,mse", path, preds=["a", "b", "c"], by=(("part",),))
    holm = contest(
        "mae,mse", path, preds=["a", "b", "c"], by=(("part",),), method=Method(correction="holm")
    )
    assert raw.tests == holm.tests == 2 * 4 * 2
    assert "correction=holm over 16 tests" in holm.signature
    least = min(r.p_value for r in raw.results if r.p_value is not None)
    assert min(r.p_adjusted for r in holm.results if r.p_adjusted is not None) == 16 * least
    assert [r.p_value for r in holm.results] == [r.p_value for r in raw.results]


def test_an_infinite_model_spoils_no_other(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    broken = columns["c"].copy()
    broken[7] = np.inf
    whole = contest(
        "mse", write_parquet(tmp_path / "x.parquet", columns), preds=["a", "b"], nonfinite="keep"
    ).results[0]
    path = write_parquet(tmp_path / "y.parquet", columns | {"c": broken})
    found = contest("mse", path, preds=["a", "b", "c"], nonfinite="keep")
    first, second = found.results
    assert (first.difference, first.ci) == (whole.difference, whole.ci)
    assert (second.difference, second.verdict) == (None, "not judged")
    assert second.reason == "the candidate is infinite in 1 row"
    assert any("row 8" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("rows", "shift", "reason"),
    [
        (1, 0.5, "fewer than 2 rows"),
        (4, 1.0, "every row differs by the same amount, so there is no variance to judge by"),
    ],
)
def test_what_cannot_be_judged_says_why(
    contest: Contest, write_parquet: Write, tmp_path: Path, rows: int, shift: float, reason: str
) -> None:
    target = np.zeros(rows)
    columns = {"target": target, "a": target + 1.0, "b": target + 1.0 + shift}
    result = contest("mae", write_parquet(tmp_path / "x.parquet", columns), preds=["a", "b"])
    [found] = result.results
    assert (found.difference, found.p_value, found.ci) == (shift, None, None)
    assert (found.verdict, found.reason) == ("not judged", reason)


def test_files_whose_rows_differ_are_refused(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    ids = np.arange(ROWS, dtype=np.float64)
    one, other = (
        write_parquet(tmp_path / f"{name}.parquet", {"id": some, "prediction": columns[name]})
        for name, some in (("a", ids), ("b", ids[::-1].copy()))
    )
    truth = write_parquet(tmp_path / "t.parquet", {"target": columns["target"]})
    with pytest.raises(PairingError, match="share the column 'id'"):
        contest("mae", one, other, targets=truth)


def test_a_candidate_without_predictions_is_not_given_those_of_the_baseline(
    contest: Contest, write_parquet: Write, tmp_path: Path
) -> None:
    ones = np.ones(3)
    base = write_parquet(tmp_path / "a.parquet", {"prediction": ones, "target": ones})
    other = write_parquet(tmp_path / "b.parquet", {"guess": ones})
    with pytest.raises(ColumnError, match="has no column for the role 'prediction'"):
        contest("mae", base, other)


def test_one_model_is_no_comparison(contest: Contest, path: Path) -> None:
    with pytest.raises(UsageError, match="only one model"):
        contest("mae", path, preds=["a"])
    with pytest.raises(UsageError, match="3 --pred for 2 files"):
        contest("mae", path, path, preds=["a", "b", "c"])


def test_no_rows_are_no_comparison(contest: Contest, write_parquet: Write, tmp_path: Path) -> None:
    none = np.zeros(0)
    path = write_parquet(tmp_path / "x.parquet", {"target": none, "a": none, "b": none})
    with pytest.raises(InputError, match="no rows"):
        contest("mae", path, preds=["a", "b"])


def test_rows_paired_by_key_give_the_same_digits_in_any_order(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    rng = np.random.default_rng(4)
    ids = np.arange(ROWS, dtype=np.float64)
    targets = {"id": ids, "target": columns["target"], "part": columns["part"]}
    models = {name: {"id": ids, "prediction": columns[name]} for name in "abc"}
    found = []
    for shuffled in (False, True):
        paths = []
        for name, table in {**models, "truth": targets}.items():
            order = rng.permutation(ROWS) if shuffled else np.arange(ROWS)
            part = {column: values[order] for column, values in table.items()}
            paths.append(write_parquet(tmp_path / f"{name}.parquet", part))
        *files, truth = paths
        found.append(
            contest("mae,rmse", *files, targets=truth, keys=("id",), by=(("part",),)).to_dict()
        )
    assert found[0]["digest"] == found[1]["digest"]
    assert found[0]["rows"]["matching"]["matched"] == ROWS
