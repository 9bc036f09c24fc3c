"""Filters: what the text means, for any type of column, and which row groups it can leave out."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.data.binding import Choices
from lossctl.data.comparing import OPERATORS
from lossctl.data.source import open_source
from lossctl.data.tasks import tasks
from lossctl.data.where import bind_where, parse
from lossctl.errors import ColumnError, DomainError, InputError, LossctlError, UsageError
from lossctl.evaluate import evaluate
from lossctl.losses import parse as parse_specs
from lossctl.plan import Plan, Policies, make_plan
from lossctl.report import Report

ROWS = 8


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, groups: int = ROWS, **columns: Any) -> str:
    """Write columns beside predictions whose errors are 1, 2, 4, ...: the sum tells the rows."""
    rows = len(next(iter(columns.values())))
    table = pa.table({"prediction": 2.0 ** np.arange(rows), "target": [0.0] * rows} | columns)
    pq.write_table(table, path, row_group_size=groups)
    return path


def plan_of(*paths: str, where: str, **policies: Any) -> Plan:
    """Plan to measure files with a filter."""
    sources = [open_source(path) for path in paths]
    specs = parse_specs([policies.pop("loss", "mae")])
    return make_plan(sources, specs, Choices(), Policies(where=where, **policies))


def kept(report: Report) -> list[int]:
    """Give the numbers of the rows that were scored, from 0."""
    total = int(report.results[0].sum or 0)
    return [row for row in range(ROWS) if total >> row & 1]


def rows_kept(where: str, *paths: str, **policies: Any) -> list[int]:
    """Give the rows that a filter keeps; none where the run says that none is left."""
    try:
        return kept(evaluate(plan_of(*paths, where=where, **policies)))
    except InputError as error:
        if "are dropped (filtered)" not in error.message:
            raise
        return []


# What a filter means ------------------------------------------------------------------------------

WHEN = [dt.datetime(2024, 2, 29, hour, tzinfo=dt.UTC) for hour in range(7)]
NAIVE = [when.replace(tzinfo=None) for when in WHEN]
BERLIN = pa.timestamp("ms", "Europe/Berlin")
MARKS = ["a", "b", "", None, "A", "a'b", 'say "hi"', "ä, [ö]\n"]


@pytest.mark.parametrize(
    ("kind", "values", "where", "expected"),
    [
        (pa.string(), MARKS, "x == 'a'", [0]),
        (pa.string(), MARKS, "x != 'a'", [1, 2, 4, 5, 6, 7]),
        (pa.large_string(), MARKS, "'b' == x", [1]),
        (pa.string_view(), MARKS, "x in ['a', 'A']", [0, 4]),
        (pa.dictionary(pa.int8(), pa.string()), MARKS, "x not in ('a', 'A', '')", [1, 5, 6, 7]),
        (pa.string(), MARKS, "x == ''", [2]),
        (pa.string(), MARKS, "x is null", [3]),
        (pa.string(), MARKS, "x IS NOT NULL AND NOT x == 'a'", [1, 2, 4, 5, 6, 7]),
        (pa.string(), MARKS, """x in ("a'b", 'say "hi"', 'ä, [ö]\\n')""", [5, 6, 7]),
        (pa.string(), MARKS, "x >= 'b'", [1, 6, 7]),
        (pa.string(), MARKS, "x in ()", []),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x >= 3", [2, 5, 7]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x > 2.5", [2, 5, 7]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x < -0.5", [4]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x == .5 or x != .5", [0, 1, 2, 4, 5, 6, 7]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x < 1000", [0, 1, 2, 4, 5, 6, 7]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "x in (1, 5, 1e3, 2.5)", [0, 7]),
        (pa.int8(), [1, 2, 3, None, -128, 127, 0, 5], "1 <= x < 3", [0, 1]),
        (pa.int64(), [2**53, 2**53 + 1, -(2**63), None] * 2, f"x == {2**53 + 1}", [1, 5]),
        (pa.uint64(), [0, 2**64 - 1, 5, None] * 2, f"x > {2**63} or x < -1", [1, 5]),
        (pa.float64(), [0.1, math.nan, math.inf, None] * 2, "x == 0.1", [0, 4]),
        (pa.float64(), [0.1, math.nan, math.inf, None] * 2, "not (x > 0.2)", [0, 1, 4, 5]),
        (pa.float64(), [0.1, math.nan, math.inf, None] * 2, "x != 0.1", [1, 2, 5, 6]),
        (pa.float16(), [0.5, 1.5, None, -1.0] * 2, "x > 0", [0, 1, 4, 5]),
        (pa.float32(), [0.5, 0.1, None, -1.0] * 2, "x == 0.5", [0, 4]),
        (pa.decimal128(9, 2), [Decimal("1.50"), Decimal("0.10"), None] * 2, "x == 0.1", [1, 4]),
        (pa.bool_(), [True, False, None, True], "x", [0, 3]),
        (pa.bool_(), [True, False, None, True], "not x", [1]),
        (pa.bool_(), [True, False, None, True], "x == FALSE", [1]),
        (pa.date32(), [dt.date(2024, 2, 29), None, dt.date(2023, 1, 1)], "x < '2024-01-01'", [2]),
        (pa.timestamp("ns"), NAIVE, "x >= '2024-02-29 05:00'", [5, 6]),
        (pa.timestamp("s"), NAIVE, "x == '2024-02-29'", [0]),
        (BERLIN, WHEN, "x < '2024-02-29 02:00'", [0]),
        (BERLIN, WHEN, "x >= '2024-02-29T05:00:00+00:00'", [5, 6]),
        (pa.null(), [None] * 4, "x == 1 or x == 'a'", []),
        (pa.list_(pa.int64()), [[1], None, []], "x is not null", [0, 2]),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType | str) else "",
)  # fmt: skip
@pytest.mark.parametrize("groups", [1, ROWS])
def test_a_filter_keeps_the_rows_for_which_it_is_true(
    kind: pa.DataType,
    values: list[Any],
    where: str,
    expected: list[int],
    groups: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of any type, unrounded; whether or not statistics leave row groups out."""
    monkeypatch.setattr("lossctl.data.blocks.FRAGMENT_ROWS", 3)
    path = write("rows.parquet", groups, x=pa.array(values, kind))
    assert rows_kept(where, path) == expected


