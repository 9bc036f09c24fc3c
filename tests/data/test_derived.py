"""Derived slices: ranges of numbers and parts of times, of any type, from any format."""

from __future__ import annotations

import datetime as dt
import math
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.cli.main import main
from lossctl.data.binding import Choices
from lossctl.data.derived import PARTS, Derived, parse_slicing
from lossctl.data.source import open_source
from lossctl.errors import DomainError, Exit, UsageError
from lossctl.evaluate import evaluate
from lossctl.losses import parse
from lossctl.plan import Policies, make_plan
from lossctl.report import Report
from lossctl.statefile import Saved, dump, load, report_of

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(path: str, *by: str, **policies: Any) -> Report:
    """Slice a file as the command does."""
    sources = [open_source(path)]
    slicings = tuple(parse_slicing(text, sources) for text in by)
    chosen = Policies(by=slicings, **policies)
    return evaluate(make_plan(sources, parse(["mae"]), Choices(), chosen))


def write(path: str, **columns: Any) -> str:
    """Write columns beside predictions whose errors are 1, 2, 4, ...: a sum tells its rows."""
    rows = len(next(iter(columns.values())))
    table = {"prediction": 2.0 ** np.arange(rows), "target": np.zeros(rows)} | columns
    pq.write_table(pa.table(table), path)
    return path


def members(report: Report) -> dict[tuple[Any, ...], list[int]]:
    """Give the rows in each slice, in order of the report; the whole is left out."""
    return {
        tuple(result.slice.values()): [r for r in range(60) if int(result.sum or 0) >> r & 1]
        for result in report.results
        if result.slice
    }


# Ranges -------------------------------------------------------------------------------------------

