"""The Python API: the same core as the command, for whatever holds the rows."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as arrow_csv

import lossctl
from lossctl import losses
from lossctl.errors import (
    ColumnError,
    DomainError,
    InputError,
    MissingValueError,
    PairingError,
    SeveralErrors,
    UsageError,
)

SAMPLES = Path(__file__).parents[1] / "sample_data"

HOLDERS: dict[str, Callable[[str], Any]] = {
    "csv": lambda name: f"{SAMPLES / name}.csv",
    "path": lambda name: SAMPLES / f"{name}.parquet",
    "pandas": lambda name: pd.read_csv(f"{SAMPLES / name}.csv"),
    "pandas of arrow": lambda name: pd.read_csv(
        f"{SAMPLES / name}.csv", engine="pyarrow", dtype_backend="pyarrow"
    ),
    "polars": lambda name: pl.read_csv(f"{SAMPLES / name}.csv"),
    "arrow": lambda name: pq.read_table(f"{SAMPLES / name}.parquet"),
    "reader": lambda name: pq.read_table(f"{SAMPLES / name}.parquet").to_reader(50),
    "batch": lambda name: pq.read_table(f"{SAMPLES / name}.parquet").to_batches()[0],
    "series": lambda name: dict(pd.read_csv(f"{SAMPLES / name}.csv")),
    "lists": lambda name: pd.read_csv(f"{SAMPLES / name}.csv").to_dict("list"),
}


@functools.cache
def command(*arguments: str) -> dict[str, Any]:
    """Give the JSON report of the installed command, without what may differ between runs."""
    program = Path(sys.executable).with_name("lossctl")
    done = subprocess.run(
        [program, "eval", *arguments, "-f", "json", "-q"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=SAMPLES.parent,
    )
    return stable(done.stdout)


def stable(document: str) -> dict[str, Any]:
    """Drop what may differ between runs of the same rows."""
    shown: dict[str, Any] = json.loads(document)
    del shown["run"]
    return shown


@pytest.fixture(scope="module")
def diabetes() -> dict[str, Any]:
    return command(
        *(f"sample_data/diabetes_{name}.csv" for name in ("predictions", "targets")),
        *"-l @regression --by sex --by sex,age_group --quantiles 0.5,0.9".split(),
    )


@pytest.mark.parametrize("held", HOLDERS)
@pytest.mark.parametrize("against", ["csv", "pandas", "same"])
def test_the_report_is_that_of_the_command(
    held: str, against: str, diabetes: dict[str, Any]
) -> None:
    """Files, frames, tables, readers and arrays of equal rows give equal documents."""
    report = lossctl.evaluate(
        HOLDERS[held]("diabetes_predictions"),
        HOLDERS[held if against == "same" else against]("diabetes_targets"),
        losses="@regression",
        by=["sex", ("sex", "age_group")],
        quantiles=[0.5, 0.9],
        chunk_rows=37,
    )
    assert stable(report.to_json()) == diabetes
    assert report.to_dict()["digest"] == diabetes["digest"]


@pytest.mark.parametrize("held", HOLDERS)
@pytest.mark.parametrize(
    ("name", "options", "arguments"),
    [
        ("iris", "-l cross_entropy", {"losses": "cross_entropy"}),
        (
            "breast_cancer",
            "-l bce,hinge -p prediction --positive malignant "  # noqa: ISC004 - too long a line
            "--col target=diagnosis --col hinge.prediction=score",
            {
                "losses": ["bce", losses.hinge],
                "columns": {
                    "prediction": "prediction",
                    "target": "diagnosis",
                    "hinge.prediction": "score",
                },
                "positive": "malignant",
            },
        ),
        ("rankings", "-l triplet --group query", {"losses": "triplet", "group": "query"}),
        ("boxes", "-l giou:format=xyxy", {"losses": "giou"}),
        ("pairs", "-l contrastive:margin=2", {"losses": "contrastive:margin=2"}),
    ],
)
def test_roles_of_every_kind_are_found(
    held: str, name: str, options: str, arguments: dict[str, Any]
) -> None:
    """Class names, labels, groups, boxes and vectors are bound as the command binds them."""
    suffix = "parquet" if held in ("path", "arrow", "reader", "batch") else "csv"
    report = lossctl.evaluate(HOLDERS[held](name), **arguments)
    assert stable(report.to_json()) == command(f"sample_data/{name}.{suffix}", *options.split())


def test_arrays_are_enough() -> None:
    """Two arrays are predictions and targets; a matrix has a row's vector in each row."""
    assert lossctl.evaluate([2.5, 0.0], [3.0, -0.5], losses="mae").results[0].value == 0.5
    series = pd.Series([2.5, 0.0], name="yhat"), pl.Series("truth", [3.0, -0.5])
    assert lossctl.evaluate(*series, losses="mae").results[0].value == 0.5
    scores = np.array([[2.0, 0.0, 1.0], [0.0, 4.0, 1.0]])
    found = lossctl.evaluate(scores, [0, 1], losses=losses.cross_entropy_logits)
    rows = losses.cross_entropy_logits(scores, [0, 1])
    assert found.results[0].value == pytest.approx(rows.mean(), rel=1e-15)


