"""Pairing by key through the command: what is paired, what is refused, and how it is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]
Write = Callable[[str, str | bytes], str]

KEYED = ("-l", "mse", "-k", "id")


def parquet(name: str, **columns: Any) -> str:
    """Write columns to a Parquet file."""
    pq.write_table(pa.table(columns), name)
    return name


def value_of(shown: tuple[int, str, str]) -> float:
    """Give the only value of a JSON report."""
    status, out, err = shown
    assert status == Exit.DONE, err
    return float(json.loads(out)["results"][0]["value"])


# What is paired -----------------------------------------------------------------------------------


def test_rows_are_paired_by_key_whatever_their_order(write: Write, script: Call) -> None:
    """The installed command, two files in different orders."""
    predictions = write("p.csv", "id,prediction\n3,1\n1,2\n2,7\n")
    targets = write("t.csv", "id,target\n1,2\n2,4\n3,1\n")
    status, out, err = script("eval", predictions, targets, *KEYED, "-f", "value")
    assert (status, out, err) == (Exit.DONE, "3.0\n", "")


ODD = [
    "0",
    "",
    "#1",
    " a",
    "a ",
    "ä",
    "007",
    "7",
    "NA",
    "null",
    "a,b",
    'say "x"',
    "two\nlines",
    "-1",
]


def quoted(text: str) -> str:
    """Write a field in quotes."""
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize("kinds", ["csv csv", "parquet parquet", "csv parquet"])
def test_odd_texts_are_keys_like_any_other(kinds: str, write: Write, call: Call) -> None:
    """Zero, empty, with a hash, blanks, other scripts, leading zeros, quotes and line breaks."""
    names = []
    rows = list(enumerate(ODD))
    for role, kind, order in zip(
        ("prediction", "target"), kinds.split(), (rows, rows[::-1]), strict=True
    ):
        if kind == "csv":
            lines = "".join(f"{quoted(text)},{number}\n" for number, text in order)
            names.append(write(f"{role}.csv", f"id,{role}\n{lines}"))
        else:
            columns = {"id": [text for _, text in order], role: [float(n) for n, _ in order]}
            names.append(parquet(f"{role}.parquet", **columns))
    assert value_of(call("eval", *names, *KEYED, "-f", "json")) == 0.0


@pytest.mark.parametrize(
    "targets",
    [
        pa.array([1, 2, 3], pa.int8()),
        pa.array([1, 2, 3], pa.uint64()),
        pa.array([1.0, 2.0, 3.0]),
        pa.array([1, 2, 3], pa.decimal128(9, 0)),
    ],
    ids=lambda column: str(column.type),
)
def test_whole_numbers_of_any_type_are_the_same_keys(targets: pa.Array, call: Call) -> None:
    """A float or a decimal that is a whole number equals the integer."""
    predictions = parquet("p.parquet", id=[3, 1, 2], prediction=[3.0, 1.0, 2.0])
    truth = parquet("t.parquet", id=targets, target=[1.0, 2.0, 3.0])
    assert value_of(call("eval", predictions, truth, *KEYED, "-f", "json")) == 0.0


def test_a_csv_key_is_read_as_the_type_of_the_other_file(write: Write, call: Call) -> None:
    """Whole numbers, also as tools write them that know floats only."""
    predictions = write("p.csv", "id,prediction\n3.0,3\n1,1\n-2,2\n")
    truth = parquet("t.parquet", id=[1, -2, 3], target=[1.0, 2.0, 3.0])
    assert value_of(call("eval", predictions, truth, *KEYED, "-f", "json")) == 0.0


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("2024-01-01,2024-01-02", pa.array([19723, 19724], pa.int32()).cast(pa.date32())),
        (
            "2024-01-01 00:00:00,2024-01-01T00:00:01.5",
            pa.array([1704067200000, 1704067201500]).cast(pa.timestamp("ms")),
        ),
        ("True,false", pa.array([True, False])),
        ("1.50,2.25", pa.array(["1.5", "2.25"]).cast(pa.decimal128(6, 3))),
    ],
    ids=["date", "timestamp", "truth", "decimal"],
)
def test_dates_times_truths_and_decimals_are_keys(
    text: str, typed: pa.Array, write: Write, call: Call
) -> None:
    """Each from text of a CSV file, and each with itself."""
    lines = "".join(f"{key},{i}\n" for i, key in enumerate(text.split(",")))
    untyped = write("p.csv", f"id,prediction\n{lines}")
    truth = parquet("t.parquet", id=typed[::-1], target=[1.0, 0.0])
    predictions = parquet("p.parquet", id=typed, prediction=[0.0, 1.0])
    assert value_of(call("eval", untyped, truth, *KEYED, "-f", "json")) == 0.0
    assert value_of(call("eval", predictions, truth, *KEYED, "-f", "json")) == 0.0


def test_a_date_is_the_midnight_that_starts_it(call: Call) -> None:
    """Many tools know timestamps only."""
    day = pa.array([19723], pa.int32()).cast(pa.date32())
    predictions = parquet("p.parquet", id=day, prediction=[1.0])
    truth = parquet("t.parquet", id=day.cast(pa.timestamp("ns")), target=[1.0])
    assert value_of(call("eval", predictions, truth, *KEYED, "-f", "json")) == 0.0


def test_several_columns_make_one_key_and_may_have_other_names(write: Write, call: Call) -> None:
    """Neither column alone tells the rows apart."""
    predictions = write("p.csv", "user,day,prediction\na,1,1\na,2,2\nb,1,3\n")
    truth = write("t.csv", "id,day,target\nb,1,3\na,2,2\na,1,1\n")
    keys = ("-k", "user=id", "-k", "day")
    status, out, _ = call("eval", predictions, truth, "-l", "mse", *keys, "-f", "json")
    report = json.loads(out)
    assert (status, report["results"][0]["value"]) == (Exit.DONE, 0.0)
    assert "key=user=id | key=day" in report["signature"]


def test_a_missing_value_beside_a_key_stays_missing(write: Write, call: Call) -> None:
    """``NA`` is a key in the key's column and a missing value in a column to slice by."""
    predictions = write("p.csv", "id,prediction,region\nNA,1,NA\nb,2,north\n")
    truth = write("t.csv", "id,target\nb,2\nNA,1\n")
    status, out, err = call("eval", predictions, truth, *KEYED, "-g", "region", "-f", "json")
    assert status == Exit.DONE, err
    slices = [result["slice"] for result in json.loads(out)["results"]]
    assert slices == [{}, {"region": "north"}, {"region": None}]