def test_a_csv_file_is_compared_as_numbers_or_as_texts_as_the_value_is_written() -> None:
    """A text of digits can be meant as either."""
    lines = ["prediction,target,x", "1,0,007", "2,0,7", "4,0,", "8,0,7.0", "16,0,true", "32,0,TRUE"]
    Path("rows.csv").write_text("\n".join(lines[:5]), encoding="utf-8")
    assert rows_kept("x == 7", "rows.csv") == [0, 1, 3]
    assert rows_kept("x == '7'", "rows.csv") == [1]
    assert rows_kept("x is null", "rows.csv") == [2]
    assert rows_kept("x >= 7 and x is not null", "rows.csv", by=(("x",),)) == [0, 1, 3]
    Path("rows.csv").write_text("\n".join(lines), encoding="utf-8")
    assert rows_kept("x == 'true' or x == 'TRUE'", "rows.csv") == [4, 5]
    with pytest.raises(LossctlError) as caught:
        rows_kept("x > 6", "rows.csv")
    assert (caught.value.place.row, caught.value.place.column) == (5, "x")
    with pytest.raises(DomainError, match="compares the text 'true' with a number") as caught:
        rows_kept("x > 6", "rows.csv", by=(("x",),), chunk_rows=2)
    assert (caught.value.place.row, caught.value.place.column) == (5, "x")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("x", [0]),
        ("not x", [1]),
        ("x != true", [1]),
        ("n == 1 or x", [0, 2]),
        ("x in (true, 'a')", [0]),
    ],
)
def test_a_bare_column_is_one_of_truths(where: str, expected: list[int]) -> None:
    """Any other text is refused with its row, in a file with types and in one without."""
    rows = {"prediction": [1, 2, 4, 8], "target": [0] * 4, "x": ["True", "FALSE", None, "no"]}
    rows["n"] = [1, 0, 1, 0]
    lines = [",".join(rows), *("1,0,True,1", "2,0,FALSE,0", "4,0,,1", "8,0,no,0")]
    Path("good.csv").write_text("\n".join(lines[:4]), encoding="utf-8")
    assert rows_kept(where, "good.csv") == expected
    Path("bad.csv").write_text("\n".join(lines), encoding="utf-8")
    pq.write_table(pa.table(rows), "bad.parquet")
    for path in ("bad.csv", "bad.parquet"):
        with pytest.raises(DomainError, match="compares the text 'no' with true or false") as bad:
            rows_kept(where, path)
        assert (bad.value.place.row, bad.value.place.column) == (4, "x")
        assert "as in x == 'no', or a column of truths" in bad.value.hint


