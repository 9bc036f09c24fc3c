"""Clusters, blocks, ranks and the bootstrap: against statsmodels and SciPy, for any cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from scipy import stats

from lossctl.compare import Method
from lossctl.comparison import Comparison
from lossctl.errors import DomainError, MissingValueError, UsageError

Array = npt.NDArray[np.float64]
Contest = Callable[..., Comparison]
Write = Callable[..., Path]
ROWS = 600


@pytest.fixture
def columns() -> dict[str, Any]:
    """Give two models of a target whose errors depend on the cluster and on the time."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(40, size=ROWS)
    shared = rng.normal(size=40)[cluster]
    time = np.sort(rng.integers(200, size=ROWS))
    target = rng.normal(size=ROWS)
    return {
        "target": target,
        "a": target + rng.normal(size=ROWS) + shared,
        "b": target + 0.8 * rng.normal(size=ROWS) + 0.7 * shared,
        "user": cluster.astype(np.float64),
        "ts": time.astype(np.float64),
        "part": rng.integers(2, size=ROWS).astype(np.float64),
        "id": np.arange(ROWS, dtype=np.float64),
    }


@pytest.fixture
def path(columns: dict[str, Any], write_parquet: Write, tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "rows.parquet", columns, groups=(1, 250, 7))


def gaps(columns: dict[str, Any]) -> Array:
    """Give the difference of the absolute errors of each row."""
    return np.asarray(
        np.abs(columns["target"] - columns["b"]) - np.abs(columns["target"] - columns["a"])
    )


def clustered(values: Array, groups: Any) -> tuple[float, float, float]:
    """Give standard error, p-value and lower end of statsmodels' cluster-robust mean."""
    fitted = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": True, "df_correction": True},
        use_t=True,
    )
    return float(fitted.bse[0]), float(fitted.pvalues[0]), float(fitted.conf_int()[0][0])


