"""The rows with the largest losses: by row, with the columns asked for, in every form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit

ROWS = 500
Call = Callable[..., str]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Run the program in an empty folder and give its stdout."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = Exit.DONE) -> str:
        assert main(arguments) == status
        shown = capsys.readouterr()
        return shown.out if status == Exit.DONE else shown.err

    return run


def table() -> pa.Table:
    """Give rows whose errors are a few whole numbers, so that many are tied."""
    rng = np.random.default_rng(8)
    target = rng.integers(-3, 4, ROWS).astype(np.float64)
    return pa.table(
        {
            "prediction": pa.array(np.zeros(ROWS)),
            "target": pa.array(target, mask=np.arange(ROWS) % 50 == 7),
            "id": [f"r{row}" for row in range(ROWS)],
            "part": pa.array(np.arange(ROWS) % 3),
            "list": [[row, None] for row in range(ROWS)],
        }
    )


def expected(rank: Callable[[float], float], top: int, part: int | None = None) -> list[Any]:
    """Sort all rows in plain Python."""
    rows = [
        (-rank(target), number + 1, target, name)
        for number, (target, name, group) in enumerate(
            zip(*(table()[name].to_pylist() for name in ("target", "id", "part")), strict=True)
        )
        if target is not None and part in (None, group)
    ]
    return [(number, target, name) for _, number, target, name in sorted(rows)][:top]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("chunk_rows", ["1000", "7"])
def test_the_worst_rows_are_those_of_a_full_sort(
    call: Call, monkeypatch: pytest.MonkeyPatch, jobs: str, chunk_rows: str
) -> None:
    """Of the whole and of each slice, equal losses by row number, for any cut of the work."""
    monkeypatch.setattr("lossctl.data.blocks.FRAGMENT_ROWS", 40)
    pq.write_table(table(), "rows.parquet", row_group_size=60)
    cut = ("--jobs", jobs, "--chunk-rows", chunk_rows)
    options = ("--nulls", "drop", "--keep", "id", "--by", "part", "-f", "json", *cut)
    report = json.loads(call("eval", "rows.parquet", "-l", "mse,mbe", "--top", "20", *options))
    found = {
        (result["loss"], result["slice"].get("part")): [
            (row["row"], row["loss"], row["columns"]["id"]) for row in result["worst"]
        ]
        for result in report["results"]
    }
    for part in (None, 0, 1, 2):
        squares = [(row, t * t, name) for row, t, name in expected(lambda t: t * t, 20, part)]
        assert found["mse", part] == squares
        assert found["mbe", part] == expected(abs, 20, part)


def test_the_command_shows_the_rows_alone_in_every_form(call: Call) -> None:
    """Table, Markdown, CSV and JSON lines hold the same rows as the report."""
    pq.write_table(table(), "rows.parquet")
    options = ("rows.parquet", "-l", "mse", "--nulls", "drop", "-n", "4", "--keep", "id,list", "-q")
    report = json.loads(call("worst", *options, "-f", "json"))
    rows = report["results"][0]["worst"]
    assert [row["columns"]["list"] for row in rows] == [[row["row"] - 1, None] for row in rows]
    lines = [json.loads(line) for line in call("worst", *options, "-f", "jsonl").splitlines()]
    assert [(line["rank"], line["row"], line["value"], line["columns"]) for line in lines] == [
        (rank, row["row"], row["loss"], row["columns"]) for rank, row in enumerate(rows, start=1)
    ]
    shown = list(csv.DictReader(io.StringIO(call("worst", *options, "-f", "csv"))))
    assert [(line["row"], line["value"], line["id"]) for line in shown] == [
        (str(row["row"]), str(row["loss"]), row["columns"]["id"]) for row in rows
    ]
    reports = [f"--report={form}=rows.{form}" for form in ("csv", "value")]
    numbers = call("worst", *options, "-f", "value", *reports)
    assert [float(line) for line in numbers.splitlines()] == [row["loss"] for row in rows]
    assert Path("rows.value").read_text() == numbers
    assert Path("rows.csv").read_text() == call("worst", *options, "-f", "csv")
    for form in ("table", "md"):
        text = call("worst", *options, "-f", form)
        assert "worst rows of mse" in text
        assert all(row["columns"]["id"] in text for row in rows)
        assert "std error" not in text


def test_prediction_and_truth_are_shown_without_being_asked_for(call: Call) -> None:
    """Columns with one value for a role come first, once; lists of several do not."""
    pq.write_table(table(), "rows.parquet")
    options = ("worst", "rows.parquet", "-l", "mse", "--nulls", "drop", "-n", "2", "-q")
    for keep, shown in (
        ((), ["prediction", "target"]),
        (
            ("--keep", "id,target"),
            ["prediction", "id", "target"],
        ),
    ):
        lines = list(csv.reader(io.StringIO(call(*options, *keep, "-f", "csv"))))
        assert lines[0][-len(shown) - 1 :] == ["reason", *shown]
        first = dict(zip(*lines[:2], strict=True))
        assert (float(first["target"]) - float(first["prediction"])) ** 2 == float(first["value"])
        for form in ("table", "md"):
            assert all(f" {name} " in call(*options, *keep, "-f", form) for name in shown[:-1])
    many = pa.table({"p_a": [0.2, 0.7], "p_b": [0.8, 0.3], "label": ["a", "b"]})
    pq.write_table(many, "classes.parquet")
    report = json.loads(call("worst", "classes.parquet", "-l", "cross_entropy", "-f", "json"))
    assert report["results"][0]["worst"][0]["columns"] == {"label": "a"}


@pytest.mark.parametrize(
    ("keep", "shown"),
    [
        ((), {"prediction": 3.0, "target": 5.0}),
        (("--keep", "v"), {"prediction": 3.0, "v": 5.0}),
    ],
)
def test_columns_of_one_name_go_by_their_roles(
    call: Call, keep: tuple[str, ...], shown: dict[str, float]
) -> None:
    """Two files that call both alike still show both."""
    Path("p.csv").write_text("id,v\n1,2\n2,3\n", encoding="utf-8")
    Path("t.csv").write_text("id,v\n2,5\n1,2.5\n", encoding="utf-8")
    options = ("-k", "id", "-l", "mae", "-p", "v", "-t", "v", "-f", "json", "-n", "1")
    report = json.loads(call("worst", "p.csv", "t.csv", *options, *keep))
    assert report["results"][0]["worst"][0]["columns"] == shown


def test_an_infinite_loss_is_the_worst_and_a_dropped_row_is_none(call: Call) -> None:
    """JSON has no infinity: such a loss is null and says why."""
    lines = ["prediction,target", "0.5,1", "0,1", "nan,1", "0.4,1"]
    Path("p.csv").write_text("\n".join(lines), encoding="utf-8")
    options = ("p.csv", "-l", "bce:eps=0", "--nonfinite", "drop", "--top", "9")
    worst = json.loads(call("eval", *options, "-f", "json"))["results"][0]["worst"]
    assert [(row["row"], row["reason"]) for row in worst] == [
        (2, "infinite"),
        (4, None),
        (1, None),
    ]
    assert worst[0]["loss"] is None
    assert "inf" in call("worst", *options[:5])


def test_columns_to_keep_must_be_there_and_have_rows_to_go_with(call: Call) -> None:
    """Both are found before a row is read."""
    pq.write_table(table(), "rows.parquet")
    told = call("worst", "rows.parquet", "-l", "mse", "--keep", "idd", status=Exit.USAGE)
    assert "did you mean id" in told
    told = call("eval", "rows.parquet", "-l", "mse", "--keep", "id", status=Exit.USAGE)
    assert "--top" in told


def test_a_row_without_weight_is_none_of_the_worst(call: Call) -> None:
    """It has no part in the value either; other weights do not change which rows are worst."""
    Path("p.csv").write_text("prediction,target,w\n9,0,0\n1,0,1\n2,0,0.5\n", encoding="utf-8")
    options = ("p.csv", "-l", "mae", "-w", "w", "--top", "9", "-f", "json")
    worst = json.loads(call("eval", *options))["results"][0]["worst"]
    assert [row["row"] for row in worst] == [3, 2]