def test_a_long_array_is_cut_and_summed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and chunks change nothing for arrays either."""
    monkeypatch.setattr("lossctl.data.memory.FRAGMENT_ROWS", 1000)
    rng = np.random.default_rng(3)
    p, t = rng.normal(size=(2, 12_345))
    found = {
        lossctl.evaluate(p, t, losses="mse", jobs=jobs, chunk_rows=rows).to_dict()["digest"]
        for jobs, rows in ((1, None), (2, 77), (4, 999))
    }
    assert len(found) == 1


# Reports


def test_a_report_is_a_frame() -> None:
    """One row per loss and slice, numbers as numbers, and gaps where a slicing is not meant."""
    rows = {"prediction": [1.0, 2.0, 4.0], "target": [0.0, 0.0, 0.0], "n": ["a", "b", "b"]}
    report = lossctl.evaluate(rows, losses=["mse", "mae"], by="n", quantiles=[0.5])
    frame = report.to_frame()
    assert list(frame.columns[:3]) == ["loss", "slice_n", "n"]
    assert frame["loss"].tolist() == ["mse", "mae"] * 3
    assert frame["slice_n"].isna().tolist() == [True, True, False, False, False, False]
    assert frame["value"].tolist() == [7.0, 7 / 3, 1.0, 1.0, 10.0, 3.0]
    assert frame["n"].tolist() == [3, 3, 1, 1, 2, 2]
    assert frame["q0.5"].dtype == np.float64
    assert frame["lower"].isna().tolist() == [False, False, True, True, False, False]


class Texts(HTMLParser):
    """Collects the tags and texts of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        del attrs
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_notebook_shows_a_small_table_of_plain_text() -> None:
    """What stands in the data is never markup, and many slices are cut with a word."""
    evil = "<script>alert(1)</script>"
    rows = {"prediction": [0.0] * 60, "target": [1.0] * 60, evil: [f"<b>{i}" for i in range(60)]}
    document = lossctl.evaluate(rows, losses="mse", by=evil)._repr_html_()
    shown = Texts(document)
    assert shown.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    assert {evil, "<b>10", "mse", "60 of 60 rows scored"} <= set(shown.texts)
    assert "21 more results: to_frame() has all" in shown.texts
    assert len(document) < 8000


def test_slices_of_missing_values_are_told_from_the_whole() -> None:
    """By a text, which a text that reads the same is told from as well."""
    regions = ["eu", None, "null", "eu"]
    rows = {"prediction": [1.0, 2.0, 3.0, 4.0], "target": [0.0] * 4, "region": regions}
    frame = lossctl.evaluate(rows, losses="mae", by="region").to_frame()
    sums = frame.groupby("region")["sum"].sum().to_dict()
    assert sums == {"eu": 5.0, "null": 2.0, '"null"': 3.0}
    assert frame[frame["region"].isna()]["sum"].tolist() == [10.0]
    other = {"prediction": [0.0] * 4}
    found = lossctl.compare([rows, other], losses="mae", by="region").to_frame()
    assert found["region"].dropna().tolist() == frame["region"].dropna().tolist()


def test_a_script_prints_a_table() -> None:
    """One line per result, numbers to the right, and nothing that breaks a line."""
    rows = {"prediction": [1.0, 20.0], "target": [0.0, 0.0], "g": ["a", "b\n"]}
    report = lossctl.evaluate(rows, losses="mae", by="g", ci=None)
    assert str(report).splitlines() == [
        "loss  g      value  n",
        "mae           10.5  2",
        "mae   a          1  1",
        "mae   'b\\n'     20  1",
        "2 of 2 rows scored",
    ]
    assert repr(report) == "<Report of mae: 3 results, 2 of 2 rows scored>"
    comparison = lossctl.compare({"old": rows, "new": {"prediction": [0.0, 0.0]}}, losses="mae")
    head, line, *_ = str(comparison).splitlines()
    assert head.split()[:4] == ["loss", "candidate", "verdict", "difference"]
    assert line.split()[:2] == ["mae", "new"]
    assert "-10.5" in line
    assert repr(comparison) == "<Comparison of old, new: 1 differences>"