def test_clusters_agree_with_statsmodels(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    found = contest("mae", path, preds=["a", "b"], method=Method(cluster="user")).results[0]
    error, p, lower = clustered(gaps(columns), columns["user"].astype(int))
    assert found.clusters == 40
    assert found.std_error == pytest.approx(error, rel=1e-10)
    assert found.p_value == pytest.approx(p, rel=1e-10)
    assert found.ci is not None
    assert found.ci.lower == pytest.approx(lower, rel=1e-10)


def test_blocks_are_clusters_of_consecutive_times(
    contest: Contest, path: Path, columns: dict[str, Any]
) -> None:
    method = Method(time="ts", block_length=24)
    ranks = np.unique(columns["ts"], return_inverse=True)[1]
    for slice_ in ({}, {"part": 1}):
        found = next(
            r
            for r in contest("mae", path, preds=["a", "b"], method=method, by=(("part",),)).results
            if r.slice == slice_
        )
        rows = columns["part"] == 1 if slice_ else np.ones(ROWS, dtype=bool)
        error, p, _ = clustered(gaps(columns)[rows], ranks[rows] // 24)
        assert found.std_error == pytest.approx(error, rel=1e-10)
        assert found.p_value == pytest.approx(p, rel=1e-10)


def test_weighted_clusters_are_those_of_weighted_least_squares(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    weights = np.random.default_rng(1).uniform(0.1, 2.0, ROWS)
    path = write_parquet(tmp_path / "w.parquet", columns | {"w": weights})
    found = contest("mae", path, preds=["a", "b"], method=Method(cluster="user"), weight="w")
    values, groups = gaps(columns), columns["user"].astype(int)
    mean = np.average(values, weights=weights)
    sums = np.bincount(groups, weights * (values - mean))
    variance = 40 / 39 * np.sum(sums**2) / weights.sum() ** 2
    assert found.results[0].std_error == pytest.approx(math.sqrt(variance), rel=1e-10)


@pytest.mark.parametrize("form", ["float", "integer", "text", "date"])
def test_times_of_any_type_make_the_same_blocks(
    contest: Contest, tmp_path: Path, columns: dict[str, Any], form: str
) -> None:
    days = columns["ts"].astype(np.int64)
    dates = pa.array(days.astype("datetime64[D]"))
    kinds = {
        "float": pa.array(columns["ts"] - 100.0),
        "integer": pa.array(days),
        "text": dates.cast(pa.string()),
        "date": dates,
    }
    table = pa.table({n: pa.array(v) for n, v in columns.items()} | {"ts": kinds[form]})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    method = Method(time="ts", block_length=24)
    found = contest("mae", path, preds=["a", "b"], method=method).results[0]
    error, _, _ = clustered(gaps(columns), np.unique(days, return_inverse=True)[1] // 24)
    assert found.std_error == pytest.approx(error, rel=1e-10)


def test_signed_ranks_and_signs_agree_with_scipy(
    contest: Contest, write_parquet: Write, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    zeros = np.zeros(300)
    columns = {
        "target": zeros,
        "a": rng.integers(-6, 6, 300).astype(np.float64),
        "b": rng.integers(-5, 6, 300).astype(np.float64),
    }
    path = write_parquet(tmp_path / "x.parquet", columns, groups=(10, 90))
    differences = np.abs(columns["b"]) - np.abs(columns["a"])
    assert (differences == 0).any()
    known = stats.wilcoxon(differences, correction=False, method="asymptotic")
    ranks = contest("mae", path, preds=["a", "b"], method=Method(test="wilcoxon"), chunk_rows=7)
    assert ranks.results[0].p_value == pytest.approx(known.pvalue, rel=1e-10)
    above, below = (differences > 0).sum(), (differences < 0).sum()
    signs = contest("mae", path, preds=["a", "b"], method=Method(test="sign")).results[0]
    coin = stats.binomtest(int(above), int(above + below))
    assert signs.p_value == pytest.approx(coin.pvalue, rel=1e-10)


@pytest.mark.parametrize("rows", [1, 5, 20, 50, 51])
def test_few_ranks_are_counted_exactly(
    contest: Contest, write_parquet: Write, tmp_path: Path, rows: int
) -> None:
    rng = np.random.default_rng(rows)
    a, b = rng.normal(size=(2, rows))
    path = write_parquet(tmp_path / "x.parquet", {"target": np.zeros(rows), "a": a, "b": b})
    found = contest("mae", path, preds=["a", "b"], method=Method(test="wilcoxon")).results[0]
    method = "exact" if rows <= 50 else "asymptotic"
    known = stats.wilcoxon(np.abs(b) - np.abs(a), correction=False, method=method)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-10)


METHODS = {
    "rows": Method(resamples=200, seed=3),
    "clusters": Method(resamples=200, cluster="user"),
    "blocks": Method(resamples=200, time="ts", block_length=10),
    "robust": Method(cluster="user"),
    "ranks": Method(test="wilcoxon"),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_numbers_are_the_same_for_any_cut(contest: Contest, path: Path, method: Method) -> None:
    def run(**policies: Any) -> Comparison:
        by = (("part",),)
        return contest("mae,rmse", path, preds=["a", "b"], method=method, by=by, **policies)

    whole = run().to_dict()["digest"]
    for chunk_rows, jobs in ((7, 4), (64, 1), (1 << 16, 2)):
        assert run(chunk_rows=chunk_rows, jobs=jobs).to_dict()["digest"] == whole


def test_keyed_rows_are_drawn_alike_in_any_order_and_file(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    rng = np.random.default_rng(4)
    found = []
    for shuffled in (False, True):
        paths = []
        for name in ("a", "b", "target"):
            order = rng.permutation(ROWS) if shuffled else np.arange(ROWS)
            role = "target" if name == "target" else "prediction"
            part = {"id": columns["id"][order], role: columns[name][order]}
            paths.append(write_parquet(tmp_path / f"{name}.parquet", part, groups=(5, 200)))
        *files, truth = paths
        method = Method(resamples=200)
        result = contest("rmse", *files, targets=truth, keys=("id",), method=method)
        found.append(result.to_dict()["digest"])
    assert found[0] == found[1]


def test_another_seed_draws_other_replicates_of_the_same_spread(
    contest: Contest, path: Path
) -> None:
    first, second = (
        contest("mae", path, preds=["a", "b"], method=Method(resamples=2000, seed=seed)).results[0]
        for seed in (0, 1)
    )
    normal = contest("mae", path, preds=["a", "b"]).results[0]
    assert first.ci != second.ci
    for result in (first, second):
        assert result.std_error == pytest.approx(normal.std_error, rel=0.06)
        assert result.verdict == normal.verdict


def test_a_model_is_equal_to_itself_by_every_method(contest: Contest, path: Path) -> None:
    for method in METHODS.values():
        result = contest("mae", path, preds=["a", "a"], method=method).results[0]
        assert (result.difference, result.p_value) == (0.0, 1.0)
        assert result.verdict == "no difference shown"
        assert result.ci is not None
        assert result.ci.lower == result.ci.upper == 0.0


@pytest.mark.parametrize("method", [Method(cluster="user"), Method(time="ts", block_length=2)])
def test_a_row_without_cluster_or_time_is_refused(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any], method: Method
) -> None:
    gone = np.arange(ROWS) == 123
    path = write_parquet(tmp_path / "x.parquet", columns, nulls={"user": gone, "ts": gone})
    with pytest.raises(MissingValueError, match="is missing") as caught:
        contest("mae", path, preds=["a", "b"], method=method, chunk_rows=50)
    assert caught.value.place.row == 124


def test_a_text_that_is_no_time_is_refused(
    contest: Contest, tmp_path: Path, columns: dict[str, Any]
) -> None:
    texts = [f"2024-01-{1 + row % 28:02d}" for row in range(ROWS)]
    texts[77] = "last tuesday"
    table = pa.table({n: pa.array(v) for n, v in columns.items()} | {"ts": pa.array(texts)})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DomainError, match="neither a number nor a time") as caught:
        contest(
            "mae",
            tmp_path / "x.parquet",
            preds=["a", "b"],
            method=Method(time="ts", block_length=2),
        )
    assert caught.value.place.row == 78


def test_one_cluster_is_nothing_to_judge_by(
    contest: Contest, write_parquet: Write, tmp_path: Path, columns: dict[str, Any]
) -> None:
    path = write_parquet(tmp_path / "x.parquet", columns | {"user": np.ones(ROWS)})
    result = contest("mae", path, preds=["a", "b"], method=Method(cluster="user")).results[0]
    assert (result.verdict, result.reason) == ("not judged", "fewer than 2 clusters")


@pytest.mark.parametrize(
    "method",
    [
        Method(block_length=3),
        Method(time="ts"),
        Method(cluster="user", time="ts", block_length=2),
        Method(test="sign", cluster="user"),
        Method(test="wilcoxon", resamples=9),
    ],
)
def test_parts_that_do_not_go_together_are_refused(method: Method) -> None:
    with pytest.raises(UsageError):
        method.check(None)
    with pytest.raises(UsageError):
        Method(test="sign").check("w")