def test_many_files_are_paired_with_one_and_named_one_by_one(write: Write, call: Call) -> None:
    """A glob is one source; a bad row is named by the file that holds it."""
    Path("parts").mkdir()
    for number in range(3):
        lines = "".join(f"{10 * number + row},{row}\n" for row in range(4))
        write(f"parts/{number}.csv", f"id,prediction\n{lines}")
    keys = [10 * number + row for number in range(3) for row in range(4)]
    targets = [float(key % 10) for key in keys]
    truth = parquet("t.parquet", id=keys[::-1], target=targets[::-1])
    assert value_of(call("eval", "parts/*.csv", truth, *KEYED, "-f", "json")) == 0.0
    write("parts/2.csv", "id,prediction\n20,0\n21,1\n22,\n23,3\n")
    error = error_of(call("eval", "parts/*.csv", truth, *KEYED, "-f", "json"))
    assert error["place"] == {"file": "parts/2.csv", "row": 3, "key": 22, "column": "prediction"}
    write("parts/1.csv", "id,prediction\n10,0\n11,1\n12,2\n99,3\n")
    _, _, err = call("eval", "parts/*.csv", truth, *KEYED)
    assert "1 of 12 rows of parts/*.csv have none (row 4 of parts/1.csv: 99)" in err


@pytest.mark.parametrize("ending", ["jsonl", "arrow", "csv.gz"])
def test_keys_of_other_formats_are_keys_as_well(ending: str, write: Write, call: Call) -> None:
    """JSON Lines know their types, Arrow files have them, and compressed text has none."""
    truth = parquet("t.parquet", id=[2, 1], target=[2.0, 1.0])
    name = f"p.{ending}"
    if ending == "jsonl":
        write(name, '{"id": 1, "prediction": 1}\n{"id": 2, "prediction": 2}\n')
    elif ending == "arrow":
        table = pa.table({"id": [1, 2], "prediction": [1.0, 2.0]})
        with pa.OSFile(name, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        write(name, gzip.compress(b"id,prediction\n1,1\n2,2\n"))
    assert value_of(call("eval", name, truth, *KEYED, "-f", "json")) == 0.0


# What is refused ----------------------------------------------------------------------------------


def error_of(shown: tuple[int, str, str]) -> dict[str, Any]:
    """Give the error of a run in JSON mode."""
    error: dict[str, Any] = json.loads(shown[2])
    return error


def test_whole_numbers_and_text_are_never_the_same_key(call: Call) -> None:
    """Refused before any row is read, with the types and a way out."""
    predictions = parquet("p.parquet", id=[1, 2], prediction=[1.0, 2.0])
    truth = parquet("t.parquet", id=["1", "2"], target=[1.0, 2.0])
    error = error_of(call("eval", predictions, truth, *KEYED, "-f", "json"))
    assert (error["error"], error["exit"]) == ("column", Exit.USAGE)
    assert "int64 in p.parquet and string in t.parquet" in error["message"]
    assert "as text in both files or as whole numbers" in error["hint"]


@pytest.mark.parametrize(
    ("types", "part"),
    [
        ((pa.timestamp("us"), pa.timestamp("us", "UTC")), "a zone"),
        ((pa.int64(), pa.timestamp("us")), "one type"),
        ((pa.bool_(), pa.int64()), "one type"),
        ((pa.float64(), pa.decimal128(9, 2)), "one type"),
    ],
    ids=str,
)
def test_types_that_need_a_guess_are_refused(types: Any, part: str, call: Call) -> None:
    """Times with and without a zone, numbers and times, truths and numbers."""
    empty = [pa.array([], kind) for kind in types]
    predictions = parquet("p.parquet", id=empty[0], prediction=pa.array([], pa.float64()))
    truth = parquet("t.parquet", id=empty[1], target=pa.array([], pa.float64()))
    error = error_of(call("eval", predictions, truth, *KEYED, "-f", "json"))
    assert (error["error"], error["exit"]) == ("column", Exit.USAGE)
    assert part in error["hint"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("007", "'007' is not written as a whole number"),
        ("1.5", "'1.5' is not written as a whole number"),
        (" 1", "' 1' is not written as a whole number"),
        ("", "'' is not written as a whole number"),
        ("99999999999999999999", "'99999999999999999999' is no int64"),
    ],
)
def test_text_that_is_no_whole_number_is_not_taken_for_one(
    key: str, said: str, write: Write, call: Call
) -> None:
    """Leading zeros, fractions, blanks and overflow name file, row and column."""
    predictions = write("p.csv", f"id,prediction\n1,1\n{key},2\n")
    truth = parquet("t.parquet", id=[1, 7], target=[1.0, 2.0])
    error = error_of(call("eval", predictions, truth, *KEYED, "-f", "json"))
    assert (error["error"], error["exit"]) == ("domain", Exit.UNMEASURABLE)
    assert said in error["message"]
    assert error["place"] == {"file": "p.csv", "row": 2, "column": "id"}