def test_an_infinite_value_is_shown_as_such() -> None:
    """The frame has the infinity, the JSON null with the reason."""
    report = lossctl.evaluate([0.0, 1.0], [1, 1], losses="bce:eps=0")
    assert report.to_frame()["value"].tolist() == [np.inf]
    assert report.to_dict()["results"][0]["value"] is None
    assert "infinite in 1 row" in report._repr_html_()


# Errors


def test_an_error_says_where_and_what_to_try() -> None:
    """Its text has the place and the hint, which a traceback would else not show."""
    frame = pd.DataFrame({"prediction": [1.0, np.nan], "target": [1.0, 2.0]})
    with pytest.raises(MissingValueError) as caught:
        lossctl.evaluate(frame, losses="mse")
    told = str(caught.value)
    assert told.startswith("predictions, row 2, column 'prediction': the value is missing (")
    assert "drop" in told
    assert lossctl.evaluate(frame, losses="mse", nulls="drop").rows.dropped["null"].count == 1


def test_unequal_lengths_are_refused() -> None:
    """Nothing is stretched or cut."""
    with pytest.raises(PairingError, match="predictions 2 rows and targets 3 rows"):
        lossctl.evaluate([1.0, 2.0], [1.0, 2.0, 3.0], losses="mse")


def test_no_rows_are_refused() -> None:
    """An empty table has no loss."""
    with pytest.raises(InputError, match="no rows"):
        lossctl.evaluate([], [], losses="mse")


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Specs, options, objects and columns, before anything is read."""
    with pytest.raises(SeveralErrors) as caught:
        lossctl.evaluate(
            7,
            losses=["nope", "huber:delta=0"],
            nulls="maybe",  # type: ignore[arg-type]
            nonfinite="no",  # type: ignore[arg-type]
            ci=2.0,
            quantiles=[0.5, 3.0],
        )
    told = str(caught.value).splitlines()
    assert len(told) == 7
    for word in ("nope", "delta", "nulls", "nonfinite", "ci takes", "quantiles takes", "int"):
        assert any(word in line for line in told), word


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"losses": []}, UsageError, "no loss"),
        ({"losses": "mse", "by": "nope"}, ColumnError, "nope"),
        ({"losses": "mse", "columns": {"prediction": ["a", "target"]}}, UsageError, "a"),
        ({"losses": "bce"}, DomainError, "row 1, column 'prediction': prediction must be"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """As the command refuses them."""
    rows = {"prediction": [3.0, 2.0], "target": [0.0, 1.0]}
    with pytest.raises(error, match=text):
        lossctl.evaluate(rows, **arguments)


# Losses as functions


def test_a_loss_is_found_by_its_names_and_no_other() -> None:
    """In the module of losses, aliases included."""
    assert losses.mse is losses.find("mse")
    assert losses.HuberLoss is losses.huber
    assert {"mse", "giou"} <= set(dir(losses))
    for name in ("nope", "_nope", "__path_to__"):
        with pytest.raises(AttributeError, match=name):
            getattr(losses, name)


# What importing costs

LIGHT = """
import sys
import lossctl
assert {"evaluate", "losses", "Report", "LossctlError"} <= set(dir(lossctl))
heavy = {"numpy", "pandas", "pyarrow", "typer"} & set(sys.modules)
assert not heavy, heavy
lossctl.LossctlError
assert "numpy" not in sys.modules
lossctl.evaluate([1.0], [2.0], losses="mse").to_json()
assert "pandas" not in sys.modules
import lossctl.evaluate
assert callable(lossctl.evaluate), "the module of that name hides the function"
from lossctl.evaluate import measure_all
assert callable(measure_all)
try:
    lossctl.nope
except AttributeError as error:
    assert "nope" in str(error)
print(lossctl.evaluate([1.0], [2.0], losses="mse").to_frame()["value"][0])
"""


def test_importing_the_package_is_light() -> None:
    """NumPy and Arrow are imported when they are used, pandas when a frame is asked for."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIGHT], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (0, "1.0\n"), done.stderr


