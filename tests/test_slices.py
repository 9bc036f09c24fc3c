"""Slices: every row is in one slice of each slicing, and the slices add up to the whole."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.cli.main import main
from lossctl.data import cells
from lossctl.data.binding import Choices
from lossctl.data.source import open_source
from lossctl.errors import Exit, UsageError
from lossctl.evaluate import evaluate
from lossctl.formats import Style, render
from lossctl.losses import Loss, find, parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report
from lossctl.results import Result, RowCount
from lossctl.state import State
from lossctl.stats.tally import KINDS

Draw = Callable[..., dict[str, Any]]
TakeRows = Callable[[dict[str, Any], npt.NDArray[np.intp]], dict[str, Any]]
Write = Callable[..., Path]
Measure = Callable[..., Report]

ROWS = 40
SIX = 6


def write(path: Path, **columns: Any) -> Path:
    """Write columns of any type beside six rows of predictions whose errors are 1, 2, 4, ..., 32.

    So the sum of the absolute errors of a slice tells which rows are in it.
    """
    errors = 2.0 ** np.arange(SIX)
    pq.write_table(pa.table({"prediction": errors, "target": np.zeros(SIX)} | columns), path)
    return path


def members(report: Report) -> dict[tuple[Any, ...], list[int]]:
    """Give the rows in each slice, by its values."""
    return {
        tuple(result.slice.values()): [r for r in range(SIX) if int(result.sum or 0) >> r & 1]
        for result in report.results
    }


# What is in a slice -------------------------------------------------------------------------------

TEXTS = ["b", "a", "b", "", None, "10"]
TEXT_SLICES = {"": [3], "10": [5], "a": [1], "b": [0, 2], None: [4]}
DAY, LATER = dt.datetime(2024, 2, 29, 7), dt.datetime(2024, 2, 29, 7, 0, 0, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (TEXTS, pa.string(), TEXT_SLICES),
        (TEXTS, pa.large_string(), TEXT_SLICES),
        (TEXTS, pa.string_view(), TEXT_SLICES),
        (TEXTS, pa.dictionary(pa.int8(), pa.string()), TEXT_SLICES),
        ([10, 9, -1, None, 9, 10], pa.int64(), {-1: [2], 9: [1, 4], 10: [0, 5], None: [3]}),
        ([10, 9, 255, None, 9, 10], pa.uint8(), {9: [1, 4], 10: [0, 5], 255: [2], None: [3]}),
        (
            [0.5, 2.0, -0.0, 0.0, math.nan, -1.0],
            pa.float64(),
            {-1: [5], 0: [2, 3], 0.5: [0], 2: [1], "nan": [4]},
        ),
        (
            [True, False, None, True, True, False],
            pa.bool_(),
            {False: [1, 5], True: [0, 3, 4], None: [2]},
        ),
        (
            [dt.date(2024, 2, 29), None, dt.date(2023, 1, 1)] * 2,
            pa.date32(),
            {"2023-01-01": [2, 5], "2024-02-29": [0, 3], None: [1, 4]},
        ),
        (
            [LATER, None, DAY] * 2,
            pa.timestamp("us"),
            {
                "2024-02-29T07:00:00": [2, 5],
                "2024-02-29T07:00:00.000001": [0, 3],
                None: [1, 4],
            },
        ),
        (
            [Decimal("1.50"), Decimal("1.05"), None] * 2,
            pa.decimal128(9, 2),
            {"1.05": [1, 4], "1.50": [0, 3], None: [2, 5]},
        ),
        ([None] * SIX, pa.null(), {None: [0, 1, 2, 3, 4, 5]}),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
@pytest.mark.parametrize("chunk_rows", [2, 100])
def test_a_slice_holds_the_rows_of_its_value(
    values: list[Any],
    kind: pa.DataType,
    expected: dict[Any, list[int]],
    chunk_rows: int,
    measure: Measure,
    tmp_path: Path,
) -> None:
    """Of any type, in ascending order; the null is a value like any other and comes last."""
    path = write(tmp_path / "rows.parquet", part=pa.array(values, kind))
    found = members(measure("mae", path, by=(("part",),), chunk_rows=chunk_rows))
    assert found.pop(()) == [0, 1, 2, 3, 4, 5]
    assert repr(found) == repr({(value,): rows for value, rows in expected.items()})


def test_slices_of_a_csv_file_are_named_by_its_text(measure: Measure, tmp_path: Path) -> None:
    """As it stands there; an empty cell is a missing value."""
    lines = ["prediction,target,part", "1,0,07", "2,0,7", "4,0,", "8,0,7.0", '16,0,"a,b"', "32,0,7"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = members(measure("mae", path, by=(("part",),)))
    del found[()]
    assert found == {("07",): [0], ("7",): [1, 5], ("7.0",): [3], ("a,b",): [4], (None,): [2]}


def test_whole_numbers_are_the_same_slices_whether_stored_as_integers_or_as_floats(
    draw: Draw, write_parquet: Write, measure: Measure, tmp_path: Path
) -> None:
    """One file of a population has gaps, so its tool has made floats of the years."""
    generated = {"prediction": draw(find("gan_discriminator"), 6)["prediction"]}
    years = np.array([2024, 2025] * 3)
    write_parquet(tmp_path / "a.parquet", generated | {"year": years})
    write_parquet(tmp_path / "b.parquet", generated | {"year": years.astype(np.float64)})
    for order in ("ab", "ba"):
        files = [tmp_path / f"{name}.parquet" for name in order]
        results = measure("gan_discriminator", *files, by=(("year",),)).results
        assert repr([result.slice for result in results]) == "[{}, {'year': 2024}, {'year': 2025}]"


def test_several_slicings_stand_one_after_the_other_and_crosses_hold_what_occurs(
    measure: Measure, tmp_path: Path
) -> None:
    """The whole first, then each as it was asked for; a combination without rows is no slice."""
    path = write(tmp_path / "rows.parquet", a=["x", "x", "y", "y", "x", None], b=[1, 2, 1, 1, 1, 2])
    report = measure("mae", path, by=(("b", "a"), ("a",), ("b",), ("a",)))
    assert [(result.slice, result.sum) for result in report.results] == [
        ({}, 63.0),
        ({"b": 1, "a": "x"}, 17.0),
        ({"b": 1, "a": "y"}, 12.0),
        ({"b": 2, "a": "x"}, 2.0),
        ({"b": 2, "a": None}, 32.0),
        ({"a": "x"}, 19.0),
        ({"a": "y"}, 12.0),
        ({"a": None}, 32.0),
        ({"b": 1}, 29.0),
        ({"b": 2}, 34.0),
    ]


@pytest.mark.parametrize("holder", ["predictions", "targets", "both"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_column_may_stand_in_either_file(
    holder: str,
    ending: str,
    write_csv: Write,
    write_parquet: Write,
    measure: Measure,
    tmp_path: Path,
) -> None:
    """Predictions and targets apart."""
    part = {"part": np.array([1.0, 2.0, 1.0])}
    files = []
    for name, role, value in (("predictions", "prediction", 1.0), ("targets", "target", 0.0)):
        columns = {role: np.array([1.0, 2.0, 4.0]) * value}
        columns |= part if holder in (name, "both") else {}
        writer = write_csv if ending == "csv" else write_parquet
        files.append(writer(tmp_path / f"{name}.{ending}", columns))
    results = measure("mae", *files, by=(("part",),)).results
    assert [(result.n, result.sum) for result in results] == [(3, 7.0), (2, 5.0), (1, 2.0)]


def test_a_slice_of_dropped_rows_has_no_value(measure: Measure, tmp_path: Path) -> None:
    """It is named, with 0 rows and the reason."""
    path = tmp_path / "rows.csv"
    path.write_text("prediction,target,part\n1,0,a\n,0,b\n", encoding="utf-8")
    results = measure("mae", path, by=(("part",),), nulls="drop").results
    assert [(r.slice, r.n, r.value, r.reason) for r in results[1:]] == [
        ({"part": "a"}, 1, 1.0, None),
        ({"part": "b"}, 0, None, "no rows"),
    ]


# What they add up to ------------------------------------------------------------------------------


def run(specs: str, path: Path, **policies: Any) -> tuple[Report, State]:
    """Evaluate a file whose columns have the names of the roles; give the state as well."""
    source = open_source(str(path))
    chosen = parse([specs])
    told = {role.name: role.name for spec in chosen for role in spec.loss.roles}
    plan = make_plan([source], chosen, Choices(told), Policies(**policies))
    states: list[State] = []
    return evaluate(plan, checkpoint=states.append), states[-1]


def with_parts(columns: dict[str, Any]) -> dict[str, Any]:
    """Add columns to slice by."""
    rows = np.arange(ROWS)
    return columns | {"a": np.array(["x", "y", "z"])[rows * rows % 3], "b": rows * 7 % 5}


SLICINGS = (("a",), ("b",), ("a", "b"))


def exact(state: State, name: str) -> list[Fraction]:
    """Give the exact sums of a loss over all cells, and of the products."""
    tally = state.tallies[name]
    totals = [*tally.moments.sums, *tally.moments.products.values(), tally.clipped_sum]
    return [
        sum((total.fraction(i) for i in range(len(total.units))), Fraction(0)) for total in totals
    ]


def test_the_slices_of_any_loss_add_up_to_the_whole_exactly(
    loss: Loss, draw: Draw, write_parquet: Write, tmp_path: Path
) -> None:
    """Rows, sums, products, buckets and rows of every kind."""
    path = write_parquet(tmp_path / "rows.parquet", with_parts(draw(loss, ROWS)))
    policies: dict[str, Any] = {"histogram": True, "chunk_rows": 7}
    whole, alone = run(loss.name, path, **policies)
    sliced, state = run(loss.name, path, by=SLICINGS, **policies)
    (name, tally), (_, single) = *state.tallies.items(), *alone.tallies.items()
    assert exact(state, name) == exact(alone, name)
    assert int(tally.moments.rows.sum()) == int(single.moments.rows[0])
    for kind in KINDS:
        found = sum(rows.count for (k, _), rows in tally.rows.items() if k == kind)
        assert found == single.rows_of(kind, 0).count
    assert sliced.results[0] == whole.results[0]
    for columns in SLICINGS:
        parts = [result for result in sliced.results if tuple(result.slice) == columns]
        assert len(parts) > 1
        assert sum(part.n for part in parts) == whole.results[0].n
        assert min(part.min for part in parts if part.min is not None) == whole.results[0].min
        assert max(part.max for part in parts if part.max is not None) == whole.results[0].max
        for count in ("infinite", "undefined", "clipped"):
            assert (
                sum(getattr(p, count).count for p in parts)
                == getattr(whole.results[0], count).count
            )
        bins = [bin_.count for part in parts for bin_ in part.histogram or ()]
        assert sum(bins) == sum(bin_.count for bin_ in whole.results[0].histogram or ())


def unplaced(result: Result) -> Result:
    """Give a result without its slice and without the places of rows."""
    counts = {
        name: RowCount(getattr(result, name).count) for name in ("infinite", "undefined", "clipped")
    }
    return replace(result, slice={}, **counts)


def test_a_slice_of_any_loss_is_what_a_file_of_its_rows_gives(
    loss: Loss, draw: Draw, take_rows: TakeRows, write_parquet: Write, tmp_path: Path
) -> None:
    """Value, sum, standard error, interval, range, quantiles and histogram."""
    columns = with_parts(draw(loss, ROWS))
    policies: dict[str, Any] = {"histogram": True, "quantiles": (0.25, 0.9)}
    path = write_parquet(tmp_path / "rows.parquet", columns)
    report, _ = run(loss.name, path, by=(("a",),), **policies)
    for result in report.results[1:]:
        rows = np.flatnonzero(columns["a"] == result.slice["a"])
        part = write_parquet(tmp_path / "part.parquet", take_rows(columns, rows))
        alone, _ = run(loss.name, part, **policies)
        assert unplaced(result) == unplaced(alone.results[0])


@pytest.mark.parametrize("possible", [0, 30, 1 << 20])
def test_combinations_are_found_alike_by_a_table_and_by_sorting(
    possible: int, monkeypatch: pytest.MonkeyPatch, measure: Measure, tmp_path: Path
) -> None:
    """Two columns of many values would need a table larger than memory."""
    monkeypatch.setattr(cells, "DENSE", possible)
    rows = 600
    one, two = np.arange(rows) % 37, np.arange(rows) * 31 % 53
    values = {"prediction": np.arange(rows, dtype=np.float64), "target": np.zeros(rows)}
    pq.write_table(pa.table(values | {"one": one, "two": two}), tmp_path / "rows.parquet")
    report = measure("mae", tmp_path / "rows.parquet", by=(("one", "two"),), chunk_rows=50)
    expected: dict[tuple[int, int], float] = {}
    for row, key in enumerate(zip(one.tolist(), two.tolist(), strict=True)):
        expected[key] = expected.get(key, 0.0) + row
    found = {tuple(result.slice.values()): result.sum for result in report.results[1:]}
    assert found == expected
    assert list(found) == sorted(expected)


def test_two_columns_of_very_many_values_can_be_crossed(measure: Measure, tmp_path: Path) -> None:
    """A table of all combinations that could be would hold many millions."""
    rows = 5_000
    part = {"one": np.arange(rows) // 2, "two": np.arange(rows)}
    values = {"prediction": np.ones(rows), "target": np.zeros(rows)}
    pq.write_table(pa.table(values | part), tmp_path / "rows.parquet")
    path = tmp_path / "rows.parquet"
    report = measure("mae", path, by=(("one", "two"),), ci=None)
    assert len(report.results) == 1 + rows


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_more_combinations_than_can_be_kept_are_refused(
    jobs: int, monkeypatch: pytest.MonkeyPatch, measure: Measure, tmp_path: Path
) -> None:
    """With the columns, the number and what to do; as many as can be kept are no error."""
    path = write(tmp_path / "rows.parquet", a=[1, 1, 1, 2, 2, 2], b=list("abcabd"))
    monkeypatch.setattr(cells, "MOST", 6)
    assert len(measure("mae", path, by=(("a", "b"),), jobs=jobs, chunk_rows=2).results) == 7
    monkeypatch.setattr(cells, "MOST", 5)
    with pytest.raises(UsageError) as caught:
        measure("mae", path, by=(("a", "b"),), jobs=jobs, chunk_rows=2)
    assert caught.value.message == "--by a, b: there are more than 5 combinations of values"
    assert caught.value.hint == "slice by fewer or coarser columns"


@pytest.mark.parametrize(
    "values", [[[1]] * SIX, [{"x": 1}] * SIX, pa.array([[1.0]] * SIX, pa.list_(pa.float64(), 1))]
)
def test_a_column_of_lists_or_records_is_refused(
    values: Any, measure: Measure, tmp_path: Path
) -> None:
    """Its name and type are told."""
    path = write(tmp_path / "rows.parquet", part=values)
    with pytest.raises(UsageError, match="cannot slice by the column 'part' of type"):
        measure("mae", path, by=(("part",),))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_missing_column_is_named_with_the_one_that_may_be_meant(
    ending: str, write_csv: Write, write_parquet: Write, capsys: Any, tmp_path: Path
) -> None:
    """Before a row is read, and every one of several."""
    writer = write_csv if ending == "csv" else write_parquet
    columns = {name: np.ones(3) for name in ("prediction", "target", "region", "year")}
    path = writer(tmp_path / f"rows.{ending}", columns)
    options = ["eval", str(path), "-l", "mae", "--by", "regoin", "--by", "year,mont"]
    assert main(options) == Exit.USAGE
    shown = capsys.readouterr()
    assert not shown.out
    assert "no column 'regoin'" in shown.err
    assert "did you mean region?" in shown.err
    assert "no column 'mont'" in shown.err


# How they are shown -------------------------------------------------------------------------------

SPECIAL = ["[b]x[/b]", "a, b=c", "two\nlines", "p|q\\", '"quoted"', None]
NOTHING = ["", "null", '""', '"null"', " ", None]
"""Values that look like none."""


@pytest.fixture
def special(measure: Measure, tmp_path: Path) -> Report:
    """Slice by values that a format might trip over."""
    return measure("mae", write(tmp_path / "rows.parquet", kind=SPECIAL), by=(("kind",),))


def test_json_lines_and_csv_give_every_value_back(special: Report) -> None:
    """As it stood in the column; a CSV file has null for none, and no cell for the whole."""
    expected = sorted(SPECIAL, key=lambda value: (value is None, value))
    found = [result["slice"] for result in json.loads(render(special, "json", Style()))["results"]]
    assert found == [{}, *({"kind": value} for value in expected)]
    lines = render(special, "jsonl", Style()).splitlines()
    assert [json.loads(line)["slice"] for line in lines] == found
    rows = list(csv.DictReader(io.StringIO(render(special, "csv", Style()))))
    assert [row["kind"] for row in rows] == ["", *(value or "null" for value in expected)]


def test_no_two_values_look_alike_in_any_format(measure: Measure, tmp_path: Path) -> None:
    """The missing value, the empty text and texts that read like them or are quoted like them."""
    path = write(tmp_path / "rows.parquet", kind=NOTHING)
    report = measure("mae", path, by=(("kind",),))
    rows = csv.DictReader(io.StringIO(render(report, "csv", Style())))
    kinds = [row["kind"] for row in rows]
    assert len(set(kinds)) == 1 + len(NOTHING)
    for name, head in (("table", 2), ("md", 2)):
        lines = render(report, name, Style()).splitlines()[head:]
        shown = [line.partition("kind=")[2].partition("  ")[0].partition(" |")[0] for line in lines]
        assert sorted(shown) == sorted(
            [
                "",
                '""',
                "null",
                '"null"',
                *(
                    ['"\\"\\""', '"\\"null\\""', '" "']
                    if name == "table"
                    else ['"\\\\"\\\\""', '"\\\\"null\\\\""', '" "']
                ),
            ]
        )


def test_the_table_shows_every_value_whole(special: Report) -> None:
    """Brackets are no markup; what would break a line or be taken for two columns is quoted."""
    text = render(special, "table", Style())
    shown = ["[b]x[/b]", '"a, b=c"', r'"two\nlines"', "p|q\\", r'"\"quoted\""', "null"]
    assert all(f"kind={value} " in text for value in shown)
    assert len(text.splitlines()) == 2 + len(special.results)


def test_markdown_shows_every_value_in_one_line_of_its_table(special: Report) -> None:
    """With what would end a cell escaped."""
    lines = render(special, "md", Style()).splitlines()
    assert len(lines) == 2 + len(special.results)
    shown = [line.split(" | ")[1] for line in lines[2:]]
    assert shown == [
        "",
        r'kind="\\"quoted\\""',
        "kind=[b]x[/b]",
        'kind="a, b=c"',
        r"kind=p\|q\\",
        r'kind="two\\nlines"',
        "kind=null",
    ]
