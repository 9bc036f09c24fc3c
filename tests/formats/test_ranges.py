"""Slices by ranges, as tables name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossctl.cli.main import main
from lossctl.errors import Exit


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """Write a few rows of all ages."""
    path = tmp_path / "rows.csv"
    lines = [f"{age % 7},{age % 5},{age}" for age in range(20, 70)]
    path.write_text("\n".join(["prediction,target,age", *lines, ""]), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("form", ["table", "md"])
def test_ranges_go_by_their_column_in_tables(
    rows: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the titles of further tables and in the checks as well."""
    options = ["--by", "age:30,45", "--top", "1", "--max", "mae=99", "-f", form, "-q"]
    assert main(["eval", rows, "-l", "mae", *options]) == Exit.DONE
    shown = capsys.readouterr().out
    assert shown.count("age=[30, 45)") == 2
    assert "worst rows of mae, age=<30" in shown
    assert "age:30" not in shown


@pytest.mark.parametrize("other", ["age:50", "age"])
def test_two_slicings_of_a_column_are_told_apart(
    rows: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each keeps its whole name where another could be meant."""
    assert main(["eval", rows, "-l", "mae", "--by", "age:30,45", "--by", other]) == Exit.DONE
    assert "age:30,45=[30, 45)" in capsys.readouterr().out


def test_programs_read_the_whole_name(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A table before them changes nothing."""
    options = ["--by", "age:30,45", "-f", "json", "-q"]
    assert main(["eval", rows, "-l", "mae", *options]) == Exit.DONE
    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["slice"] for result in results[1:3]] == [
        {"age:30,45": "<30"},
        {"age:30,45": "[30, 45)"},
    ]
    assert main(["compare", rows, "-p", "prediction", "-p", "age", "-l", "mae", *options[:2]]) == 0
    assert "age=[30, 45)" in capsys.readouterr().out