def test_a_column_that_a_loss_reads_as_numbers_is_a_condition_as_well() -> None:
    """In words, or as 1 and 0, and nothing else."""
    for words in (("True", "False"), ("1", "0")):
        lines = [f"{2**row},{words[row % 2]},0" for row in range(4)]
        Path("rows.csv").write_text("\n".join(["prediction,x,target", *lines]), encoding="utf-8")
        for where in ("x", "x == true", "not x == false"):
            assert rows_kept(where, "rows.csv", weight="x") == [0, 2]
    with pytest.raises(DomainError, match="the text '2.0' with true or false"):
        rows_kept("prediction", "rows.csv")
    with pytest.raises(UsageError, match="true and false have no order"):
        rows_kept("x < true", "rows.csv")


BIG, HUGE = 2**53, -(2**1100)
WHOLE = [BIG - 1, BIG, BIG + 1, BIG + 2, BIG + 3, -BIG, -BIG - 1]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "value",
    [BIG, BIG + 1, BIG + 2, -BIG, -BIG - 1, 10**30, HUGE],
    ids=int.bit_length,
)
def test_whole_numbers_that_no_double_holds_are_told_apart(
    form: str, operator: str, value: int
) -> None:
    """In every format; in text among decimals and numbers beyond every type as well."""
    for last in (None, 0.5, 10**25) if form == "csv" else (None,):
        values = [*WHOLE, last]
        rows = [{"prediction": 2**row, "target": 0, "x": x} for row, x in enumerate(values)]
        lines = {
            "csv": [",".join(rows[0]), *(f"{2**row},0,{x or ''}" for row, x in enumerate(values))],
            "jsonl": [json.dumps(row) for row in rows],
        }
        if form == "parquet":
            write("x.parquet", x=pa.array(values, pa.int64()))
        else:
            Path(f"x.{form}").write_text("\n".join(lines[form]), encoding="utf-8")
        holds = OPERATORS[operator]
        expected = [row for row, x in enumerate(values) if x is not None and holds(x, value)]
        assert rows_kept(f"x {operator} {value}", f"x.{form}") == expected


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "value",
    [BIG, BIG + 1, BIG + 3, -BIG - 1, -BIG - 3, HUGE, -HUGE],
    ids=int.bit_length,
)
def test_doubles_are_compared_with_whole_numbers_between_them(operator: str, value: int) -> None:
    """As what they are, infinite ones and what is no number included."""
    values = [BIG, BIG + 2.0, BIG + 4.0, -BIG, -BIG - 2.0, math.inf, -math.inf, math.nan]
    write("x.parquet", x=pa.array(values, pa.float64()))
    holds = OPERATORS[operator]
    expected = [row for row, x in enumerate(values) if holds(x, value)]
    assert rows_kept(f"x {operator} {value}", "x.parquet") == expected


