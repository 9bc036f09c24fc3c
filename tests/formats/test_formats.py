"""Formats: nothing is cut, nothing is taken for markup, and programs can read what is for them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

from lossctl.errors import LossctlError
from lossctl.formats import FORMATS, Style, render
from lossctl.report import Report
from lossctl.results import Interval, Result, RowCount, RowRef, Rows

AWKWARD = ["[eu]", "[bold]x[/]", "a|b", "a,b", 'say "x"', "größe", "日本", "x" * 300, "\\", "[/]"]


def report_of(*results: Result, warnings: tuple[str, ...] = ()) -> Report:
    """Give a report of some results."""
    return Report("signature", {}, Rows(2, 2, {}), results, warnings, {})


def result_of(value: float | None = 0.5, **more: Any) -> Result:
    """Give a result that holds a value."""
    known: dict[str, Any] = {"loss": "mse", "slice": {}, "n": 2, "weight": 2.0}
    return Result(**(known | {"value": value, "direction": "lower_is_better"} | more))


def rows_of(text: str) -> list[dict[str, str]]:
    """Read the lines of a CSV report."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("text", AWKWARD)
def test_a_cell_of_a_table_is_shown_whole_and_as_it_stands(text: str, color: bool) -> None:
    report = report_of(result_of(slice={"region": text}))
    assert f"region={text}" in render(report, "table", Style(color=color))


@pytest.mark.parametrize("text", AWKWARD)
def test_slices_survive_in_formats_for_programs(text: str) -> None:
    report = report_of(result_of(slice={"region": text}))
    [row] = rows_of(render(report, "csv", Style()))
    assert (row["region"], row["value"]) == (text, "0.5")
    assert json.loads(render(report, "jsonl", Style()))["slice"] == {"region": text}
    line = render(report, "md", Style()).splitlines()[2]
    assert line.count("|") - line.count("\\|") == render(report, "md", Style()).splitlines()[
        0
    ].count("|")


def test_a_slice_by_a_column_called_like_a_number_hides_no_number() -> None:
    slices: Mapping[str, Any] = {"value": "x", "n": 7, "loss": None}
    [row] = rows_of(render(report_of(result_of(slice=slices)), "csv", Style()))
    assert (row["value"], row["n"], row["loss"]) == ("0.5", "2", "mse")
    assert (row["slice_value"], row["slice_n"], row["slice_loss"]) == ("x", "7", "null")


@pytest.mark.parametrize(
    "value", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789.0]
)
def test_programs_get_every_digit(value: float) -> None:
    report = report_of(result_of(value))
    assert float(render(report, "value", Style())) == value
    [row] = rows_of(render(report, "csv", Style()))
    assert row["value"] == repr(value)
    assert json.loads(render(report, "jsonl", Style()))["value"] == value
    assert json.loads(render(report, "json", Style()))["results"][0]["value"] == value


def test_an_infinite_value_is_shown_to_people_and_null_in_json() -> None:
    report = report_of(result_of(None, limit=math.inf, reason="infinite in 1 row"))
    assert render(report, "value", Style()) == "inf\n"
    assert " inf " in render(report, "table", Style())
    assert "| inf |" in render(report, "md", Style())
    found = json.loads(render(report, "json", Style()))["results"][0]
    assert (found["value"], found["reason"]) == (None, "infinite in 1 row")
    [row] = rows_of(render(report, "csv", Style()))
    assert (row["value"], row["reason"]) == ("", "infinite in 1 row")


def test_an_undefined_value_is_said_to_be_so() -> None:
    report = report_of(result_of(None, reason="no rows"))
    assert "undefined" in render(report, "table", Style())
    assert "| undefined |" in render(report, "md", Style())
    with pytest.raises(LossctlError, match="mse is undefined: no rows"):
        render(report, "value", Style())


def test_values_come_in_the_order_asked_for() -> None:
    report = report_of(result_of(2.0, loss="b"), result_of(1.0, loss="a"), result_of(3.0, loss="c"))
    assert render(report, "value", Style()) == "2.0\n1.0\n3.0\n"


def test_columns_that_say_nothing_are_left_out_of_what_people_read() -> None:
    bare = render(report_of(result_of()), "table", Style())
    assert "interval" not in bare
    assert "slice" not in bare
    ci = Interval(0.9, 0.25, 0.75, "normal")
    full = render(report_of(result_of(ci=ci, std_error=0.1), result_of()), "table", Style())
    assert "90 % interval" in full
    assert "0.25 to 0.75" in full


def test_markdown_lists_the_warnings() -> None:
    text = render(report_of(result_of(), warnings=("a | b", "two\nlines")), "md", Style())
    assert text.splitlines()[-2:] == ["- a \\| b", "- two lines"]


def test_no_row_of_a_table_ends_in_blanks() -> None:
    for name in FORMATS:
        text = render(report_of(result_of(), result_of(slice={"a": "b"})), name, Style())
        assert all(line == line.rstrip() for line in text.splitlines()), name


def test_json_is_text_for_people_as_well() -> None:
    """Letters of any script stand as they are."""
    rows = RowCount(1, (RowRef("größe.csv", 3),))
    text = render(report_of(result_of(infinite=rows)), "json", Style())
    assert '"file": "größe.csv"' in text