AGES = [9, 10, 19, 20, 40, -5, None]
SLICES = {("<10",): [0, 5], ("[10, 20)",): [1, 2], ("[20, 40)",): [3], (">=40",): [4], (None,): [6]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (AGES, pa.int8()),
        (AGES, pa.int64()),
        (AGES, pa.float64()),
        (AGES, pa.float16()),
        ([None if age is None else Decimal(age) for age in AGES], pa.decimal128(9, 2)),
        (AGES, pa.dictionary(pa.int8(), pa.int32())),
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_a_range_holds_its_lower_end_and_not_its_upper_one(
    values: list[Any], kind: pa.DataType, chunk_rows: int
) -> None:
    """In ascending order, and a missing value is a slice of its own."""
    path = write("rows.parquet", age=pa.array(values, kind))
    report = measured(path, "age:10,20,40", chunk_rows=chunk_rows)
    assert list(members(report).items()) == list(SLICES.items())
    assert list(report.results[1].slice) == ["age:10,20,40"]


def test_ranges_of_a_csv_file_are_those_of_its_numbers() -> None:
    """However they are written."""
    texts = ["9", "1e1", "19.999999999999999", "20.0", "40", "-5", ""]
    lines = [f"{2**row},0,{text}" for row, text in enumerate(texts)]
    Path("rows.csv").write_text("\n".join(["prediction,target,age", *lines]), encoding="utf-8")
    report = measured("rows.csv", "age:10,20,40", "age")
    found = members(report)
    assert found[("<10",)] == [0, 5]
    assert found[("[10, 20)",)] == [1]
    assert found[("1e1",)] == [1]


def test_a_number_that_is_none_is_in_no_range() -> None:
    """NaN is a slice of its own; infinities are in the outermost ones."""
    path = write("rows.parquet", x=[math.nan, math.inf, -math.inf, 0.5, None])
    assert members(measured(path, "x:0,1")) == {
        ("<0",): [2],
        ("[0, 1)",): [3],
        (">=1",): [1],
        ("nan",): [0],
        (None,): [4],
    }


def test_no_integer_is_rounded_over_the_end_of_a_range() -> None:
    """Up to the largest integers and the largest end that is allowed."""
    edge = 2**53
    path = write("rows.parquet", x=[edge - 1, edge, edge + 1, 2**63 - 1, -(2**63)])
    assert members(measured(path, f"x:-{edge},{edge}")) == {
        (f"<-{edge}",): [4],
        (f"[-{edge}, {edge})",): [0],
        (f">={edge}",): [1, 2, 3],
    }


@given(
    values=st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=1, max_size=30),
    edges=st.lists(st.integers(-400, 400), min_size=1, max_size=4, unique=True),
)
def test_ranges_are_those_of_pandas(
    values: list[float | None], edges: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`pandas.cut` with closed lower ends, and no row is lost."""
    ends = [edge / 4 for edge in sorted(edges)]
    folder = tmp_path_factory.mktemp("cut")
    path = write(str(folder / "x.parquet"), x=pa.array(values, pa.float64()))
    report = measured(path, "x:" + ",".join(map(repr, ends)))
    bins = pd.cut(pd.Series(values, dtype=float), [-np.inf, *ends, np.inf], right=False)
    counts = bins.value_counts(sort=False, dropna=False)
    assert [r.n for r in report.results[1:]] == [n for n in counts.tolist() if n]


# Parts of times -----------------------------------------------------------------------------------

TIMES = [
    dt.datetime(2024, 2, 29, 23, 59, 59),  # noqa: DTZ001
    dt.datetime(2024, 12, 30),  # noqa: DTZ001 - the first week of 2025
    dt.datetime(2023, 1, 1, 7),  # noqa: DTZ001 - the last week of 2022
    dt.datetime(1969, 7, 20, 20, 17),  # noqa: DTZ001
    None,
]
EXPECTED = {
    "year": ["2024", "2024", "2023", "1969"],
    "quarter": ["2024-Q1", "2024-Q4", "2023-Q1", "1969-Q3"],
    "month": ["2024-02", "2024-12", "2023-01", "1969-07"],
    "week": ["2024-W09", "2025-W01", "2022-W52", "1969-W29"],
    "day": ["2024-02-29", "2024-12-30", "2023-01-01", "1969-07-20"],
    "hour": [23, 0, 7, 20],
    "weekday": ["4 Thursday", "1 Monday", "7 Sunday", "7 Sunday"],
}


def rows_by(names: Sequence[Any]) -> dict[tuple[Any, ...], list[int]]:
    """Give the rows of each name in order, the missing one last."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for name in sorted(set(names)):
        found[(name,)] = [row for row, other in enumerate(names) if other == name]
    return found | {(None,): [len(names)]}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("s"),
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ms", "Europe/Berlin"),
        pa.string(),
    ],
    ids=str,
)
def test_times_are_sliced_by_their_parts(part: str, kind: pa.DataType) -> None:
    """In the zone of the column; periods sort like the calendar."""
    times = pa.array(TIMES, pa.timestamp("us"))
    if kind == pa.string():
        times = pa.array([None if time is None else time.isoformat() for time in TIMES])
    elif kind.tz is not None:
        import pyarrow.compute as pc

        times = pc.assume_timezone(times, kind.tz)
    path = write("rows.parquet", when=times.cast(kind, safe=False))
    report = measured(path, f"when:{part}", chunk_rows=2)
    assert list(members(report).items()) == list(rows_by(EXPECTED[part]).items())


@pytest.mark.parametrize("part", [part for part in PARTS if part != "hour"])
def test_dates_are_sliced_by_their_parts(part: str) -> None:
    """Those of a CSV file too, which are text there."""
    days = [None if time is None else time.date() for time in TIMES]
    path = write("rows.parquet", day=pa.array(days, pa.date32()))
    lines = [f"{2**row},0,{'' if day is None else day}" for row, day in enumerate(days)]
    Path("rows.csv").write_text("\n".join(["prediction,target,day", *lines]), encoding="utf-8")
    expected = list(rows_by(EXPECTED[part]).items())
    assert list(members(measured(path, f"day:{part}")).items()) == expected
    assert list(members(measured("rows.csv", f"day:{part}")).items()) == expected