def test_what_was_rounded_is_not_compared_as_if_it_were_not() -> None:
    """A column of a CSV file that a loss reads as doubles."""
    Path("x.csv").write_text("prediction,target\n1,0\n", encoding="utf-8")
    with pytest.raises(UsageError, match="which cannot tell 9007199254740993 from its neighbours"):
        plan_of("x.csv", where=f"target == {BIG + 1}")
    Path("x.csv").write_text("prediction,target,x\n1,0,9007199254740993\n2,0,a\n", encoding="utf-8")
    with pytest.raises(DomainError, match="compares the text 'a' with a number"):
        rows_kept(f"x == {BIG + 1}", "x.csv")


def test_slices_are_named_alike_with_and_without_a_filter() -> None:
    """By the text of the file, though the filter compares numbers."""
    Path("rows.csv").write_text("prediction,target,x\n1,0,007\n2,0,7\n4,0,9\n", encoding="utf-8")
    report = evaluate(plan_of("rows.csv", where="x < 8", by=(("x",),)))
    assert [result.slice for result in report.results] == [{}, {"x": "007"}, {"x": "7"}]


def test_names_that_are_no_words_stand_in_backticks() -> None:
    """With blanks, operators and backticks in them; texts are never taken for names."""
    path = write("rows.parquet", **{"a b": [1, 2], "x`y": [3, 4], "and": ["`a b`", "x == 1"]})
    assert rows_kept("`a b` == 2 and `x``y` == 4", path) == [1]
    assert rows_kept("`and` == '`a b`'", path) == [0]
    assert rows_kept("`and` in ('x == 1', 'NOT')", path) == [1]


def test_words_of_python_alone_are_names_like_any_other() -> None:
    """Only those that a filter has itself need backticks."""
    path = write("rows.parquet", **{"class": [1, 2, 1], "from": ["a", "b", "class"]})
    assert rows_kept("class == 1 and from != 'a'", path) == [2]
    assert rows_kept("from in ('class', 'b') AND NOT `class` == 2", path) == [2]
    with pytest.raises(UsageError, match="is no part of a filter|cannot read"):
        rows_kept("class if from else class", path)


