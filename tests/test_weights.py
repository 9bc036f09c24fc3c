"""Weights: of every loss, in every number of the report, against other libraries and by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.metrics as sk
import statsmodels.api as sm

from lossctl.errors import ColumnError, DomainError, LossctlError, MissingValueError
from lossctl.losses import Loss, find
from lossctl.report import Report
from lossctl.results import Result

Draw = Callable[..., dict[str, Any]]
TakeRows = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Measure = Callable[..., Report]

ROWS = 60
ROUNDED = {"rel": 1e-12}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def numbers(result: Result) -> tuple[Any, ...]:
    """Give what weights bear on."""
    moments = result.value, result.sum, result.std_error, result.ci
    return (*moments, result.min, result.max, *result.quantiles.values())


# Every loss ---------------------------------------------------------------------------------------


def test_a_row_of_weight_two_is_the_row_twice(
    loss: Loss, draw: Draw, take_rows: TakeRows, write_parquet: Write, measure: Measure
) -> None:
    """The value, the sum, the range and the quantiles of any loss; a weight of 0 is no row."""
    columns = draw(loss, ROWS)
    weights = np.arange(ROWS) % 4
    weighted = write_parquet(Path("weighted.parquet"), columns | {"w": weights})
    rows = np.repeat(np.arange(ROWS), weights)
    repeated = write_parquet(Path("repeated.parquet"), take_rows(columns, rows))
    kept = {"quantiles": (0.0, 0.25, 0.5, 1.0)}
    one = measure(loss.name, weighted, weight="w", **kept).results[0]
    two = measure(loss.name, repeated, **kept).results[0]
    same = ("value", "sum", "min", "max", "quantiles", "reason", "limit")
    assert {name: getattr(one, name) for name in same} == {n: getattr(two, n) for n in same}
    population = loss.finish.counts is not None
    assert population or (one.weight, one.n) == (weights.sum(), ROWS)


def test_weights_of_one_are_no_weights(
    loss: Loss, draw: Draw, write_parquet: Write, measure: Measure
) -> None:
    """Every number of every slice, the errors too."""
    columns = draw(loss, ROWS) | {"w": np.ones(ROWS), "part": np.arange(ROWS) % 3}
    path = write_parquet(Path("rows.parquet"), columns)
    asked = {"by": (("part",),), "quantiles": (0.5,)}
    weighted, plain = (
        measure(loss.name, path, weight="w", **asked),
        measure(loss.name, path, **asked),
    )
    assert [numbers(r) for r in weighted.results] == [numbers(r) for r in plain.results]
    assert [(r.n, r.weight) for r in weighted.results] == [(r.n, r.weight) for r in plain.results]


def test_a_scale_of_the_weights_changes_nothing_but_sums(
    loss: Loss, draw: Draw, write_parquet: Write, measure: Measure
) -> None:
    """Means are quotients, and a power of two is no rounding."""
    weights = np.random.default_rng(5).uniform(size=ROWS)
    columns = draw(loss, ROWS) | {"w": weights, "v": weights * 2.0**-40}
    path = write_parquet(Path("rows.parquet"), columns)
    one, two = (measure(loss.name, path, weight=w).results[0] for w in "wv")
    assert (one.value, one.std_error, one.ci) == (two.value, two.std_error, two.ci)
    assert one.weight * 2.0**-40 == two.weight


def test_slices_of_a_weighted_run_are_runs_of_their_own(
    loss: Loss, draw: Draw, take_rows: TakeRows, write_parquet: Write, measure: Measure
) -> None:
    """The same numbers as the rows of the slice in a file alone."""
    rng = np.random.default_rng(6)
    columns = draw(loss, ROWS) | {"w": rng.uniform(size=ROWS).round(2)}
    part = np.arange(ROWS) % 2
    path = write_parquet(Path("rows.parquet"), columns | {"part": part})
    found = measure(loss.name, path, weight="w", by=(("part",),)).results[1:]
    for number, result in enumerate(found):
        rows = take_rows(columns, np.flatnonzero(part == number))
        alone = measure(loss.name, write_parquet(Path("alone.parquet"), rows), weight="w")
        assert numbers(result) == numbers(alone.results[0])
        assert result.weight == alone.results[0].weight


# Oracles ------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> dict[str, Any]:
    """Give predictions of several kinds, a target for each, and weights, some of them 0."""
    rng = np.random.default_rng(7)
    label = rng.integers(0, 2, ROWS).astype(float)
    return {
        "x": rng.normal(100.0, 3.0, ROWS),
        "t": rng.normal(100.0, 3.0, ROWS),
        "p": rng.uniform(0.01, 0.99, ROWS),
        "label": label,
        "s": rng.normal(size=ROWS),
        "w": rng.exponential(size=ROWS) * (rng.uniform(size=ROWS) > 0.2),
    }


@pytest.mark.parametrize(
    ("name", "prediction", "target", "oracle"),
    [
        ("mse", "x", "t", sk.mean_squared_error),
        ("rmse", "x", "t", sk.root_mean_squared_error),
        ("mae", "x", "t", sk.mean_absolute_error),
        ("bce", "p", "label", sk.log_loss),
        ("hinge", "s", "label", sk.hinge_loss),
    ],
)
def test_the_value_is_the_one_of_scikit_learn(
    name: str, prediction: str, target: str, oracle: Any, table: dict[str, Any], measure: Measure
) -> None:
    """Its `sample_weight`, rows of weight 0 included."""
    columns = {"prediction": table[prediction], "target": table[target], "w": table["w"]}
    pq.write_table(pa.table(columns), "rows.parquet")
    found = measure(name, "rows.parquet", weight="w").results[0]
    expected = oracle(table[target], table[prediction], sample_weight=table["w"])
    assert found.value == pytest.approx(expected, **ROUNDED)


def test_the_error_is_the_robust_one_of_a_weighted_regression_on_a_constant(
    table: dict[str, Any], measure: Measure
) -> None:
    """The linearised variance: HC1 of statsmodels, over the rows that have a weight."""
    heavy = table["w"] > 0
    columns = {"prediction": table["x"], "target": table["t"], "w": table["w"]}
    pq.write_table(pa.table(columns), "rows.parquet")
    losses = find("mse")(table["x"], table["t"])
    fit = sm.WLS(losses[heavy], np.ones(heavy.sum()), weights=table["w"][heavy]).fit(cov_type="HC1")
    found = measure("mse", "rows.parquet", weight="w").results[0]
    assert found.value == pytest.approx(fit.params[0], **ROUNDED)
    assert found.std_error == pytest.approx(fit.bse[0], **ROUNDED)


def test_every_number_is_rounded_once(table: dict[str, Any], measure: Measure) -> None:
    """Mean, sum, weight and standard error from exact fractions."""
    columns = {"prediction": table["x"], "target": table["t"], "w": table["w"]}
    pq.write_table(pa.table(columns), "rows.parquet")
    found = measure("mae", "rows.parquet", weight="w", chunk_rows=7).results[0]
    losses = find("mae")(table["x"], table["t"]).tolist()
    pairs = [(Fraction(x), Fraction(w)) for x, w in zip(losses, table["w"].tolist(), strict=True)]
    pairs = [(x, w) for x, w in pairs if w]
    weight, total = sum(w for _, w in pairs), sum(w * x for x, w in pairs)
    mean, n = total / weight, len(pairs)
    variance = Fraction(n, n - 1) * sum((w * (x - mean)) ** 2 for x, w in pairs) / weight**2
    assert (found.value, found.sum, found.weight) == (float(mean), float(total), float(weight))
    assert found.std_error == math.sqrt(variance)
    assert found.n == ROWS


def test_two_populations_weigh_apart(write_parquet: Write, measure: Measure) -> None:
    """Each file has its own weights, and each mean its own sum of them."""
    rng = np.random.default_rng(8)
    files = {
        name: {"prediction": rng.uniform(0.1, 0.9, rows), "w": rng.uniform(size=rows)}
        for name, rows in (("real", 20), ("made", 31))
    }
    paths = [write_parquet(Path(f"{name}.parquet"), columns) for name, columns in files.items()]
    found = measure("gan_discriminator", *paths, weight="w").results[0]
    real, made = files.values()
    expected = np.average(-np.log(real["prediction"]), weights=real["w"])
    expected += np.average(-np.log1p(-made["prediction"]), weights=made["w"])
    assert found.value == pytest.approx(expected, **ROUNDED)
    assert found.weight == pytest.approx(real["w"].sum() + made["w"].sum(), **ROUNDED)


def test_the_share_of_clipped_rows_is_one_of_weight(measure: Measure) -> None:
    """A clipped row of weight 3 carries three times its loss; one of weight 0 carries none."""
    columns = {"prediction": [0.0, 1.0, 0.5], "target": [1.0, 0.0, 1.0], "w": [3.0, 0.0, 1.0]}
    pq.write_table(pa.table(columns), "rows.parquet")
    found = measure("bce", "rows.parquet", weight="w").results[0]
    clipped = -math.log(np.finfo(float).eps)
    assert found.clipped.count == 1
    assert found.clipped_share == pytest.approx(
        3 * clipped / (3 * clipped + math.log(2)), **ROUNDED
    )


# Bad weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (None, MissingValueError, "the weight is missing"),
        (math.nan, MissingValueError, "the weight is missing or not a number"),
        (math.inf, DomainError, "the weight is inf"),
        (-1e-300, DomainError, "the weight is -1e-300"),
    ],
)
@pytest.mark.parametrize("policy", ["error", "drop"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_bad_weight_is_an_error_that_names_its_row(
    weight: float | None,
    error: type[LossctlError],
    message: str,
    policy: str,
    suffix: str,
    measure: Measure,
) -> None:
    """No policy leaves it out: a row cannot count for a share that nobody knows."""
    values = [1.0] * 8 + [weight] + [2.0, weight]
    zeros = [0.0] * len(values)
    if suffix == "csv":
        cells = ["" if value is None else repr(value) for value in values]
        lines = ["prediction,target,w", *(f"0,0,{cell}" for cell in cells)]
        Path("rows.csv").write_text("\n".join(lines), encoding="utf-8")
    else:
        pq.write_table(
            pa.table({"prediction": zeros, "target": zeros, "w": values}), "rows.parquet"
        )
    policies = {"nulls": policy, "nonfinite": policy, "weight": "w", "chunk_rows": 4}
    with pytest.raises(error, match=message) as caught:
        measure("mae", f"rows.{suffix}", **policies)
    place = caught.value.place
    assert (place.file, place.row, place.column) == (f"rows.{suffix}", 9, "w")


def test_a_dropped_row_takes_its_weight_along(measure: Measure) -> None:
    """Value and weight are one row, and nobody asks for the weight of a row that is gone."""
    columns = {
        "prediction": [1.0, None, math.nan, 4.0],
        "target": [0.0] * 4,
        "w": [1.0, 5.0, None, 3.0],
    }
    pq.write_table(pa.table(columns), "rows.parquet")
    report = measure("mae", "rows.parquet", nulls="drop", nonfinite="drop", weight="w")
    result = report.results[0]
    assert (result.n, result.weight, result.value) == (2, 4.0, 13 / 4)
    assert {why: rows.count for why, rows in report.rows.dropped.items()} == {
        "null": 1,
        "nonfinite": 1,
    }


def test_without_weight_there_is_no_value(measure: Measure) -> None:
    """Neither 0 nor NaN: all rows count, and the reason says so."""
    columns = {"prediction": [1.0, 2.0, 3.0], "target": [0.0] * 3, "w": [0.0, -0.0, 2.0]}
    pq.write_table(pa.table(columns | {"part": ["a", "a", "b"]}), "rows.parquet")
    report = measure("mae", "rows.parquet", weight="w", by=(("part",),), quantiles=(0.5,))
    whole, a, b = report.results
    assert (a.n, a.weight, a.value, a.reason) == (2, 0.0, None, "zero weight")
    assert (a.sum, a.std_error, a.ci, a.min, a.max, a.quantiles["0.5"]) == (None,) * 6
    assert (b.n, b.weight, b.value) == (whole.n - 2, whole.weight, whole.value) == (1, 2.0, 3.0)


def test_all_weights_zero_is_undefined_for_a_population_too(measure: Measure) -> None:
    """A population whose rows have no weight has no mean."""
    columns = {"prediction": [0.5, 0.5], "target": [1.0, 0.0], "w": [1.0, 0.0]}
    pq.write_table(pa.table(columns), "rows.parquet")
    found = measure("gan_discriminator", "rows.parquet", weight="w").results[0]
    assert (found.value, found.reason) == (None, "a population has no row with a weight")


def test_an_infinite_loss_of_weight_zero_is_not_there(measure: Measure) -> None:
    """One with a weight makes the value infinite, and its weight is in the sum of weights."""
    columns = {"prediction": [0.0, 0.5], "target": [1.0, 1.0], "w": [0.0, 2.0], "v": [1.5, 2.0]}
    pq.write_table(pa.table(columns), "rows.parquet")
    one, two = (measure("bce:eps=0", "rows.parquet", weight=w).results[0] for w in "wv")
    assert (one.value, one.n, one.weight) == (math.log(2), 2, 2.0)
    assert (two.value, two.limit, two.n, two.weight) == (None, math.inf, 2, 3.5)


@pytest.mark.parametrize(
    ("column", "message"),
    [("W", "no column 'W' to weigh by"), ("text", "for the role 'weight' holds string")],
)
def test_a_column_that_holds_no_weights_is_refused(
    column: str, message: str, measure: Measure
) -> None:
    """By name or by type, before a row is read."""
    columns = {"prediction": [1.0], "target": [0.0], "w": [1.0], "text": ["a"]}
    pq.write_table(pa.table(columns), "rows.parquet")
    with pytest.raises(ColumnError, match=message):
        measure("mae", "rows.parquet", weight=column)


def test_weights_may_stand_in_either_of_two_files(measure: Measure) -> None:
    """Found in the file of the truth first."""
    pq.write_table(pa.table({"prediction": [1.0, 2.0], "w": [1, 3]}), "p.parquet")
    pq.write_table(pa.table({"target": [0.0, 0.0], "v": pa.array([3, 1], pa.uint8())}), "t.parquet")
    values = [measure("mae", "p.parquet", "t.parquet", weight=w).results[0].value for w in "wv"]
    assert values == [7 / 4, 5 / 4]


def test_the_largest_and_smallest_weights_and_losses_stay_exact(measure: Measure) -> None:
    """Products beyond any double on the way to a mean that is none of them."""
    columns = {
        "prediction": [1e300, 1e-300, 3.0],
        "target": [0.0, 0.0, 0.0],
        "w": [1e-300, 1e300, 5e-324],
    }
    pq.write_table(pa.table(columns), "rows.parquet")
    found = measure("mae", "rows.parquet", weight="w").results[0]
    pairs = [
        (Fraction(x), Fraction(w)) for x, w in zip(columns["prediction"], columns["w"], strict=True)
    ]
    weight = sum(w for _, w in pairs)
    mean = sum(w * x for x, w in pairs) / weight
    variance = Fraction(3, 2) * sum((w * (x - mean)) ** 2 for x, w in pairs) / weight**2
    assert found.value == float(mean)
    assert found.std_error == math.sqrt(variance)


def test_the_report_tells_of_the_weights(measure: Measure) -> None:
    """In signature, columns, JSON and histogram."""
    columns = {"prediction": [1.0, 1.1], "target": [0.0, 0.0], "w": [0.5, 2.0]}
    pq.write_table(pa.table(columns), "rows.parquet")
    report = measure("mae", "rows.parquet", weight="w", histogram=True)
    document = json.loads(report.to_json())
    assert "weight=w" in report.signature
    assert document["columns"]["mae"]["weight"] == ["w"]
    assert document["results"][0]["weight"] == 2.5
    assert [bin_["weight"] for bin_ in document["results"][0]["histogram"]] == [2.5]