# Crosses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("region", ("region",)),
        ("region,age", ("region", "age")),
        ("age:10", ("age:10",)),
        ("age:10,20,region", ("age:10,20", "region")),
        (" region , age : 10, 20.50 ", ("region", "age:10,20.5")),
        ("age:-1,2e2,when:month,region", ("age:-1,200", "when:month", "region")),
        ("when:year,when:hour", ("when:year", "when:hour")),
        ("a:b", ("a:b",)),
        ("a:b:5", ("a:b:5",)),
        ("a,b", ("a,b",)),
        ("age:month", ("age:month",)),
    ],
)
def test_what_stands_between_commas_is_read_as_it_is_meant(
    text: str, expected: tuple[str, ...]
) -> None:
    """Numbers belong to the ranges before them; a name is taken as it stands first."""
    columns = {name: [1] for name in ("region", "age", "a:b", "a,b", "age:month")}
    path = write("rows.parquet", **columns, when=[dt.datetime(2024, 1, 1)])  # noqa: DTZ001
    found = parse_slicing(text, [open_source(path)])
    assert found == expected
    plain = {"region", "age", "a:b", "a,b", "age:month"}
    assert [isinstance(name, Derived) for name in found] == [name not in plain for name in found]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("age:10,5", "the ends of ranges must ascend", "as in --by age:10,20,40"),
        ("age:10,10", "the ends of ranges must ascend", "as in"),
        ("age:1e300", "must be within 2**53", ""),
        ("age:nan", "'nan' is no part of a column", "numbers between commas, or year"),
        ("age:ten", "'ten' is no part of a column", "numbers between commas, or year"),
        ("when:mnth", "'mnth' is no part of a column", "did you mean month"),
        ("when:", "'' is no part of a column", "numbers between commas"),
        ("agee:10", "no column 'agee' to slice by", "did you mean age"),
        ("age:month", "holds int64, not dates or times", ""),
        ("when:10", "holds timestamp[us], not numbers", ""),
        ("text:10", "holds string, not numbers", ""),
    ],
)
def test_what_is_no_slicing_is_refused(text: str, message: str, hint: str) -> None:
    """Before a row is read, with the part that is wrong."""
    path = write("rows.parquet", age=[1], when=[dt.datetime(2024, 1, 1)], text=["a"])  # noqa: DTZ001
    with pytest.raises(UsageError) as caught:
        parse_slicing(text, [open_source(path)])
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(("by", "text"), [("x:10,20", "ten"), ("x:month", "May")])
@pytest.mark.parametrize("chunk_rows", [1, 100])
def test_a_text_that_is_no_number_or_date_names_its_row(
    by: str, text: str, chunk_rows: int
) -> None:
    """In a file that has no types."""
    good = "2024-01-01" if by.endswith("month") else "11"
    lines = ["prediction,target,x", f"1,0,{good}", f"1,0,{good}", f"1,0,{text}", "1,0,"]
    Path("rows.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DomainError, match=f"{text!r} is none") as caught:
        measured("rows.csv", by, chunk_rows=chunk_rows)
    assert (caught.value.place.row, caught.value.place.column) == (3, "x")


def test_slices_of_any_cross_add_up_to_the_whole() -> None:
    """Rows, weights and exact sums, with gaps of every kind in every column."""
    rng = np.random.default_rng(2)
    rows = 50
    region = np.array(["eu", "us", "", None], dtype=object)[rng.integers(0, 4, rows)]
    age = np.where(rng.uniform(size=rows) < 0.2, np.nan, rng.uniform(0, 60, rows))
    when = [TIMES[place] for place in rng.integers(0, len(TIMES), rows)]
    columns = {"region": region, "age": age, "when": when, "w": rng.uniform(size=rows)}
    path = write("rows.parquet", **columns)
    report = measured(path, "region,age:10,20,40", "when:weekday,age:30", "age:10,region,when:day")
    whole = report.results[0]
    for names in {tuple(result.slice) for result in report.results} - {()}:
        parts = [result for result in report.results if tuple(result.slice) == names]
        assert sum(result.n for result in parts) == whole.n == rows
        assert sum(Fraction(r.sum or 0.0) for r in parts) == Fraction(whole.sum or 0.0)
        assert len({tuple(result.slice.values()) for result in parts}) == len(parts)


def test_a_derived_slicing_survives_bytes_and_state_files() -> None:
    """What it is made of as well as its title."""
    derived = Derived("a:b", (1.0, 2.5))
    copy = pickle.loads(pickle.dumps(derived))  # noqa: S301 - our own bytes
    assert (copy, copy.column, copy.edges) == ("a:b:1,2.5", "a:b", (1.0, 2.5))
    path = write("rows.parquet", age=[1, 15, 30], when=TIMES[:3])
    sources = [open_source(path)]
    by = (parse_slicing("age:10,20", sources), parse_slicing("when:month,age", sources))
    plan = make_plan(sources, parse(["mae"]), Choices(), Policies(by=by))
    states: list[Any] = []
    expected = evaluate(plan, checkpoint=states.append)
    Path("a.state").write_text(dump(Saved(plan.settings, states[-1], [])), encoding="utf-8")
    found = report_of(load("a.state"))
    assert found.to_dict()["results"] == expected.to_dict()["results"]
    assert found.signature == expected.signature


# Bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 3, 100])
def test_a_runaway_column_is_refused_with_its_first_values(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found while reading, or when all tasks are put together; crosses count as well."""
    monkeypatch.setattr("lossctl.data.blocks.FRAGMENT_ROWS", 1)
    columns = {"id": [f"u{i}" for i in range(9)], "half": [i % 2 for i in range(9)]}
    table = pa.table({"prediction": [1.0] * 9, "target": [0.0] * 9} | columns)
    pq.write_table(table, "rows.parquet", row_group_size=groups)
    assert len(measured("rows.parquet", "id", max_slices=9).results) == 10
    with pytest.raises(UsageError, match=r"--by id: .*8 are allowed \(the first: 'u0', 'u1', 'u2'"):
        measured("rows.parquet", "id", max_slices=8)
    with pytest.raises(UsageError, match="--by id,half: 9 slices, 8 are allowed|--by id: "):
        measured("rows.parquet", "id,half", max_slices=8)


def test_small_slices_are_marked_and_counted() -> None:
    """No row is lost: they stand in the report like the others."""
    path = write("rows.parquet", part=["a", "a", "b", "c", "c", "c"])
    report = measured(path, "part", min_slice_rows=2)
    assert [(r.slice.get("part"), r.n, r.small) for r in report.results] == [
        (None, 6, False),
        ("a", 2, False),
        ("b", 1, True),
        ("c", 3, False),
    ]
    assert "1 slice has too few rows to be judged" in report.warnings
    small = [result.get("small") for result in report.to_dict()["results"]]
    assert small == [None, None, True, None]


def test_the_command_slices_by_ranges_and_parts(capsys: Any) -> None:
    """With crosses, and a runaway column is refused."""
    path = write("rows.parquet", age=[5, 15, 15, 50], when=TIMES[:4], id=list("abcd"))
    command = ["eval", path, "-l", "mae", "-q"]
    assert main([*command, "--by", "age:10,20,when:weekday", "-f", "csv"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('loss,"age:10,20",when:weekday,n,')
    assert lines[3].startswith('mae,"[10, 20)",1 Monday,1,')
    assert main([*command, "--by", "id", "--max-slices", "3"]) == Exit.USAGE
    assert "3 are allowed" in capsys.readouterr().err