@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        ("regoin == 'eu'", "no column 'regoin' to filter by", "did you mean region?"),
        ("region = 'eu'", "cannot read", "== compares, = does not"),
        ("region == eu", "not with the column eu", "put a text in quotes"),
        ("region == null", "nothing equals null", "write is null or is not null"),
        ("region == 5", "holds string, which is not compared with 5", "a text in quotes"),
        ("n == '5'", "holds int64, which is not compared with '5'", "a number, without quotes"),
        ("n", "holds int64, which is not compared with True", "a number, without quotes"),
        ("day > 'soon'", "which is not compared with 'soon'", "a date, as in"),
        ("time > 'soon'", "which is not compared with 'soon'", "a date or a time, as in"),
        ("flag > 1", "holds bool, which is not compared with 1", "true or false"),
        ("many == 1", "which is not compared with 1", "is null works for it"),
        ("n + 1 > 2", "n + 1 is no part of a filter", "as in --where"),
        ("len(region) > 2", "len(region) is no part of a filter", "as in --where"),
        ("region.x == 'a'", "region.x is no part of a filter", "as in --where"),
        ("n in region", "values in parentheses, not region", "as in --where"),
        ("n is 5", "5 is no part of a filter", "as in --where"),
        ("lambda: 1", "cannot read", "as in --where"),
        ("5", "5 is no part of a filter", "as in --where"),
        ("n == 10**400", "is no part of a filter", "as in --where"),
        ("", "cannot read ''", "as in --where"),
        ("n == 5 and", "cannot read", "as in --where"),
        ("(" * 9999, "cannot read", "as in --where"),
        ("n == 5 or " * 9999 + "n = 5", "cannot read", "as in --where"),
        ("n == 5\0", "cannot read", "as in --where"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_before_a_row_is_read(
    where: str, message: str, hint: str
) -> None:
    """With the part that is wrong and a way out; nothing is ever run."""
    path = write(
        "rows.parquet",
        region=["eu"],
        n=[1],
        day=[dt.date(2024, 1, 1)],
        time=[dt.datetime(2024, 1, 1)],  # noqa: DTZ001
        flag=[True],
        many=[[1]],
    )
    with pytest.raises(UsageError) as caught:
        plan_of(path, where=where)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Two columns that are not there, or two comparisons that cannot be."""
    path = write("rows.parquet", n=[1], region=["eu"])
    for where, messages in (
        ("m == 1 or regin == 'a'", ("'m'", "'regin'")),
        ("n == 'a' or region == 1", ("'n'", "'region'")),
    ):
        with pytest.raises(LossctlError) as caught:
            plan_of(path, where=where)
        assert all(message in str(caught.value) for message in messages)


# Against SQL --------------------------------------------------------------------------------------

numbers = st.sampled_from([None, -3, 0, 1, 2, 7])
letters = st.sampled_from([None, "", "a", "b", "it''s"])
tables = st.lists(st.tuples(numbers, numbers, letters), min_size=1, max_size=ROWS)
comparisons = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from("nm"),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from([-3, 0, 1, 1.5, 7, 99]),
    ),
    st.builds("s {} '{}'".format, st.sampled_from(["==", "!=", "<", ">="]), st.sampled_from("ab")),
    st.builds("{} is {}null".format, st.sampled_from("nms"), st.sampled_from(["", "not "])),
    st.builds("n {}in ({}, 7)".format, st.sampled_from(["", "not "]), st.sampled_from([0, 1])),
    st.builds("s {}in ('a', '')".format, st.sampled_from(["", "not "])),
)
conditions = st.recursive(
    comparisons,
    lambda part: st.one_of(
        st.builds("({} and {})".format, part, part),
        st.builds("({} or {})".format, part, part),
        st.builds("(not {})".format, part),
    ),
    max_leaves=6,
)


@given(rows=tables, where=conditions, groups=st.integers(1, 4))
def test_a_filter_means_what_it_means_in_sql(
    rows: list[tuple[Any, ...]], where: str, groups: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Three-valued logic of any depth, with and without row groups left out, against SQLite."""
    n, m, s = zip(*rows, strict=True)
    base = sqlite3.connect(":memory:")
    base.execute("create table t (i integer, n integer, m integer, s text)")
    base.executemany("insert into t values (?, ?, ?, ?)", [(i, *row) for i, row in enumerate(rows)])
    query = f"select i from t where {where} order by i"  # noqa: S608 - our own text
    expected = [row for (row,) in base.execute(query)]
    base.close()
    path = str(tmp_path_factory.mktemp("sql") / "rows.parquet")
    columns = {"n": pa.array(n, pa.int64()), "m": pa.array(m, pa.float64())}
    write(path, groups, **columns, s=pa.array(s, pa.string()))
    assert rows_kept(where, path) == expected


# What a filter leaves out -------------------------------------------------------------------------


def test_rows_left_out_are_counted_and_looked_at_for_nothing_else() -> None:
    """Not for gaps, domains, labels, lengths of lists or weights; the counts add up."""
    columns = {
        "prediction": [0.5, None, math.nan, 7.0, 0.25, 0.5],
        "target": [1.0, 1.0, 1.0, 1.0, 1.0, 5.0],
        "w": [1.0, 1.0, 1.0, 1.0, 1.0, -1.0],
        "ok": [True, False, False, False, True, False],
    }
    pq.write_table(pa.table(columns), "rows.parquet")
    report = evaluate(plan_of("rows.parquet", where="ok", loss="bce", weight="w", chunk_rows=4))
    assert (report.rows.read, report.rows.scored) == (6, 2)
    assert {why: rows.count for why, rows in report.rows.dropped.items()} == {"filtered": 4}
    assert [ref.row for ref in report.rows.dropped["filtered"].first] == [2, 3, 4, 6]
    assert report.warnings == ()
    assert report.results[0].value == (math.log(2) + math.log(4)) / 2
    assert "where=ok" in report.signature


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_a_row_is_named_by_its_number_in_the_file_behind_a_filter(chunk_rows: int) -> None:
    """In errors, drops and odd rows, however the rows are cut."""
    columns = {
        "prediction": [1.0, None, 3.0, math.inf, 5.0, None, 7.0],
        "target": [0.0] * 7,
        "n": [0, 1, 0, 1, 1, 0, 1],
    }
    pq.write_table(pa.table(columns), "rows.parquet")
    asked = {"where": "n == 1", "chunk_rows": chunk_rows}
    with pytest.raises(LossctlError) as caught:
        evaluate(plan_of("rows.parquet", **asked))
    assert caught.value.place.row == 2
    report = evaluate(plan_of("rows.parquet", nulls="drop", nonfinite="keep", **asked))
    first = {why: [ref.row for ref in rows.first] for why, rows in report.rows.dropped.items()}
    assert first == {"filtered": [1, 3, 6], "null": [2]}
    assert [ref.row for ref in report.results[0].infinite.first] == [4]
    assert report.rows.read == report.rows.scored + 4


def test_slices_behind_a_filter_hold_only_rows_that_it_keeps() -> None:
    """A value of which every row is left out is no slice."""
    path = write("rows.parquet", part=["a", "b", "a", "c"], n=[1, 2, 3, 4])
    report = evaluate(plan_of(path, where="n > 2", by=(("part",),)))
    assert [(r.slice, r.sum) for r in report.results] == [
        ({}, 12.0),
        ({"part": "a"}, 4.0),
        ({"part": "c"}, 8.0),
    ]


def test_a_filter_on_every_loss_of_lists_and_labels() -> None:
    """Chunks that it empties give no error."""
    columns = {
        "p": [[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]],
        "target": ["b", "b", "a"],
        "n": [1, 2, 3],
    }
    pq.write_table(pa.table(columns), "rows.parquet", row_group_size=1)
    source = [open_source("rows.parquet")]
    for where, rows in (("n == 1", 1), ("n > 1", 2)):
        choices = Choices({"prediction": "p"}, classes=("a", "b"))
        policies = Policies(where=where, chunk_rows=1)
        plan = make_plan(source, parse_specs(["cross_entropy"]), choices, policies)
        assert evaluate(plan).results[0].n == rows


def test_both_files_of_two_populations_are_filtered() -> None:
    """Each by its own column of the name."""
    for name, values in (("real", [0.25, 0.5, 0.75]), ("made", [0.1, 0.5])):
        pq.write_table(pa.table({"prediction": values, "n": range(len(values))}), f"{name}.parquet")
    plan = plan_of("real.parquet", "made.parquet", where="n == 1", loss="gan_discriminator")
    report = evaluate(plan)
    assert (report.rows.read, report.rows.scored) == (5, 2)
    assert report.results[0].value == pytest.approx(2 * math.log(2), rel=1e-15)
    with pytest.raises(ColumnError, match="to filter by in every file"):
        pq.write_table(pa.table({"prediction": [0.5], "m": [1]}), "made.parquet")
        plan_of("real.parquet", "made.parquet", where="m == 1", loss="gan_discriminator")


# Row groups ---------------------------------------------------------------------------------------

GROUP = 4


def damaged(path: str, group: int) -> str:
    """Spoil the pages of a row group."""
    metadata = pq.ParquetFile(path).metadata.row_group(group)
    data = bytearray(Path(path).read_bytes())
    for number in range(metadata.num_columns):
        column = metadata.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    Path(path).write_bytes(data)
    return path


@pytest.mark.parametrize(
    "where",
    [
        "n < 4",
        "n <= 3 and s != 'q'",
        "not n >= 4",
        "s in ('a', 'b')",
        "n == 2 or s == 'b'",
        "z is null",
    ],
)
def test_a_row_group_that_cannot_match_is_never_read(where: str) -> None:
    """The second of two holds no value that the filter keeps, and is damaged."""
    columns = {"n": range(8), "s": list("aabbxxyy"), "z": [None] * 4 + [1.0] * 4}
    path = write("rows.parquet", GROUP, **columns)
    expected = evaluate(plan_of(path, where=where)).to_json()
    damaged(path, 1)
    report = evaluate(plan_of(path, where=where))
    assert json.loads(report.to_json())["digest"] == json.loads(expected)["digest"]
    assert (report.rows.read, report.rows.scored + report.rows.dropped["filtered"].count) == (8, 8)
    with pytest.raises(InputError, match="not a readable Parquet file"):
        evaluate(plan_of(path, where="n < 5"))


def test_row_groups_of_either_of_two_files_are_left_out_in_both() -> None:
    """Their row groups need not lie alike."""
    write("targets.parquet", 4, n=range(8))
    table = pq.read_table("targets.parquet")
    pq.write_table(table.select(["prediction"]), "p.parquet", row_group_size=3)
    pq.write_table(table.select(["target", "n"]), "t.parquet", row_group_size=4)
    damaged("t.parquet", 1)
    damaged("p.parquet", 2)
    assert rows_kept("n < 3", "p.parquet", "t.parquet") == [0, 1, 2]
    work = tasks(plan_of("p.parquet", "t.parquet", where="n < 3").reading, in_order=False)
    assert [(task.piece[1:], task.excluded) for task in work] == [((0, 4), False), ((4, 8), True)]


def test_a_file_of_which_nothing_matches_is_not_read_at_all() -> None:
    """Its rows are counted all the same."""
    path = damaged(write("rows.parquet", n=range(8)), 0)
    with pytest.raises(InputError, match="no row is left: all 8 are dropped"):
        evaluate(plan_of(path, where="n > 100"))


def test_without_statistics_everything_is_read() -> None:
    """And filtered row by row."""
    table = pa.table({"prediction": [1.0, 2.0], "target": [0.0, 0.0], "n": [1, 2]})
    pq.write_table(table, "rows.parquet", write_statistics=False)
    assert not any(
        task.excluded
        for task in tasks(plan_of("rows.parquet", where="n > 5").reading, in_order=False)
    )
    report = evaluate(plan_of("rows.parquet", where="n > 1"))
    assert report.results[0].value == 2.0


def test_a_filter_is_small_and_stays_itself() -> None:
    """What it looks at is known from its text alone."""
    path = write("rows.parquet", n=[1], s=["a"])
    where = bind_where("n > 1 and s == 'a'", [open_source(path)], (), in_all=False)
    assert where.columns == ((0, "n"), (0, "s"))
    assert where.numbers == {(0, "n")}
    assert parse("a == 1 and b in ('x',)") == parse("a==1 AND b IN ('x',)")


def test_a_filter_of_rows_paired_by_key_looks_at_either_file() -> None:
    """After the rows are paired; a row is named by its number and its key."""
    pq.write_table(
        pa.table({"id": [3, 1, 2], "prediction": [3.0, 1.0, 2.0], "n": [1, 0, 0]}), "p.parquet"
    )
    pq.write_table(pa.table({"id": [1, 2, 3], "target": [0.0] * 3, "m": [1, 0, 1]}), "t.parquet")
    policies = {"keys": ("id",), "nulls": "drop"}
    report = evaluate(plan_of("p.parquet", "t.parquet", where="n == 1 or m == 0", **policies))
    assert report.results[0].sum == 5.0
    assert [ref.row for ref in report.rows.dropped["filtered"].first] == [2]
