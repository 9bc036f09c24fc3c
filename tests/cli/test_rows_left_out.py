"""Gaps, weights, filters and slices through the command: what is left out is always told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str], str]


def report_of(shown: Shown) -> dict[str, Any]:
    """Read the report of a run that went well."""
    status, out, err = shown
    assert status == Exit.DONE, err
    return json.loads(out)  # type: ignore[no-any-return]


def error_of(shown: Shown, status: Exit) -> dict[str, Any]:
    """Read the error of a run that did not."""
    assert shown[0] == status
    return json.loads(shown[2])  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the value is nan"),
        (["--nonfinite", "drop"], "no row is left: all 2 are dropped (nonfinite)"),
        (["--where", "prediction > 0"], "no row is left: all 2 are dropped (filtered)"),
    ],
)
def test_predictions_that_are_all_nan_measure_nothing(
    options: list[str], message: str, script: Call, write: Write
) -> None:
    """Neither 0 nor any other number, whatever the policy."""
    path = write("nan.csv", "prediction,target\nnan,1\nnan,2\n")
    shown = script("eval", path, "-l", "mse", "-f", "json", *options)
    assert error_of(shown, Exit.UNMEASURABLE)["message"] == message


def test_predictions_that_are_all_nan_and_kept_are_undefined(call: Call, write: Write) -> None:
    """Null with a reason, and no bare number."""
    path = write("nan.csv", "prediction,target\nnan,1\nnan,2\n")
    keep = ["eval", path, "-l", "mse", "--nonfinite", "keep"]
    [result] = report_of(call(*keep, "-f", "json"))["results"]
    assert (result["value"], result["reason"]) == (None, "not a number in 2 rows")
    assert call(*keep, "-f", "value")[0] == Exit.UNMEASURABLE


def test_dropped_rows_are_told_with_the_first_of_them(call: Call, write: Write) -> None:
    """By reason, in the notes of the table and in the JSON; the counts add up."""
    rows = ["1,0,a", ",0,a", "nan,0,b", "4,0,b", "inf,0,c", ",,c"]
    path = write("gaps.csv", "\n".join(["prediction,target,part", *rows]))
    drop = ["eval", path, "-l", "mae", "--nulls", "drop", "--nonfinite", "drop"]
    status, _, err = call(*drop, "--where", "part != 'c' or prediction is not null")
    assert status == Exit.DONE
    assert "1 of 6 rows dropped (null) (first: gaps.csv row 2)" in err
    assert "2 of 6 rows dropped (nonfinite) (first: gaps.csv row 3)" in err
    options = ["--where", "part != 'c' or prediction is not null", "-f", "json", "--by", "part"]
    report = report_of(call(*drop, *options))
    counts = {why: rows["count"] for why, rows in report["rows"]["dropped"].items()}
    assert counts == {"filtered": 1, "null": 1, "nonfinite": 2}
    assert report["rows"]["dropped"]["filtered"]["first"] == [{"file": "gaps.csv", "row": 6}]
    assert report["rows"]["read"] == report["rows"]["scored"] + sum(counts.values()) == 6


def test_rows_left_out_by_a_filter_are_told_beside_the_table(script: Call, write: Write) -> None:
    """As a note and no warning: nothing is wrong, and the status and the gate are as ever."""
    path = write("rows.csv", "prediction,target,part\n1,2,a\n3,3,b\n5,4,a\n6,6.5,b\n")
    note = "2 of 4 rows left out by --where"
    for command in (["eval", path, "--max", "mae=10"], ["compare", path, path], ["worst", path]):
        run = [*command, "-l", "mae", "--where", "part == 'b'"]
        status, _, err = script(*run)
        assert (status, err.splitlines().count(note)) == (Exit.DONE, 1)
        assert note not in script(*run, "-q")[2]
        assert f"\n- {note}\n" in script(*run, "-f", "md")[1]
        assert "warning" not in err
    _, out, err = script("eval", path, "-l", "mae", "--where", "prediction > 0")
    assert "left out" not in out + err


def test_a_condition_that_is_none_is_refused_with_what_to_write(script: Call, write: Write) -> None:
    """A column of texts alone, and a whole number that no double holds as what it is."""
    path = write("rows.csv", "prediction,target,part\n1,2,9007199254740993\n3,3,eu\n")
    run = ["eval", path, "-l", "mae", "-f", "json", "--where"]
    error = error_of(script(*run, "part"), Exit.UNMEASURABLE)
    assert error["message"].endswith("the text '9007199254740993' with true or false")
    path = write("rows.csv", "prediction,target,part\n1,2,9007199254740993\n3,3,9007199254740992\n")
    [result] = report_of(script(*run, "part == 9007199254740993"))["results"]
    assert result["value"] == 1.0


def test_weights_are_compared_as_numbers(call: Call, write: Write) -> None:
    path = write("rows.csv", "prediction,target,w\n1,2,1\n2,2,0\n3,5,1\n")
    run = ["eval", path, "-l", "mae", "-w", "w", "-f", "json", "--where"]
    [result] = report_of(call(*run, "w == 1"))["results"]
    assert (result["n"], result["value"]) == (2, 1.5)
    error = error_of(call(*run, "w == '1'"), Exit.USAGE)
    assert error["hint"] == "compare it with a number, without quotes"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-w", "w"],
        ["--where", "w > 0"],
        ["--by", "w:1,2"],
        ["--find-slices", "w"],
        ["--nulls", "drop"],
    ],
    ids=" ".join,
)
def test_no_rows_are_an_error_and_one_row_is_a_number(
    options: list[str], call: Call, write: Write
) -> None:
    """With any option that looks at rows; one row has no standard error."""
    none = write("none.csv", "prediction,target,w\n")
    error = error_of(call("eval", none, "-l", "mae", "-f", "json", *options), Exit.UNMEASURABLE)
    assert error["message"] == "none.csv: no rows"
    one = write("one.csv", "prediction,target,w\n1,3,2\n")
    result = report_of(call("eval", one, "-l", "mae", "-f", "json", *options))["results"][0]
    assert (result["n"], result["value"], result["std_error"], result["ci"]) == (1, 2.0, None, None)


def test_weights_that_are_all_zero_are_no_value(call: Call, write: Write) -> None:
    """Null with a reason in JSON, undefined in the table, and no bare number."""
    path = write("zero.csv", "prediction,target,w\n1,2,0\n3,5,0.0\n")
    weighed = ["eval", path, "-l", "mse,rmse", "-w", "w"]
    for result in report_of(call(*weighed, "-f", "json"))["results"]:
        assert (result["n"], result["weight"], result["value"]) == (2, 0.0, None)
        assert result["reason"] == "zero weight"
    status, out, err = call(*weighed)
    assert status == Exit.DONE
    assert out.count("undefined") == 2
    assert "warning: mse: zero weight" in err
    assert call(*weighed, "-f", "value")[0] == Exit.UNMEASURABLE


@pytest.mark.parametrize("weight", ["-1", "inf", "nan", ""])
def test_a_wrong_weight_names_its_file_row_and_column(
    weight: str, script: Call, write: Write
) -> None:
    """Through the installed command, with nothing on stdout."""
    path = write("w.csv", f"prediction,target,w\n1,2,1\n3,5,{weight}\n")
    drop = ["--nulls", "drop", "--nonfinite", "drop"]
    error = error_of(script("eval", path, "-l", "mse", "-w", "w", "-f", "json", *drop),
                     Exit.UNMEASURABLE)  # fmt: skip
    assert error["place"] == {"file": "w.csv", "row": 2, "column": "w"}
    assert "weight" in error["message"]


def test_everything_wrong_with_the_columns_is_told_at_once(call: Call, write: Write) -> None:
    """Weight, slices and search, before a row is read."""
    path = write("rows.csv", "prediction,target,region,age,w\n1,2,eu,5,1\n")
    options = ["-w", "ww", "--by", "regin", "--by", "age:5,1", "--find-slices", "agee"]
    status, _, err = call("eval", path, "-l", "mse", *options)
    assert status == Exit.USAGE
    for part in ("'ww'", "'regin'", "must ascend"):
        assert part in err


LABELS = "p_cat,p_dog,p_emu,target,part\n"


def test_a_class_that_a_shard_lacks_changes_nothing(call: Call, write: Write) -> None:
    """Shards with some of the classes add up to the run over all rows, slices too."""
    rows = ["0.5,0.25,0.25,cat,a", "0.2,0.6,0.2,dog,a", "0.1,0.1,0.8,emu,b", "0.3,0.3,0.4,cat,b"]
    whole = write("all.csv", LABELS + "\n".join(rows))
    options = ["-l", "cross_entropy", "--by", "target,part", "-f", "json"]
    expected = report_of(call("eval", whole, *options))["results"]
    for number, some in enumerate((rows[:2], rows[2:])):
        shard = write(f"{number}.csv", LABELS + "\n".join(some))
        report_of(call("eval", shard, *options, "--state-out", f"{number}.state"))
    merged = report_of(call("merge", "1.state", "0.state", "-f", "json"))["results"]
    assert merged == expected


@pytest.mark.parametrize(
    ("one", "other", "setting"),
    [
        (["--where", "w > 0"], ["--where", "w > 1"], "where"),
        (["-w", "w"], [], "weight"),
        (["--by", "w:1,2"], ["--by", "w:1,3"], "by"),
        (["--find-slices", "w"], [], "find"),
        (["--min-slice-rows", "2"], [], "min_slice_rows"),
    ],
)
def test_states_of_other_weights_filters_and_slices_are_not_merged(
    one: list[str], other: list[str], setting: str, call: Call, write: Write
) -> None:
    """The setting that differs is named, with both values."""
    for name, options in (("a", one), ("b", other)):
        path = write(f"{name}.csv", "prediction,target,w\n1,2,1\n3,5,2\n")
        out = ["--state-out", f"{name}.state", "-q"]
        assert call("eval", path, "-l", "mae", *options, *out)[0] == Exit.DONE
    error = error_of(call("merge", "a.state", "b.state", "-f", "json"), Exit.UNMEASURABLE)
    assert f"differs from those before it in {setting}: " in error["message"]


def test_states_of_other_classes_or_groups_are_not_merged(call: Call, write: Write) -> None:
    """Though the columns are called alike."""
    rows = "p_x,p_y,target\n0.5,0.5,cat\n0.25,0.75,dog\n"
    long = "query,other,prediction,target\na,c,0.5,1\na,c,0.1,0\nb,d,0.3,1\nb,d,0.2,0\n"
    runs = {
        "classes": (rows, "cross_entropy", "--classes", ("cat,dog", "dog,cat")),
        "group": (long, "triplet", "--group", ("query", "other")),
    }
    for setting, (text, loss, option, values) in runs.items():
        for number, value in enumerate(values):
            path = write(f"{setting}{number}.csv", text)
            out = ["--state-out", f"{setting}{number}.state", "-q"]
            assert call("eval", path, "-l", loss, option, value, *out)[0] == Exit.DONE
        states = [f"{setting}0.state", f"{setting}1.state"]
        error = error_of(call("merge", *states, "-f", "json"), Exit.UNMEASURABLE)
        assert f"in {setting}: " in error["message"]


def test_options_over_rows_do_not_go_with_groups(call: Call, write: Write) -> None:
    """A group has none of the columns of its rows, and the hint says so."""
    path = write("long.csv", "query,prediction,target\na,0.5,1\na,0.1,0\n")
    for option in (["-w", "prediction"], ["--by", "query"], ["--where", "target == 1"]):
        error = error_of(
            call("eval", path, "-l", "triplet", "--group", "query", *option, "-f", "json"),
            Exit.USAGE,
        )
        assert error["hint"].startswith("--group leaves one row per group, which has none of")


def test_one_file_may_have_a_key_for_its_fingerprint_and_worst_rows_as_well(
    call: Call, write: Write
) -> None:
    """The key is no column that is shown of them."""
    path = write("rows.csv", "id,prediction,target,n\n7,1,2,3\n8,5,2,4\n9,1,9,5\n")
    options = ["-k", "id", "--fingerprint", "--top", "1", "--keep", "n", "--where", "n < 5"]
    [result] = report_of(call("eval", path, "-l", "mae", "-f", "json", *options))["results"]
    assert [(row["row"], row["columns"]) for row in result["worst"]] == [(2, {"n": "4"})]


def test_the_first_dropped_row_of_files_paired_by_key_is_named_by_its_key(
    call: Call, write: Write
) -> None:
    """As its number alone says little of a file in another order."""
    write("p.csv", "id,prediction\na b,1\nc#d,\n")
    write("t.csv", "id,target\nc#d,1\na b,3\n")
    _, _, err = call("eval", "p.csv", "t.csv", "-k", "id", "-l", "mae", "--nulls", "drop")
    assert "1 of 2 rows dropped (null) (first: p.csv row 2, key c#d)" in err