@pytest.mark.parametrize(
    ("key", "slug", "said"),
    [
        (None, "missing-value", "the key is missing"),
        (float("nan"), "domain", "nan is a float"),
        (1.5, "domain", "1.5 is a float"),
        (2.0**53 + 2.0, "domain", "beyond 2**53"),
    ],
)
def test_a_key_that_tells_no_row_is_refused(
    key: float | None, slug: str, said: str, call: Call
) -> None:
    """Null, NaN and fractions, in the file that comes second."""
    predictions = parquet("p.parquet", id=[1, 2], prediction=[1.0, 2.0])
    truth = parquet("t.parquet", id=pa.array([2.0, key]), target=[1.0, 2.0])
    error = error_of(call("eval", predictions, truth, *KEYED, "-f", "json"))
    assert (error["error"], error["exit"]) == (slug, Exit.UNMEASURABLE)
    assert said in error["message"]
    assert error["place"] == {"file": "t.parquet", "row": 2, "column": "id"}


def test_unmatched_keys_are_refused_with_counts_and_the_first_of_them(
    write: Write, script: Call
) -> None:
    """On both sides."""
    predictions = write("p.csv", "id,prediction\na,1\nb,2\nc,3\n")
    truth = write("t.csv", "id,target\nc,1\nd,2\n")
    status, out, err = script("eval", predictions, truth, *KEYED)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert "2 of 3 rows of p.csv have none (row 1: 'a', row 2: 'b')" in err
    assert "1 of 2 rows of t.csv have none (row 2: 'd')" in err
    assert "--missing drop" in err


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_no_key_in_common_is_refused(missing: str, write: Write, call: Call) -> None:
    """Dropping all rows leaves nothing to measure."""
    predictions = write("p.csv", "id,prediction\n1,1\n2,2\n")
    truth = write("t.csv", "id,target\n1.0,1\n2.0,2\n")
    status, out, err = call("eval", predictions, truth, *KEYED, "--missing", missing)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert ("no key is in every file" if missing == "error" else "no row is left") in err


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_repeated_keys_are_refused_with_counts_and_the_first_of_them(
    missing: str, write: Write, script: Call
) -> None:
    """In one file, in both, and where the key has no match at all."""
    predictions = write("p.csv", "id,prediction\na,1\nb,2\na,3\na,3\n")
    truth = write("t.csv", "id,target\na,1\na,2\nb,2\nx,1\nx,1\n")
    status, out, err = script("eval", predictions, truth, *KEYED, "--missing", missing)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert "2 of 4 rows of p.csv repeat one (row 3: 'a', row 4: 'a')" in err
    assert "2 of 5 rows of t.csv repeat one (row 2: 'a', row 5: 'x')" in err