# What else the commands can do

SHUFFLED = np.random.default_rng(5).permutation(442)


def test_keys_weights_and_filters_are_those_of_the_command(tmp_path: Path) -> None:
    """Frames in another order are paired by key, weighted, filtered, and name their worst rows."""
    predictions = pd.read_csv(SAMPLES / "diabetes_predictions.csv").iloc[SHUFFLED]
    targets = pd.read_csv(SAMPLES / "diabetes_targets.csv")
    key = next(name for name in targets.columns if name in predictions.columns)
    targets["w"] = np.arange(len(targets)) % 4 + 0.5
    predictions.to_csv(tmp_path / "predictions", index=False)
    targets.to_csv(tmp_path / "targets", index=False)
    files = []
    for name in ("predictions", "targets"):
        (tmp_path / name).rename(tmp_path / f"{name}.csv")
        files.append(str(tmp_path / f"{name}.csv"))
    options = f"-l mae -k {key} -w w --by sex --top 3 --keep sex".split()
    expected = command(*files, *options, "--where", "w > 1")
    report = lossctl.evaluate(
        predictions.reset_index(drop=True),
        targets,
        losses="mae",
        key=key,
        weight="w",
        where="w > 1",
        by="sex",
        top=3,
        keep="sex",
    )
    assert [result["value"] for result in stable(report.to_json())["results"]] == [
        result["value"] for result in expected["results"]
    ]
    assert stable(report.to_json())["signature"] == expected["signature"]
    worst = report.results[0].worst
    assert worst is not None
    assert [row.loss for row in worst] == [row["loss"] for row in expected["results"][0]["worst"]]


@pytest.mark.parametrize("held", ["csv", "pandas", "polars", "arrow"])
def test_scores_are_the_rows_of_the_command(held: str, tmp_path: Path) -> None:
    """In the order of the input, with what is kept and the derivatives."""
    report = lossctl.evaluate(HOLDERS[held]("breast_cancer"), losses="bce")
    path = tmp_path / "rows.parquet"
    program = Path(sys.executable).with_name("lossctl")
    words = f"score sample_data/breast_cancer.csv -l bce,hinge --emit loss,grad --keep id -o {path}"
    subprocess.run([program, *words.split()], check=True, capture_output=True, cwd=SAMPLES.parent)
    expected = pq.read_table(path)
    rows = lossctl.score(
        HOLDERS[held]("breast_cancer"),
        losses=["bce", losses.hinge],
        emit=("loss", "grad"),
        keep="id",
        chunk_rows=100,
    )
    assert rows.column_names == expected.column_names
    for name in expected.column_names:
        assert list(map(str, rows[name].to_pylist())) == list(map(str, expected[name].to_pylist()))
    assert sum(rows["bce"].to_pylist()) == pytest.approx(report.results[0].sum, rel=1e-12)


@pytest.mark.parametrize("held", ["csv", "pandas", "polars", "arrow"])
def test_scores_are_paired_by_key_and_filtered_as_by_the_command(held: str, tmp_path: Path) -> None:
    """Tables in any order; the rows that are left in that of the first, under their numbers."""
    predictions = pd.read_csv(SAMPLES / "diabetes_predictions.csv").iloc[SHUFFLED]
    predictions.to_csv(tmp_path / "shuffled.csv", index=False)
    targets = pd.read_csv(SAMPLES / "diabetes_targets.csv").iloc[:400]
    targets.to_csv(tmp_path / "targets.csv", index=False)
    read = {"csv": str, "pandas": pd.read_csv, "polars": pl.read_csv, "arrow": arrow_csv.read_csv}
    tables = [read[held](f"{tmp_path / name}.csv") for name in ("shuffled", "targets")]
    told = {"key": "id", "missing": "drop", "where": "sex == 'female' and weight > 1"}
    rows = lossctl.score(*tables, losses="mae", keep="age", **told, chunk_rows=50)
    path = tmp_path / "rows.parquet"
    program = Path(sys.executable).with_name("lossctl")
    words = f"score shuffled.csv targets.csv -l mae -k id --missing drop --keep age -o {path}"
    command = [program, *words.split(), "--where", told["where"]]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    expected = pq.read_table(path)
    assert rows.column_names == expected.column_names == ["row", "id", "age", "mae"]
    for name in expected.column_names:
        assert list(map(str, rows[name].to_pylist())) == list(map(str, expected[name].to_pylist()))
    assert 0 < rows.num_rows < 400
    with pytest.raises(PairingError, match='keys without a match: 42 of 442 rows of .*"drop"'):
        lossctl.score(*tables, losses="mae", key="id")


