"""How input files are written: the options that say so, and files that are not as they should."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.data.csv_numbers import plain
from lossctl.data.dialect import Dialect
from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]
Write = Callable[[str, str | bytes], str]
Refused = Callable[..., str]


@pytest.fixture
def value(call: Call) -> Callable[..., float]:
    """Give the mean squared error of a file."""

    def run(*arguments: str) -> float:
        status, out, err = call("eval", *arguments, "-l", "mse", "-f", "value")
        assert status == Exit.DONE, err
        return float(out)

    return run


@pytest.fixture
def refused(call: Call) -> Refused:
    """Give what a command that must fail says, by its exit status."""

    def run(expected: Exit, *arguments: str) -> str:
        status, out, err = call("eval", *arguments, "-l", "mse")
        assert (status, out) == (expected, "")
        return err

    return run


Value = Callable[..., float]

GERMAN = "prediction;target;note\n1,5;-0,5;a,b\n1.234.567,25;1.234.567;c\n"
GERMAN_MARKS = "--delimiter ; --decimal ,"
SWISS = "prediction,target\n1'000,1'001.5\n12,13\n"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (GERMAN, "--delimiter ; --decimal , --thousands .", (4 + 1 / 16) / 2),
        ("prediction;target\n1,5;0,5\n", "--delimiter ; --decimal ,", 1.0),
        ('prediction,target\n"1,5","0,5"\n', "--decimal ,", 1.0),
        (SWISS, "--thousands '", (2.25 + 1) / 2),
        ('prediction,target\n"1,000,000",999999\n', "--thousands ,", 1.0),
        ('prediction,target\n"12,34,567",1234567\n', "--thousands ,", 0.0),
        (
            "prediction;target\n1\xa0000,5;1000\n",
            "--delimiter ; --decimal , --thousands \xa0",
            0.25,
        ),
        ("prediction|target\n1|3\n", "--delimiter |", 4.0),
        ("prediction\ttarget\n1\t3\n", "--delimiter tab", 4.0),
        ("prediction\ttarget\n1\t3\n", r"--delimiter \t", 4.0),
        ("# made by x\nprediction,target\n# 7,\n1,3\n", "--comment #", 4.0),
        ('//"\n\nprediction,target,note\n1,3,"\n//no comment"\n//"\n2,4,\n', "--comment //", 4.0),
        ("1,3\n2,4\n", "--no-header -p 1 -t 2", 4.0),
        ("\ufeff1,3\n2,4\n", "--no-header -p 1 -t 2", 4.0),
        ("#\n1,3\n2,4\n", "--no-header -p 1 -t 2 --comment #", 4.0),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_csv_files_are_read_as_they_are_told_to_be_written(
    value: Value, write: Write, content: str, options: str, expected: float, packed: bool
) -> None:
    """On both roads: cut into ranges, and in order from a compressed file."""
    data = content.encode()
    name = write("x.csv.gz", gzip.compress(data)) if packed else write("x.csv", data)
    assert value(name, *options.split(" ")) == expected


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-32-be", "shift_jis"])
def test_encodings_are_read(value: Value, write: Write, encoding: str) -> None:
    letters = "ソ表" if encoding == "shift_jis" else "é§"
    text = f"{letters},prediction,target\n{letters},1,{letters}\nx,2,y\n"
    name = write("x.csv", text.encode(encoding))
    found = value(name, "--encoding", encoding, "--positive", letters)
    assert found == (0 + 4) / 2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("range_bytes", [7, 1 << 20])
def test_a_byte_that_is_no_text_is_named_by_row_and_column(
    refused: Refused,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
    range_bytes: int,
) -> None:
    monkeypatch.setattr("lossctl.data.csv.RANGE_BYTES", range_bytes)
    data = b"prediction,target\n1,a\n2,b\n3,caf\xe9\n"
    name = write("x.csv.gz", gzip.compress(data)) if packed else write("x.csv", data)
    err = refused(Exit.UNMEASURABLE, name, "--positive", "a")
    assert f"{name}, row 3, column 'target': the byte 0xe9 is not UTF-8" in err
    assert "hint: --encoding" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--delimiter ab", "--delimiter takes one ASCII character, not 'ab'"),
        ("--delimiter é", "--delimiter takes one ASCII character"),
        ("--decimal ;", "--decimal takes a point or a comma"),
        ("--thousands .", "--thousands and --decimal are both '.'"),
        ("--thousands 5", "--thousands takes one character, not '5'"),
        ("--encoding klingon", "'klingon' is no known encoding"),
        ("--encoding hex", "'hex' is no known encoding"),
        ('--comment "', "--comment takes the beginning of a line"),
        ("--input-format xlsx", "--input-format takes csv | tsv | parquet"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    refused: Refused, good: str, options: str, message: str
) -> None:
    assert message in refused(Exit.USAGE, good, *options.split(" "))


def test_several_wrong_options_are_reported_at_once(refused: Refused, good: str) -> None:
    err = refused(Exit.USAGE, good, "--delimiter", "xx", "--encoding", "klingon", "--nulls", "x")
    assert [part in err for part in ("--delimiter", "--encoding", "--nulls")] == [True] * 3


def test_options_for_csv_files_need_one(refused: Refused) -> None:
    pq.write_table(pa.table({"prediction": [1.0], "target": [2.0]}), "x.parquet")
    assert "no input is CSV" in refused(Exit.USAGE, "x.parquet", "--delimiter", ";")


@pytest.mark.parametrize(
    ("content", "options", "hint"),
    [
        ("prediction;target\n1;2\n", "", "--delimiter ';'"),
        ("prediction\ttarget\n1\t2\n", "", "--delimiter tab"),
        ('prediction,target\n"1,5",2\n', "", "--decimal ,"),
        ('prediction,target\n"1.234,5",2\n', "", "--thousands . --decimal ,"),
        ("prediction,target\n1'234,2\n", "", '--thousands "\'"'),
        ("1,1\n2,2\n", "", "--no-header"),
        ("1.234,5\n2,2\n", "--no-header -p 1 -t 2 --decimal ,", ""),
    ],
)
def test_the_way_out_is_named(
    refused: Refused, write: Write, content: str, options: str, hint: str
) -> None:
    assert hint in refused(Exit.UNMEASURABLE, write("x.csv", content), *options.split())


@pytest.mark.parametrize("text", ["1.5", "12.34", "1.2345", "1..000", ".000", "1.000.00"])
def test_a_point_that_separates_no_thousands_is_refused(
    refused: Refused, write: Write, text: str
) -> None:
    """Taking it out would make 15 of 1.5."""
    name = write("x.csv", f"prediction;target\n{text};2\n")
    options = "--delimiter", ";", "--decimal", ",", "--thousands", "."
    assert f"{text!r} is not a number" in refused(Exit.UNMEASURABLE, name, *options)


@given(st.floats(-1e15, 1e15), st.sampled_from([",", "'", " ", "\u202f"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_grouped_numbers_are_the_numbers_python_groups(number: float, mark: str) -> None:
    dialect = Dialect(thousands=mark)
    written = f"{number:,.6f}".replace(",", mark)
    assert plain(written, dialect) == f"{number:.6f}"


def test_the_format_can_be_told(value: Value, refused: Refused, write: Write) -> None:
    """Whatever the suffix says; the content has the last word."""
    assert value(write("x.txt", "prediction,target\n1,3\n"), "--input-format", "csv") == 4.0
    assert value(write("y.csv", "prediction\ttarget\n1\t3\n"), "--input-format", "tsv") == 4.0
    packed = gzip.compress(b"prediction,target\n1,3\n")
    assert value(write("part-0", packed), "--input-format", "csv") == 4.0
    pq.write_table(pa.table({"prediction": [1.0], "target": [3.0]}), "z")
    assert value("z", "--input-format", "parquet") == 4.0
    err = refused(Exit.UNMEASURABLE, "z", "--input-format", "csv")
    assert "a Parquet file, not CSV (--input-format)" in err
    assert "hint: --input-format parquet" in err


# Files that are not as they should be -------------------------------------------------------------


def repr_of(part: object) -> str:
    """Name a case without what changes from run to run, as the time in a compressed file."""
    return "bytes" if isinstance(part, bytes) else str(part)[:25]


MSE = '{"prediction": 1, "target": 3}\n'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.csv", "\ufeffprediction,target\r\n1,3\r\n2,4", 4.0),
        ("x.jsonl", "\ufeff" + MSE + "\r\n\n" + MSE.strip(), 4.0),
        ("x.csv", "note,prediction,target\n" + "x" * 10_000_000 + ",1,3\n", 4.0),
        ("x.jsonl", '{"note": "' + "x" * 10_000_000 + '", ' + MSE[1:], 4.0),
        ("x.csv", "prediction,target\n1,3\n", 4.0),
        ("x.jsonl", MSE, 4.0),
        ("x.csv", "note,prediction,target\na\x00b,1,3\n", 4.0),
    ],
    ids=repr_of,
)
@pytest.mark.parametrize("packed", [False, True])
def test_odd_files_are_read(
    value: Value, write: Write, name: str, content: str, expected: float, packed: bool
) -> None:
    """A byte order mark, either line end or none at the end, a NUL, a line of 10 MB, one row."""
    data = content.encode()
    path = write(f"{name}.gz", gzip.compress(data, 1)) if packed else write(name, data)
    assert value(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.csv",
            "prediction,target\n1\x00,3\n",
            "row 1, column 'prediction': '1\\x00' is",
        ),
        ("x.csv", "prediction,target\n", "x.csv: no rows"),
        ("x.csv", "", "x.csv: the file is empty"),
        ("x.jsonl", "\n\n", "x.jsonl: the file has no rows"),
        ("x.jsonl", MSE + "[1]\n", "x.jsonl, row 2: holds [1], not a JSON object"),
        ("x.jsonl", MSE + "\n{'a': 1}\n", "x.jsonl, row 2: not JSON"),
        ("x.jsonl", MSE + MSE[:-5], "x.jsonl, row 2: not JSON"),
        ("x.jsonl", MSE + '{"prediction": "x"}', "row 2, column 'prediction': \"x\" is not a num"),
        ("x.jsonl", MSE + '{"prediction": true}', "row 2, column 'prediction': true is not a num"),
        ("x.jsonl", MSE + '{"target": 1}', "row 2, column 'prediction': the value is missing"),
        ("x.jsonl", "[" + MSE + "]", "x.jsonl, row 1: not JSON"),
        ("x.jsonl", MSE.encode() + b'{"prediction": "\xe9"}', "row 2: the byte 0xe9 is not UTF-8"),
        ("x.parquet", "prediction,target\n1,2\n", "x.parquet: not a readable Parquet file"),
        ("x.orc", "prediction,target\n1,2\n", "x.orc: not a readable ORC file"),
        ("x.arrow", "prediction,target\n1,2\n", "x.arrow: not a readable Arrow IPC file"),
        ("x.feather", b"FEA1" + bytes(99), "x.feather: Feather of version 1"),
        ("x.csv", gzip.compress(b"prediction\n"), "x.csv: the file is compressed by gzip"),
        ("x.csv.gz", "prediction,target\n1,2\n", "x.csv.gz: the file is not compressed by gzip"),
        ("x.csv.gz", gzip.compress(b"a,b\n" * 9999)[:60], "x.csv.gz: cannot be read to its end"),
        ("x.jsonl.gz", gzip.compress(MSE.encode() * 99999)[:-9], "cannot be read to its end as gz"),
    ],
    ids=repr_of,
)
def test_malformed_files_are_refused_with_the_row(
    refused: Refused, write: Write, name: str, content: str | bytes, message: str
) -> None:
    assert message in refused(Exit.UNMEASURABLE, write(name, content))


def test_a_compressed_parquet_file_is_refused(refused: Refused, write: Write) -> None:
    err = refused(Exit.USAGE, write("x.parquet.gz", gzip.compress(b"x")))
    assert "x.parquet.gz: Parquet is not read from a compressed file" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(refused: Refused, good: str) -> None:
    Path(good).chmod(0)
    assert "good.csv: Permission denied" in refused(Exit.UNMEASURABLE, good)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz"])
def test_a_file_cut_in_the_middle_leaves_no_output(call: Call, write: Write, name: str) -> None:
    """Most rows can be read, but the report would be of some rows only."""
    data = (
        b"prediction,target\n1,3\n" + b"1,3\n" * 500_000 if "csv" in name else MSE.encode() * 99_999
    )
    cut = gzip.compress(data)
    write(name, cut[: len(cut) // 2])
    status, out, err = call("eval", name, "-l", "mse", "-f", "json", "-o", "out.json")
    assert (status, out, Path("out.json").exists()) == (Exit.UNMEASURABLE, "", False)
    error = json.loads(err)
    assert error["place"] == {"file": name}
    assert "truncated" in error["hint"]


ONE, TWO = '{"prediction":1,"target":2}', '{"prediction":3,\n"target":5}'


@pytest.mark.parametrize("size", [1, 40, 1 << 20])
@pytest.mark.parametrize(
    ("content", "row"),
    [
        (f"{TWO}\n{ONE}\n", 1),
        (f"{ONE}\n\n{ONE}\n{TWO}\n", 3),
        (f"{ONE}\n{ONE} {ONE}\n{ONE}", 2),
    ],
    ids=["two lines", "after a blank line", "two objects"],
)
def test_a_line_of_json_that_is_not_one_object_is_refused(
    refused: Refused,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    row: int,
    size: int,
) -> None:
    """Whether a range of the file is cut there or not, so that rows keep their numbers."""
    monkeypatch.setattr("lossctl.data.jsonl.RANGE_BYTES", size)
    err = refused(Exit.UNMEASURABLE, write("x.jsonl", content))
    assert err.startswith(f"error: x.jsonl, row {row}: not JSON (")
    assert "hint: every line holds one whole JSON object" in err


@pytest.mark.parametrize("blank", ["\n", "\r\n", "\n\n", "\n  \n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n"])
def test_blank_lines_among_objects_are_no_rows(
    value: Value, write: Write, blank: str, last: str
) -> None:
    """Wherever they stand."""
    assert value(write("x.jsonl", blank.join([ONE] * 3) + last)) == 1.0


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), (' {"a" :', " }")])
def test_json_nested_too_deep_is_refused_by_row(
    script: Call, write: Write, opening: str, closing: str
) -> None:
    """Arrow would end the process; what is merely long, or holds brackets in texts, is read."""
    deep = opening * 20_000 + "1" + closing * 20_000
    path = write("x.jsonl", f'{ONE}\n\n{{"prediction":1,"target":2,"x":{deep}}}\n')
    status, _, err = script("eval", path, "-l", "mse")
    assert (status, err) == (3, "error: x.jsonl, row 2: nested deeper than 500 levels\n")
    flat = json.dumps({"prediction": 1, "target": 2, "x": [[[1]]] * 900, "y": '\\"[' * 900})
    path = write("x.jsonl", f"{flat}\n")
    assert script("eval", path, "-l", "mse", "-f", "value")[:2] == (0, "1.0\n")