def test_dropped_keys_are_counted_and_add_up(write: Write, call: Call) -> None:
    """By reason, by file, with the first rows and their keys; and told in words."""
    predictions = write("p.csv", "id,prediction\na,1\nb,2\nc,\nd,4\n")
    truth = write("t.csv", "id,target\nd,5\nc,1\nx,1\nb,2\ny,0\n")
    options = ("--missing", "drop", "--nulls", "drop", "-f", "json")
    status, out, err = call("eval", predictions, truth, *KEYED, *options)
    assert status == Exit.DONE
    rows = json.loads(out)["rows"]
    matching = rows["matching"]
    assert rows["read"] == rows["scored"] + sum(why["count"] for why in rows["dropped"].values())
    assert (rows["read"], rows["scored"]) == (6, 2)
    assert rows["dropped"]["unmatched"]["count"] == 3
    assert rows["dropped"]["null"]["first"] == [{"file": "p.csv", "row": 3, "key": "c"}]
    assert [file["rows"] for file in matching["files"]] == [4, 5]
    assert [file["unmatched"]["first"] for file in matching["files"]] == [
        [{"file": "p.csv", "row": 1, "key": "a"}],
        [{"file": "t.csv", "row": 3, "key": "x"}, {"file": "t.csv", "row": 5, "key": "y"}],
    ]
    for file in matching["files"]:
        assert file["rows"] == matching["matched"] + file["unmatched"]["count"]
    assert matching["rate"] == 0.5
    assert "3 of 6 keys dropped, not in every file: 1 of 4 rows of p.csv (first: row 1" in err


@pytest.mark.parametrize(("rate", "status"), [("0.5", Exit.DONE), ("0.51", Exit.UNMEASURABLE)])
def test_too_few_matches_are_refused(rate: str, status: int, write: Write, call: Call) -> None:
    """The share of distinct keys that both files have."""
    predictions = write("p.csv", "id,prediction\na,1\nb,2\nc,3\n")
    truth = write("t.csv", "id,target\nb,1\nc,2\nd,2\n")
    options = ("--missing", "drop", "--min-match-rate", rate)
    found, _, err = call("eval", predictions, truth, *KEYED, *options)
    assert found == status
    assert ("only 2 of 4 distinct keys" in err) == (status != Exit.DONE)


def test_a_bad_value_is_named_by_file_row_and_key(write: Write, call: Call) -> None:
    """Of several bad rows the earliest of the first file, though the other file comes first."""
    predictions = write("p.csv", "id,prediction\na,1\nb,2\nc,3\n")
    truth = write("t.csv", "id,target\nc,\nx y,1\nb,\na,1\n")
    error = error_of(call("eval", predictions, truth, *KEYED, "--missing", "drop", "-f", "json"))
    assert error["error"] == "missing-value"
    assert error["place"] == {"file": "t.csv", "row": 3, "column": "target", "key": "b"}
    _, _, err = call("eval", predictions, truth, *KEYED, "--missing", "drop")
    assert "t.csv, row 3, key 'b', column 'target'" in err