def test_scores_of_arrays_feed_a_boosting_round() -> None:
    """Slopes and bends of plain arrays come as columns, rows left out as nulls."""
    p, t = np.array([0.5, -1.0, 2.0, np.nan]), np.array([1.0, 0.0, 1.0, 0.0])
    rows = lossctl.score(p, t, losses="bce_logits", emit=("grad", "hess"), nonfinite="drop")
    q = 1.0 / (1.0 + np.exp(-p[:3]))
    for name, expected in (("grad", q - t[:3]), ("hess", q * (1.0 - q))):
        *found, last = rows[f"bce_logits.{name}"].to_pylist()
        assert found == pytest.approx(expected)
        assert last is None
    assert rows["row"].to_pylist() == [1, 2, 3, 4]


@losses.loss
def bare(prediction: losses.Real, target: losses.Real) -> Any:
    return prediction - target


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"emit": ("slope",)}, UsageError, "emit takes loss | grad | hess"),
        ({"losses": bare}, UsageError, "no gradient is declared for bare"),
        ({"predictions": []}, InputError, "no rows"),
    ],
)
def test_scores_that_cannot_be_are_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """As the command refuses them."""
    given: dict[str, Any] = {"predictions": {"prediction": [1.0], "target": [1.0]}}
    given |= {"losses": "mse", "emit": ("grad",)} | arguments
    if given["predictions"] == []:
        given["targets"] = []
    with pytest.raises(error, match=re.escape(text) if "|" in text else text):
        lossctl.score(given.pop("predictions"), **given)


def test_comparisons_are_those_of_the_command() -> None:
    """With files the very document, with tables the same numbers under the names given."""
    old, new = (f"diabetes_predictions{suffix}" for suffix in ("", "_boosted"))
    program = Path(sys.executable).with_name("lossctl")
    words = (
        f"compare sample_data/{old}.csv sample_data/{new}.csv "
        "--targets sample_data/diabetes_targets.csv -l mae,rmse --by sex -f json -q"
    )
    done = subprocess.run(
        [program, *words.split()],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=SAMPLES.parent,
    )
    expected = stable(done.stdout)["results"]
    for held in ("csv", "pandas", "polars", "arrow"):
        found = lossctl.compare(
            {"old": HOLDERS[held](old), "new": HOLDERS[held](new)},
            HOLDERS[held]("diabetes_targets"),
            losses=["mae", "rmse"],
            by="sex",
        )
        results = stable(found.to_json())["results"]
        assert {result.pop("candidate") for result in results} == {"new"}
        assert found.models == ("old", "new")
        assert results == [
            {name: value for name, value in result.items() if name != "candidate"}
            for result in expected
        ]


def test_arrays_and_columns_of_one_table_are_models_too() -> None:
    """By name, by place, and as columns of the baseline's own table."""
    rng = np.random.default_rng(4)
    t = rng.normal(size=200)
    old, new = t + rng.normal(size=200), t + 0.1 * rng.normal(size=200)
    by_name = lossctl.compare({"old": old, "new": new}, t, losses="mse")
    by_place = lossctl.compare([old, new], t, losses="mse")
    table = {"old": old, "new": new, "y": t}
    by_column = lossctl.compare(table, preds=["old", "new"], losses="mse")
    for comparison in (by_name, by_place, by_column):
        (result,) = comparison.results
        assert (result.verdict, result.n) == ("better", 200)
        assert result.difference == by_name.results[0].difference
    assert by_name.models == by_column.models == ("old", "new")
    frame = by_column.to_frame()
    assert frame.loc[0, ["loss", "candidate", "verdict", "n"]].tolist() == [
        *("mse", "new", "better", 200)
    ]
    assert frame.loc[0, "lower"] < frame.loc[0, "difference"] < frame.loc[0, "upper"] < 0.0
    assert {"new", "better", "200"} <= set(Texts(by_column._repr_html_()).texts)
    holm = lossctl.compare([old, new], t, losses="mse", method=lossctl.Method(correction="holm"))
    assert holm.correction == "holm"
    with pytest.raises(UsageError, match="only one model"):
        lossctl.compare(old, t, losses="mse")
    with pytest.raises(UsageError, match="block_length needs time=COLUMN"):
        lossctl.compare([old, new], t, losses="mse", method=lossctl.Method(block_length=2))
