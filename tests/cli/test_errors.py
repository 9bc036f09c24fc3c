"""Bad input: what is wrong, where, and what to try, with nothing on stdout and never a traceback.

That nothing is shown on stdout and no traceback on stderr is checked for every run by the fixture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.data import csv as csv_format
from lossctl.errors import Exit

Shown = tuple[int, str, str]
Call = Callable[..., Shown]
Write = Callable[[str, str | bytes], str]


def parquet(name: str, **columns: Any) -> str:
    """Write columns to a Parquet file."""
    pq.write_table(pa.table(columns), name)
    return name


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """Run a command that must fail with a status; give what it says."""

    def run(status: Exit, *arguments: str) -> str:
        found, _, err = call(*arguments)
        assert found == status, err
        return err

    return run


Refused = Callable[..., str]


# Files --------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_those_of_a_similar_name(refused: Refused, good: str) -> None:
    assert good == "good.csv"
    err = refused(Exit.UNMEASURABLE, "eval", "god.csv", "-l", "mse")
    assert err == "error: god.csv: no such file\nhint: did you mean good.csv?\n"
    err = refused(Exit.UNMEASURABLE, "eval", "no/where/x.csv", "-l", "mse")
    assert err == "error: no/where/x.csv: no such file\nhint: there is no folder no/where\n"


def test_every_missing_file_is_named_at_once(refused: Refused) -> None:
    err = refused(Exit.UNMEASURABLE, "eval", "a.csv", "b.parquet", "-l", "mse")
    assert err == "error: a.csv: no such file\nerror: b.parquet: no such file\n"


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("empty.csv", "", 3, "empty.csv: the file is empty"),
        ("empty.parquet", "", 3, "empty.parquet: the file is empty"),
        ("header.csv", "prediction,target\n", 3, "header.csv: no rows"),
        ("data.txt", "prediction,target\n1,2\n", 2, "data.txt: unknown format '.txt'"),
        ("data", "prediction,target\n1,2\n", 2, "data: the name has no suffix"),
        ("csv.parquet", "prediction,target\n1,2\n", 3, "csv.parquet: not a readable Parquet file"),
        ("utf16.csv", "prediction,target\n1,2\n".encode("utf-16"), 3, "the byte 0xff is not UTF-8"),
        (
            "latin.csv",
            b"prediction,target\n1,caf\xe9\n",
            3,
            "latin.csv, row 1, column 'target': the byte 0xe9 is not UTF-8",
        ),
        ("twice.csv", "prediction,target,target\n1,2,3\n", 3, "names 'target' more than once"),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(
    refused: Refused, write: Write, name: str, content: str | bytes, status: int, message: str
) -> None:
    assert message in refused(Exit(status), "eval", write(name, content), "-l", "mse")


def test_a_folder_without_data_files_is_refused(refused: Refused) -> None:
    Path("data.csv").mkdir()
    err = refused(Exit.UNMEASURABLE, "eval", "data.csv", "-l", "mse")
    assert err.startswith("error: data.csv: the folder holds no data file\n")


def test_a_parquet_file_in_the_clothes_of_a_csv_is_known(refused: Refused) -> None:
    parquet("good.csv", prediction=[1.0], target=[2.0])
    err = refused(Exit.UNMEASURABLE, "eval", "good.csv", "-l", "mse")
    expected = (
        "error: good.csv: a Parquet file, not CSV (.csv)\nhint: let its name end in .parquet\n"
    )
    assert err == expected


def test_a_parquet_file_cut_anywhere_is_refused(refused: Refused, write: Write) -> None:
    whole = Path(parquet("x.parquet", prediction=[1.0] * 99, target=[2.0] * 99)).read_bytes()
    for cut in (1, 3, 4, 50, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        err = refused(Exit.UNMEASURABLE, "eval", write("cut.parquet", whole[:cut]), "-l", "mse")
        assert err.startswith("error: cut.parquet: not a readable Parquet file ("), cut
        assert "hint: it may be truncated or of another format" in err


def test_a_parquet_column_that_comes_twice_is_refused(refused: Refused) -> None:
    columns = [pa.array([1.0]), pa.array([2.0]), pa.array([3.0])]
    pq.write_table(pa.table(columns, names=["prediction", "target", "target"]), "x.parquet")
    err = refused(Exit.UNMEASURABLE, "eval", "x.parquet", "-l", "mse")
    assert err == "error: x.parquet: the schema names 'target' more than once\n"


def test_a_damaged_parquet_page_is_refused(refused: Refused, write: Write) -> None:
    whole = bytearray(Path(parquet("x.parquet", prediction=[1.0], target=[2.0])).read_bytes())
    whole[4:40] = b"\xff" * 36
    err = refused(Exit.UNMEASURABLE, "eval", write("x.parquet", bytes(whole)), "-l", "mse")
    assert err.startswith("error: x.parquet: not a readable Parquet file (")


# Malformed CSV: file, row, column and value, wherever it is and however the file is cut

ROWS = 120
PREFIXES = {"plain": "x", "quoted line breaks": '"a\nb"', "quoted quotes": '"a""\n\n""b"'}


@pytest.mark.parametrize("row", [1, 2, 61, ROWS])
@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
@pytest.mark.parametrize("range_bytes", [1, 97, 1 << 20], ids=str)
@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("7,abc", ", column 'target'", "'abc' is not a number"),
        ("x,1", ", column 'prediction'", "'x' is not a number"),
        ("1,2,3", "", "the row has 4 fields, the header 3"),
        ("1", "", "the row has 2 fields, the header 3"),
        ("1,nan", ", column 'target'", "the value is nan"),
        ("1,-inf", ", column 'target'", "the value is -inf"),
        (",1", ", column 'prediction'", "the value is missing"),
        ("1,NA", ", column 'target'", "the value is missing"),
    ],
)
def test_a_faulty_line_is_named_by_row_column_and_value(
    refused: Refused,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    row: int,
    prefix: str,
    range_bytes: int,
    line: str,
    place: str,
    message: str,
) -> None:
    monkeypatch.setattr(csv_format, "RANGE_BYTES", range_bytes)
    lines = [f"{prefix},{i}.5,{i}" for i in range(1, ROWS + 1)]
    lines[row - 1] = f"{prefix},{line}"
    write("x.csv", "\n".join(["note,prediction,target", *lines]))
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse", "-j", "2")
    assert err.startswith(f"error: x.csv, row {row}{place}: {message}\n")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_of_several_faults_the_first_row_is_named(
    refused: Refused, write: Write, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    monkeypatch.setattr(csv_format, "RANGE_BYTES", 64)
    lines = [f"{i}.5,{i}" for i in range(1, ROWS + 1)]
    lines[80], lines[40], lines[100] = "1,abc", "inf,2", "1"
    write("x.csv", "\n".join(["prediction,target", *lines]))
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse", "-j", jobs)
    assert err.startswith("error: x.csv, row 41, column 'prediction': the value is inf\n")


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ('"1,5"', "numbers need a point, not a comma"),
        ("yes", "labels in words need --positive LABEL; missing values are empty or one of NA,"),
        ("0x10", "labels in words"),
        ("1_000", "labels in words"),
        ('"\n1"', "labels in words"),
        ("5\0", "labels in words"),
        ("x" * 200_000, "labels in words"),
    ],
    ids=["comma", "word", "hexadecimal", "underscore", "line break", "NUL", "long"],
)
def test_what_is_no_number_comes_with_what_to_try(
    refused: Refused, write: Write, cell: str, hint: str
) -> None:
    err = refused(
        Exit.UNMEASURABLE,
        "eval",
        write("x.csv", f"prediction,target\n1,2\n3,{cell}\n"),
        "-l",
        "mse",
    )
    assert err.startswith("error: x.csv, row 2, column 'target': ")
    assert f"hint: {hint}" in err
    assert len(err) < 400


# Losses and columns -------------------------------------------------------------------------------


def test_every_wrong_word_of_a_command_is_reported_at_once(refused: Refused, good: str) -> None:
    options = (
        "-l mze,huber:delta=-1 -p predicton -t targt --nulls no --ci 2 --color x -f zz".split()
    )
    err = refused(Exit.USAGE, "eval", good, "missing.csv", *options)
    assert [line for line in err.splitlines() if line.startswith("error:")] == [
        "error: unknown format 'zz'",
        "error: --color takes auto | always | never, not 'x'",
        "error: unknown loss 'mze'",
        "error: huber: delta must be float in (0, inf), not '-1'",
        "error: --nulls takes error | drop, not 'no'",
        "error: --ci takes a level between 0 and 1, as in 0.95, or off, not '2'",
        "error: missing.csv: no such file",
    ]


def test_every_wrong_column_is_reported_with_what_was_meant(refused: Refused, good: str) -> None:
    options = "-l mse,mae,mbe -p predicton -t targt --col mae.target=q -g g".split()
    assert refused(Exit.USAGE, "eval", good, *options) == (
        "error: good.csv: no column 'predicton'\nhint: did you mean prediction?\n"
        "error: good.csv: no column 'targt'\nhint: did you mean target?\n"
        "error: good.csv: no column 'q'\nhint: columns: prediction, target\n"
        "error: good.csv: no column 'g'\nhint: columns: prediction, target\n"
    )


def test_a_role_without_a_column_is_named_once_with_all_its_losses(
    refused: Refused, write: Write
) -> None:
    write("x.csv", "guess,truth\n1,2\n")
    err = refused(Exit.USAGE, "eval", "x.csv", "-l", "mse,mae")
    assert err == (
        "error: mse, mae: no column found for the role 'prediction' (a finite number)\n"
        "hint: name it with --pred COLUMN; columns: guess, truth\n"
    )


def test_a_list_of_columns_in_a_hint_is_short_and_plain(refused: Refused, write: Write) -> None:
    write("x.csv", ",".join([" padded ", "", '"a;"', *(f"c{i}" for i in range(500))]) + "\n")
    err = refused(Exit.USAGE, "eval", "x.csv", "-l", "mse", "-p", "nothing")
    assert "hint: columns: ' padded ', '', 'a;', c0, c1, " in err
    assert err.endswith(" and 483 more\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-l mse -p prediction,target", "the role 'prediction' needs one column, not 2"),
        ("-l iou -p prediction,target -t target", "needs 4 columns, not 2 (prediction, target)"),
        ("-l cross_entropy -p prediction", "needs K columns or one list column, not 1"),
        ("-l mse --col bogus=target", "no loss here has the role 'bogus'"),
        ("-l mse --col bce.target=target", "no loss here has the role 'bce.target'"),
        ("-l mse --col target", "--col takes ROLE=COLUMNS, not 'target'"),
        ("-l mse -t target --col target=prediction", "the role 'target' is given two columns"),
        ("-l mse --classes a,b", "--classes: no loss here takes class labels"),
        ("-l mse --nonfinite no", "--nonfinite takes error | drop | keep, not 'no'"),
        ("-l mse --quantiles 1.5", "--quantiles takes numbers between 0 and 1, not '1.5'"),
        ("-l mse --ci nan", "--ci takes a level between 0 and 1"),
        ("-l mse --jobs 0", "Invalid value for '--jobs'"),
        ("-l @regresion", "unknown family '@regresion'"),
        ("-l huber:detla=1", "huber has no parameter 'detla'"),
        ("-l huber:delta=nan", "huber: delta must be float in (0, inf), not 'nan'"),
        ("-l bce:eps=0.5", "bce: eps must be float in [0, 0.5), not '0.5'"),
        ("", "Missing option '--loss'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    refused: Refused, good: str, options: str, message: str
) -> None:
    assert message in refused(Exit.USAGE, "eval", good, *options.split())


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "cells", "message"),
    [
        ("bce", "1.2,1", "column 'prediction': prediction must be a number in [0, 1], not 1.2"),
        ("bce", "-1e-9,1", "column 'prediction': prediction must be a number in [0, 1]"),
        ("bce", "0.5,2", "column 'target': target must be a label 0 or 1, or a soft one in [0, 1]"),
        ("hinge", "0.5,2", "column 'target': target must be a label -1 or +1, or else 0 or 1"),
        ("gan_discriminator", "0.5,0.5", "column 'target': target must be a label 0 or 1, not 0.5"),
    ],
)
def test_a_value_outside_its_domain_is_named(
    refused: Refused, write: Write, losses: str, cells: str, message: str
) -> None:
    write("x.csv", f"prediction,target\n0.5,1\n{cells}\n")
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", losses)
    assert err.startswith(f"error: x.csv, row 2, {message}")


@pytest.mark.parametrize("chunk_rows", ["1", "1000"])
@pytest.mark.parametrize("range_bytes", [16, 1 << 20], ids=str)
def test_labels_of_two_codings_are_refused_wherever_they_stand(
    refused: Refused,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    chunk_rows: str,
    range_bytes: int,
) -> None:
    monkeypatch.setattr(csv_format, "RANGE_BYTES", range_bytes)
    write("x.csv", "prediction,target\n" + "1,0\n" * 40 + "1,1\n1,-1\n")
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "hinge", "--chunk-rows", chunk_rows)
    expected = "the labels mix -1 and 0; use either {-1, +1} or {0, 1} throughout"
    assert err == f"error: x.csv: {expected}\n"


def test_boxes_with_reversed_corners_are_refused_in_each_coding(refused: Refused) -> None:
    wrong = {
        "xyxy": (1.0, 1.0, 0.0, 2.0),
        "xywh": (1.0, 1.0, -1.0, 1.0),
        "cxcywh": (1.0, 1.0, 2.0, -1.0),
    }
    for coding, box in wrong.items():
        parquet(
            "x.parquet", prediction=[[0.0, 0.0, 1.0, 1.0], box], target=[[0.0, 0.0, 1.0, 1.0]] * 2
        )
        err = refused(Exit.UNMEASURABLE, "eval", "x.parquet", "-l", f"iou:format={coding}")
        assert err.startswith("error: x.parquet, row 2, column 'prediction': prediction must be"), (
            coding
        )


def test_an_unknown_label_is_named_with_the_classes(refused: Refused, write: Write) -> None:
    write("x.csv", "p_cat,p_dog,target\n.5,.5,cat\n.5,.5,dgo\n")
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "cross_entropy")
    assert err == (
        "error: x.csv, row 2, column 'target': 'dgo' is none of the classes cat, dog\n"
        "hint: did you mean dog?\n"
    )


def test_a_file_of_which_every_row_is_dropped_measures_nothing(
    refused: Refused, write: Write
) -> None:
    write("x.csv", "prediction,target\n,1\n,0\n")
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse", "--nulls", "drop")
    assert err == "error: no row is left: all 2 are dropped (null)\n"


# Pairs of files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffixes", [("csv", "csv"), ("parquet", "parquet"), ("csv", "parquet")])
@pytest.mark.parametrize("swapped", [False, True])
def test_unequal_row_counts_are_refused(
    refused: Refused, write: Write, suffixes: tuple[str, str], swapped: bool
) -> None:
    names = [f"{stem}.{suffix}" for stem, suffix in zip("ab", suffixes, strict=True)]
    for name, column, rows in zip(names, ("prediction", "target"), (3, 2), strict=True):
        if name.endswith("csv"):
            write(name, "\n".join([column, *map(str, range(rows)), ""]))
        else:
            parquet(name, **{column: [float(row) for row in range(rows)]})
    counts = " and ".join(f"{name} {rows} rows" for name, rows in zip(names, (3, 2), strict=True))
    if swapped:
        names.reverse()
        counts = " and ".join(counts.split(" and ")[::-1])
    err = refused(
        Exit.UNMEASURABLE, "eval", *names, "-l", "mse", "-p", "prediction", "-t", "target"
    )
    assert err.startswith(
        f"error: the files pair row by row but differ in length: {counts}\nhint: "
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_unreadable_files_say_why(refused: Refused, good: str) -> None:
    Path(good).chmod(0)
    err = refused(Exit.UNMEASURABLE, "eval", good, "-l", "mse")
    assert err == f"error: {good}: Permission denied\n"


# JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["-f json", "-fjson", "-qf json", "--format=jsonl", "-f csv -f json"]
)
def test_an_error_is_one_json_object_where_json_is_asked_for(
    refused: Refused, write: Write, words: str
) -> None:
    write("x.csv", "prediction,target\n1,2\n3,x\n")
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse", *words.split())
    assert json.loads(err) == {
        "error": "input",
        "message": "'x' is not a number",
        "place": {"file": "x.csv", "row": 2, "column": "target"},
        "hint": "labels in words need --positive LABEL; "
        "missing values are empty or one of NA, N/A, null, NULL, Null, None",
        "exit": 3,
    }


def test_several_errors_are_one_json_object(refused: Refused, good: str) -> None:
    err = json.loads(refused(Exit.USAGE, "eval", good, "missing.csv", "-l", "mze", "-f", "json"))
    assert (err["error"], err["exit"]) == ("spec", Exit.USAGE)
    assert [(one["error"], one["exit"]) for one in err["errors"]] == [("spec", 2), ("input", 3)]


def test_a_format_that_is_overridden_does_not_count(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSCTL_FORMAT", "json")
    assert json.loads(refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse"))["exit"] == 3
    err = refused(Exit.UNMEASURABLE, "eval", "x.csv", "-l", "mse", "-f", "table")
    assert err == "error: x.csv: no such file\n"


def test_a_command_line_that_does_not_parse_is_a_json_error_as_well(refused: Refused) -> None:
    for arguments in (["--bogus", "-f", "json"], ["eval", "-f", "json"], ["losses", "x", "--json"]):
        assert json.loads(refused(Exit.USAGE, *arguments))["exit"] == Exit.USAGE


def test_the_traceback_is_shown_for_debug_only(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "eval", "missing.csv", "-l", "mse"
    assert "Traceback" in refused(Exit.UNMEASURABLE, *command, "--debug")
    monkeypatch.setenv("LOSSCTL_DEBUG", "1")
    assert "Traceback" in refused(Exit.UNMEASURABLE, *command)
    monkeypatch.setenv("LOSSCTL_DEBUG", "0")
    assert refused(Exit.UNMEASURABLE, *command) == "error: missing.csv: no such file\n"