def test_infinite_rows_are_named_by_row_and_key(write: Write, call: Call) -> None:
    """Kept ones are counted, with the first of them in the order of the first file."""
    predictions = write("p.csv", "id,prediction\nb,inf\na,1\nc,-inf\n")
    truth = write("t.csv", "id,target\na,1\nc,1\nb,2\n")
    options = ("--nonfinite", "keep", "-f", "json")
    _, out, _ = call("eval", predictions, truth, *KEYED, *options)
    assert json.loads(out)["results"][0]["infinite"] == {
        "count": 2,
        "first": [{"file": "p.csv", "row": 1, "key": "b"}, {"file": "p.csv", "row": 3, "key": "c"}],
    }


def test_predictions_that_are_all_nan_never_score_zero(call: Call) -> None:
    """They are refused, or no row is left."""
    predictions = parquet("p.parquet", id=[1, 2], prediction=[float("nan")] * 2)
    truth = parquet("t.parquet", id=[2, 1], target=[1.0, 2.0])
    for policy in ("error", "drop"):
        status, out, _ = call("eval", predictions, truth, *KEYED, "--nonfinite", policy)
        assert (status, out) == (Exit.UNMEASURABLE, "")


@pytest.mark.parametrize("empty", ["p", "t", "p t"])
def test_files_without_rows_are_refused(empty: str, write: Write, call: Call) -> None:
    """Either of them, and both."""
    rows = {"p": "id,prediction\n1,1\n", "t": "id,target\n1,1\n"}
    names = [
        write(f"{n}.csv", text.split("\n")[0] + "\n" if n in empty else text)
        for n, text in rows.items()
    ]
    status, out, err = call("eval", *names, *KEYED)
    assert (status, out) == (Exit.UNMEASURABLE, "")
    assert "no rows" in err or "have none" in err


# Usage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-k", "idd"), "no column 'idd' to pair by"),
        (("-k", "id=key=x"), "names 3 columns for 2 files"),
        (("--missing", "drop"), "need --key"),
        (("-k", "id", "--missing", "ignore"), "--missing takes error | drop"),
        (("-k", "id", "--duplicates", "first"), "--duplicates takes error"),
        (("-k", "id", "--min-match-rate", "1.5"), "--min-match-rate"),
        (("-k", "id", "--group", "id"), "--group and --key"),
        (("-k", "prediction=target"), "read as numbers already"),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, tuple) else "",
)
def test_what_makes_no_sense_is_refused_before_rows_are_read(
    options: tuple[str, ...], said: str, write: Write, call: Call
) -> None:
    """The second file is malformed, which nobody gets to see."""
    predictions = write("p.csv", "id,prediction\n1,1\n")
    truth = write("t.csv", "id,target\nx\n")
    status, out, err = call("eval", predictions, truth, "-l", "mse", *options)
    assert (status, out) == (Exit.USAGE, "")
    assert said in err


def test_one_file_and_two_populations_take_no_key(good: str, write: Write, call: Call) -> None:
    """There is nothing to pair."""
    status, _, err = call("eval", good, "-l", "mse", "-k", "prediction")
    assert (status, "there is one only" in err) == (Exit.USAGE, True)
    scores = [write(f"{name}.csv", "id,prediction\n1,0.5\n") for name in ("real", "fake")]
    status, _, err = call("eval", *scores, "-l", "gan_discriminator", "-k", "id")
    assert (status, "populations" in err) == (Exit.USAGE, True)


def test_states_of_shards_merge_to_what_one_run_gives(write: Write, call: Call) -> None:
    """Each shard is paired by itself; counts of unmatched rows add up."""
    rows = [(f"k{i}", i, i * i % 7) for i in range(20)]
    for name, part in (("all", rows), ("a", rows[:8]), ("b", rows[8:])):
        lines = "".join(f"{key},{p}\n" for key, p, _ in part)
        write(f"p_{name}.csv", f"id,prediction\n{lines}")
        lines = "".join(f"{key},{t}\n" for key, _, t in reversed(part))
        write(
            f"t_{name}.csv",
            f"id,target\n{lines}x{name[0]},1\n" + ("xb,1\n" if name == "all" else ""),
        )
    options = (*KEYED, "--missing", "drop", "--quiet")
    for name in ("a", "b"):
        call("eval", f"p_{name}.csv", f"t_{name}.csv", *options, "--state-out", f"{name}.state")
    _, merged, _ = call("merge", "b.state", "a.state", "-f", "json", "-q")
    _, whole, _ = call("eval", "p_all.csv", "t_all.csv", *options, "-f", "json")
    one, other = json.loads(merged), json.loads(whole)
    assert one["results"] == other["results"]
    assert one["rows"]["matching"]["matched"] == other["rows"]["matching"]["matched"] == 20
    assert one["rows"]["matching"]["rate"] == other["rows"]["matching"]["rate"]
    assert one["rows"]["read"] == other["rows"]["read"]
    status, _, err = call("merge", "a.state", "a.state")
    assert (status, "another state holds rows" in err) == (Exit.UNMEASURABLE, True)


