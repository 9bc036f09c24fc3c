"""Truths in CSV files: the numbers 1 and 0, as in a format that has a type for them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lossctl
from lossctl.data import csv as csv_format
from lossctl.data.dialect import read_dialect
from lossctl.data.source import Opening, open_source
from lossctl.errors import InputError
from lossctl.report import Report

Write = Callable[..., str]
Evaluate = Callable[..., Report]
Value = Callable[..., float | None]

SCRIPT = Path(sys.executable).parent / "lossctl"
TRUTHS = [True, False, False, None, True, False, True]
PROBABILITIES = [0.5, 0.25, 0.75, 0.5, 0.125, 0.5, 0.875]
SPELLINGS = [("True", "False"), ("true", "false"), ("TRUE", "FALSE"), ('"True"', " false ")]


def lines(true: str, false: str) -> list[str]:
    """Write the truths as lines of a CSV file."""
    words = {True: true, False: false, None: ""}
    return [f"{p},{words[t]},7" for p, t in zip(PROBABILITIES, TRUTHS, strict=True)]


def report_of(*arguments: str) -> dict[str, Any]:
    """Run the installed command and read its report."""
    command = [str(SCRIPT), "eval", *arguments, "-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("true", "false"), SPELLINGS, ids=str)
@pytest.mark.parametrize("name", ["bce", "hinge"])
def test_the_report_is_that_of_a_column_of_booleans(
    parquet: Write, csv: Write, true: str, false: str, name: str
) -> None:
    """Digest included, in every spelling that tools write."""
    rows = [(p, t) for p, t in zip(PROBABILITIES, TRUTHS, strict=True) if t is not None]
    typed = parquet(prediction=[p for p, _ in rows], target=[t for _, t in rows])
    path = csv("prediction,target", *(f"{p},{true if t else false}" for p, t in rows))
    options = ["-l", name, "-p", "prediction"]
    assert report_of(path, *options)["digest"] == report_of(typed, *options)["digest"]


@pytest.mark.parametrize("range_bytes", [1, 40, 1 << 20])
@pytest.mark.parametrize("note", ["", '"a\nb"'])
def test_truths_are_read_on_every_road(
    evaluate_files: Evaluate,
    csv: Write,
    monkeypatch: pytest.MonkeyPatch,
    range_bytes: int,
    note: str,
) -> None:
    """In ranges that begin or end in gaps, in order, paired by key, and beside digits in groups."""
    monkeypatch.setattr(csv_format, "RANGE_BYTES", range_bytes)
    rows = [(f"{line},{note}", i) for i, line in enumerate(lines("True", "False"))]
    path = csv("prediction,target,n,note,id", ",,7,,99", *(f"{text},{i}" for text, i in rows))
    other = csv(
        "id,flag", *(f"{i},{t}" for i, t in enumerate(TRUTHS) if t is not None), name="y.csv"
    )
    plain = csv("prediction,target,n", *lines("1", "0"), name="z.csv")
    [expected] = evaluate_files("bce", plain, nulls="drop").results
    [found] = evaluate_files("bce", path, nulls="drop", chunk_rows=2).results
    assert found == expected
    keyed = evaluate_files(
        "bce", path, other, columns={"target": "flag"}, keys=("id",), missing="drop"
    )
    assert keyed.results[0] == expected


@pytest.mark.parametrize("range_bytes", [1, 1 << 20])
@pytest.mark.parametrize(
    ("words", "row", "message"),
    [
        (["True", "False", "", "1"], 4, "'1' is not true or false"),
        (["True", "nan"], 2, "'nan' is not true or false"),
        (["", "FALSE", "tRUE"], 3, "'tRUE' is not true or false"),
        (["1", "0", "True"], 3, "'True' is not a number"),
        (["", "0.5", "false"], 3, "'false' is not a number"),
        (["yes", "True"], 1, "'yes' is not a number"),
    ],
)
def test_a_column_of_words_and_numbers_is_refused(
    value: Value,
    csv: Write,
    monkeypatch: pytest.MonkeyPatch,
    range_bytes: int,
    words: list[str],
    row: int,
    message: str,
) -> None:
    """With the first row that is not as the others, though every range by itself makes sense."""
    monkeypatch.setattr(csv_format, "RANGE_BYTES", range_bytes)
    path = csv("prediction,target", *(f"0.5,{word}" for word in words))
    with pytest.raises(InputError) as caught:
        value("bce", path, nulls="drop")
    assert (caught.value.place.row, caught.value.place.column) == (row, "target")
    assert caught.value.message == message


def test_truths_are_numbers_in_any_role(value: Value, csv: Write) -> None:
    """As the booleans of other formats are; a weight too."""
    path = csv("prediction,target,w", "true,2,TRUE", "false,3,FALSE", "true,1,TRUE")
    assert value("mse", path, weight="w") == 0.5


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ({}, ""),
        ({"thousands": "'"}, ""),
        ({"comment": "#"}, "# True\n"),
        ({"encoding": "utf-16"}, ""),
    ],
)
def test_truths_are_found_however_the_file_is_written(
    tmp_path: Path, options: dict[str, str], before: str
) -> None:
    """And not where a column of texts merely holds one further down."""
    path = tmp_path / "x.csv"
    text = "a,b,c,d\n,yes,1,TRUE\nfalse,True,True,0\n"
    path.write_text(before + text, encoding=options.get("encoding", "utf-8"))
    source = open_source(str(path), Opening(dialect=read_dialect(**options)))
    assert source.truths == {"a", "d"}


def test_truths_are_found_behind_wide_rows_and_gaps(tmp_path: Path) -> None:
    """Rows of a thousand columns, and a target that is missing in the first five thousand rows."""
    wide = ["prediction," + ",".join(f"x{i}" for i in range(1000)) + ",target"]
    wide += [
        "0.5," + ",".join(["0.123456789012345"] * 1000) + f",{row % 2 == 0}" for row in range(5)
    ]
    late = ["prediction,target", *(f"0.5,{'' if i < 5000 else i % 2 == 0}" for i in range(6000))]
    for name, lines in (("wide.csv", wide), ("late.csv", late)):
        (tmp_path / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
        report = lossctl.evaluate(tmp_path / name, losses="mae", nulls="drop")
        assert [result.value for result in report.results] == [0.5]
