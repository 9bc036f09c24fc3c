"""Long files with ``--group``: the same numbers as lists, groups scattered, and what is refused."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Row = tuple[str, float, int]

ROWS: list[Row] = [(f"g{i % 5}", float(np.sin(i)), int(i % 7 < 3)) for i in range(80)]


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def grouped(capsys: pytest.CaptureFixture[str]) -> Call:
    """Evaluate the triplet loss of a long file; give exit status, stdout and stderr."""

    def run(path: str, *options: str) -> Shown:
        status = main(["eval", path, "-l", "triplet", "--group", "g", *options])
        shown = capsys.readouterr()
        assert status in (Exit.DONE, Exit.USAGE, Exit.UNMEASURABLE), shown.err
        return status, shown.out, shown.err

    return run


def write_csv(rows: list[Row], name: str = "x.csv", header: str = "g,score,label") -> str:
    """Write rows as they are."""
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    Path(name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return name


def write_lists(rows: list[Row], name: str = "lists.parquet") -> str:
    """Write the same scores as lists, a row for each group."""
    lists: dict[str, dict[str, list[float]]] = {
        "positive": defaultdict(list),
        "negative": defaultdict(list),
    }
    groups = dict.fromkeys(group for group, _, _ in rows)
    for group, score, label in rows:
        lists["positive" if label else "negative"][group].append(score)
    columns = {role: [by_group[group] for group in groups] for role, by_group in lists.items()}
    pq.write_table(pa.table(columns), name)
    return name


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_long_file_gives_the_bits_of_the_lists_wherever_its_groups_lie(
    grouped: Call, capsys: pytest.CaptureFixture[str], seed: int | None
) -> None:
    rows = list(ROWS)
    if seed is not None:
        random.Random(seed).shuffle(rows)
    assert main(["eval", write_lists(rows), "-l", "triplet", "-f", "value"]) == Exit.DONE
    expected = capsys.readouterr().out
    for options in ([], ["--chunk-rows", "1"], ["-j", "2"]):
        assert grouped(write_csv(rows), "-f", "value", *options) == (Exit.DONE, expected, "")
    table = {
        name: list(cells)
        for name, cells in zip(("g", "score", "label"), zip(*rows, strict=True), strict=True)
    }
    pq.write_table(pa.table(table), "x.parquet")
    assert grouped("x.parquet", "-f", "value")[1] == expected
    table["g"] = pa.array(table["g"]).dictionary_encode()
    table["label"] = [bool(label) for label in table["label"]]
    pq.write_table(pa.table(table), "y.parquet")
    assert grouped("y.parquet", "-f", "value")[1] == expected


def test_columns_are_found_or_told(grouped: Call) -> None:
    expected = grouped(write_csv(ROWS), "-f", "value")
    assert expected[0] == Exit.DONE
    assert grouped(write_csv(ROWS, header="g,Prediction,TARGET"), "-f", "value") == expected
    path = write_csv(ROWS, header="g,s,y[0]")
    assert grouped(path, "-f", "value", "-p", "s", "-t", "y[0]") == expected


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", 1, 1), ("a", 0, 0), ("b", 1, 1)],
            "column 'label': the group 'b' has no negative row",
        ),
        (
            [("a", 1, 1), ("a", 0, 0), ("b", 1, 0)],
            "column 'label': the group 'b' has no positive row",
        ),
        ([("a", 1, 1), ("a", 0, 2)], "row 2, column 'label': the label must be 0 or 1, not 2"),
        (
            [("a", 1, 1), ("a", 0, "nan")],
            "row 2, column 'label': the label must be 0 or 1, not nan",
        ),
        ([("a", 1, 1), ("a", "nan", 0)], "row 2, column 'score': the value is nan"),
        ([("a", 1, 1), ("a", None, 0)], "row 2, column 'score': the value is missing"),
        ([("a", 1, 1), (None, 0, 0)], "row 2, column 'g': the value is missing"),
        ([("a", 1, 1), ("a", 0, None)], "row 2, column 'label': the value is missing"),
        ([("a", 1, 1), ("a", "x", 0)], "row 2, column 'score': 'x' is not a number"),
        ([], "no rows"),
    ],
)
def test_a_fault_is_named_by_the_row_of_the_file_or_by_its_group(
    grouped: Call, rows: list[Row], message: str
) -> None:
    status, out, err = grouped(write_csv(rows))
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert err.startswith("error: x.csv")
    assert message in err


def test_a_group_with_a_missing_or_infinite_value_is_dropped_whole_and_counted(
    grouped: Call,
) -> None:
    good: list[Row] = [("a", 1, 1), ("b", 3, 1), ("a", 0, 0), ("b", 2, 0)]
    expected = json.loads(grouped(write_csv(good), "-f", "json")[1])["results"]
    bad = [("c", 1, 1), ("c", None, 0), (None, 1, 1), ("d", 1, 1), ("d", "inf", 0)]
    path = write_csv([good[0], *bad, *good[1:]])  # type: ignore[list-item]
    options = "--nulls", "drop", "--nonfinite", "drop"
    report = json.loads(grouped(path, "-f", "json", *options)[1])
    assert report["results"] == expected
    assert report["rows"]["read"] == 5
    assert {why: gone["count"] for why, gone in report["rows"]["dropped"].items()} == {
        "null": 2,
        "nonfinite": 1,
    }


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["-p", "scroe", "-t", "lable"], ["no column 'scroe'", "no column 'lable'"]),
        (["-p", "*"], ["several columns for the role 'prediction'"]),
        (["-l", "mse,mae"], ["mse is no loss over groups", "mae is no loss over groups"]),
        (["--col", "positive=score"], ["the file has the roles prediction and target"]),
        (["--positive", "1"], ["takes labels 0 and 1, not --positive or --classes"]),
    ],
)
def test_what_makes_no_sense_with_groups_is_refused(
    grouped: Call, options: list[str], messages: list[str]
) -> None:
    status, out, err = grouped(write_csv(ROWS), *options)
    assert (status, out) == (Exit.USAGE, "")
    for message in messages:
        assert message in err


def test_columns_of_other_types_are_refused(grouped: Call) -> None:
    for column in ({"score": ["a", "b"]}, {"g": [[1], [2]]}, {"label": ["x", "y"]}):
        columns = {"g": ["a", "a"], "score": [1.0, 2.0], "label": [1, 0]} | column
        pq.write_table(pa.table(columns), "x.parquet")
        status, _, err = grouped("x.parquet")
        assert status == Exit.USAGE
        assert err.startswith(f"error: x.parquet: column {next(iter(column))!r} for the role")


def test_groups_take_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(ROWS)
    assert main(["eval", path, path, "-l", "triplet", "--group", "g"]) == Exit.USAGE
    assert capsys.readouterr().err == (
        "error: --group takes one file that holds groups, scores and labels\n"
    )