def test_a_finished_run_is_resumed_without_reading_and_a_refused_one_leaves_no_state(
    write: Write, call: Call
) -> None:
    """A state is kept once all keys are known to be right."""
    predictions = write("p.csv", "id,prediction\n1,1\n2,2\n")
    truth = write("t.csv", "id,target\n2,2\n3,1\n")
    keep = ("--state-out", "run.state", "--resume", "-f", "json", "-q")
    status, _, _ = call("eval", predictions, truth, *KEYED, *keep)
    assert (status, Path("run.state").exists()) == (Exit.UNMEASURABLE, False)
    first = call("eval", predictions, truth, *KEYED, "--missing", "drop", *keep)
    again = call("eval", predictions, truth, *KEYED, "--missing", "drop", *keep)
    assert first[0] == Exit.DONE
    digests = [json.loads(out)["digest"] for _, out, _ in (first, again)]
    assert digests[0] == digests[1]


def test_the_worst_rows_are_named_by_key_in_every_form(write: Write, call: Call) -> None:
    """A key of one column and one of two."""
    predictions = write("p.csv", "id,day,prediction\na,1,1\nb,2,5\nc,1,3\n")
    truth = write("t.csv", "id,day,target\nc,1,3\na,1,2\nb,2,2\n")
    ask = ("worst", predictions, truth, "-l", "mae", "-n", "1", "-k", "id")
    assert "key" in call(*ask)[1]
    assert json.loads(call(*ask, "-f", "jsonl")[1])["key"] == "b"
    header, line = call(*ask, "-k", "day", "-f", "csv")[1].split()[:1], call(*ask, "-f", "csv")[1]
    assert header == ["loss,rank,file,row,key,value,reason,prediction,target"]
    assert line.splitlines()[1] == "mae,1,p.csv,2,b,3.0,,5.0,2.0"
    assert '"b, 2"' in call(*ask, "-k", "day", "-f", "csv")[1]


def test_everything_asked_for_is_what_one_file_of_the_pairs_gives(call: Call) -> None:
    """Filters, weights, gaps, slices, quantiles, worst rows and checks of a run with keys."""
    rng = np.random.default_rng(5)
    rows, keys = 300, rng.permutation(300)
    predictions = {
        "id": keys,
        "prediction": np.where(keys % 37 == 0, np.inf, rng.normal(size=rows)),
        "region": np.array(["n", "s", "e"])[keys % 3],
    }
    other = rng.permutation(rows)
    truth = {
        "id": other,
        "target": pa.array(other * 0.01, mask=other % 41 == 0),
        "w": (other % 5).astype(np.float64),
    }
    files = parquet("p.parquet", **predictions), parquet("t.parquet", **truth)
    order = np.argsort(other)[keys]
    together = predictions | {name: pa.array(truth[name]).take(order) for name in ("target", "w")}
    merged = parquet("merged.parquet", **together)
    options = (
        *("-l", "mse,mae,huber", "-w", "w", "-g", "region", "--where", "id > 20 and region != 'e'"),
        *("--nulls", "drop", "--nonfinite", "drop", "--quantiles", "0.1,0.5", "--top", "4"),
        *("--keep", "region", "-q", "-f", "json", "--chunk-rows", "50"),
    )
    expected = json.loads(call("eval", merged, *options)[1])
    status, out, err = call("eval", *files, *options, "-k", "id")
    assert status == Exit.DONE, err
    found = json.loads(out)
    for result in found["results"]:
        for row in result["worst"]:
            assert row.pop("key") == int(keys[row["row"] - 1])
            row["file"] = merged
    assert found["results"] == expected["results"]
    for why, count in expected["rows"]["dropped"].items():
        assert found["rows"]["dropped"][why]["count"] == count["count"]
        assert [row["row"] for row in found["rows"]["dropped"][why]["first"]] == [
            row["row"] for row in count["first"]
        ]
