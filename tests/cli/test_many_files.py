"""Many files as one input, and inputs that can be read only once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv

from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]
Evaluated = Callable[..., dict[str, Any]]

SCRIPT = Path(sys.executable).parent / "lossctl"
ROWS = 600
RNG = np.random.default_rng(11)
TABLE = pa.table(
    {
        "id": np.arange(ROWS),
        "region": np.array(["eu", "us", "a b/%"])[np.arange(ROWS) % 3],
        "fold": np.arange(ROWS) // 100,
        "prediction": RNG.normal(size=ROWS),
        "target": RNG.normal(size=ROWS),
    }
)
EVAL = "-l", "mse,mae", "-f", "json"


@pytest.fixture
def evaluated(call: Call) -> Evaluated:
    """Give what a report says that may not differ between equal runs."""

    def run(*arguments: str) -> dict[str, Any]:
        status, out, err = call("eval", *arguments, *EVAL)
        assert status == Exit.DONE, err
        report: dict[str, Any] = json.loads(out)
        return {name: report[name] for name in ("rows", "results")}

    return run


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """Give what a command that must fail says."""

    def run(expected: Exit, *arguments: str) -> str:
        status, out, err = call("eval", *arguments, "-l", "mse")
        assert (status, out) == (expected, ""), err
        return err

    return run


Refused = Callable[..., str]


def write(path: str, table: pa.Table) -> None:
    """Write a table in the format of the suffix."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if ".csv" in path:
        sink = pa.BufferOutputStream()
        pacsv.write_csv(table, sink)
        data = sink.getvalue().to_pybytes()
        Path(path).write_bytes(gzip.compress(data) if path.endswith("gz") else data)
    elif path.endswith(".jsonl"):
        rows = (json.dumps(row) + "\n" for row in table.to_pylist())
        Path(path).write_text("".join(rows), encoding="utf-8")
    else:
        pq.write_table(table, path, row_group_size=70)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz", "jsonl"])
@pytest.mark.parametrize("argument", ["parts/*.{}", "parts", "parts/", "**/part-?.{}"])
def test_files_cut_from_one_give_its_report(
    evaluated: Evaluated, suffix: str, argument: str
) -> None:
    """Whatever stands beside them: markers, hidden files and folders, empty files."""
    write(f"whole.{suffix}", TABLE)
    for number, start in enumerate(range(0, ROWS, 100)):
        write(f"parts/part-{number}.{suffix}", TABLE.slice(start, 100))
    if "*" not in argument:
        for marker in ("_SUCCESS", ".part-0.crc", f"_temporary/x.{suffix}", f".hidden.{suffix}"):
            Path("parts", marker).parent.mkdir(exist_ok=True)
            Path("parts", marker).touch()
    found = evaluated(argument.format(suffix), "--by", "region", "--jobs", "2")
    assert found == evaluated(f"whole.{suffix}", "--by", "region")


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_partitions_written_by_others_are_columns(evaluated: Evaluated, format_: str) -> None:
    """As Arrow writes them, with names of folders that need quoting."""
    fields = [TABLE.schema.field("region"), TABLE.schema.field("fold")]
    partitioning = ds.partitioning(pa.schema(fields), flavor="hive")
    ds.write_dataset(TABLE, "tree", format=format_, partitioning=partitioning)
    write("whole.parquet", TABLE)
    for options in (
        ("--by", "region", "--by", "fold,region"),
        ("--where", "fold == 3 and region == 'eu'"),
        ("-p", "fold"),
        ("--by", "region", "-p", "fold", "--where", "fold >= 2"),
    ):
        expected = evaluated("whole.parquet", *options)
        assert evaluated("tree", *options)["results"] == expected["results"]
        assert evaluated("tree/*/*/*", *options)["results"] == expected["results"]


def test_a_missing_partition_is_a_missing_value(evaluated: Evaluated) -> None:
    write("tree/region=__HIVE_DEFAULT_PARTITION__/x.csv", TABLE.select(["prediction", "target"]))
    write("tree/region=7/x.csv", TABLE.select(["prediction", "target"]))
    slices = [result["slice"] for result in evaluated("tree", "--by", "region")["results"][2::2]]
    assert slices == [{"region": 7}, {"region": None}]


@pytest.mark.parametrize("suffixes", [("parquet", "parquet"), ("csv", "csv"), ("csv", "parquet")])
def test_two_inputs_of_many_files_pair_by_position(
    evaluated: Evaluated, suffixes: Sequence[str]
) -> None:
    """However differently they are cut."""
    write("whole.parquet", TABLE)
    for number, (start, stop) in enumerate([(0, 150), (150, 151), (151, 600)]):
        write(f"p/{number}.{suffixes[0]}", TABLE.drop(["target"]).slice(start, stop - start))
    for number, start in enumerate(range(0, ROWS, 200)):
        write(f"t/{number}.{suffixes[1]}", TABLE.select(["id", "target"]).slice(start, 200))
    assert evaluated("p", "t") == evaluated("whole.parquet")
    assert evaluated("p", "t", "--key", "id")["results"] == evaluated("whole.parquet")["results"]


def test_many_files_of_unequal_length_do_not_pair(refused: Refused) -> None:
    for number in range(3):
        write(f"p/{number}.parquet", TABLE.slice(number, 10))
    write("t.parquet", TABLE.slice(0, 31))
    err = refused(Exit.UNMEASURABLE, "p", "t.parquet")
    assert "differ in length: p 30 rows and t.parquet 31 rows" in err


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz", "jsonl"])
@pytest.mark.parametrize("other", [None, "t"])
def test_rows_are_numbered_within_each_file(
    refused: Refused, suffix: str, other: str | None
) -> None:
    """In either of two inputs as well."""
    holed = pa.array([None if i == 37 else 1.0 for i in range(100)])
    for number in range(3):
        part = TABLE.slice(number * 100, 100)
        part = part.set_column(4, "target", holed) if number == 1 else part
        write(f"p/{number}.{suffix}", part.drop(["target"]) if other else part)
        if other:
            write(f"t/{number}.{suffix}", part.select(["id", "target"]))
    err = refused(Exit.UNMEASURABLE, *filter(None, ["p", other]))
    assert f"{other or 'p'}/1.{suffix}, row 38, column 'target': the value is missing" in err


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        (
            "z.parquet",
            {"prediction": [1.0]},
            "z.parquet: has no column 'target', which p/a",
        ),
        ("z.parquet", {"prediction": [1.0], "target": [1.0], "x": [1]}, "has a column 'x', which"),
        ("z.parquet", {"prediction": ["1"], "target": [1.0]}, "is string, but double in p/a.pa"),
        (
            "z.csv",
            {"prediction": [1.0], "target": [1.0]},
            "p/z.csv: is CSV, but p/a.parquet is",
        ),
        ("k=1/z.parquet", {"prediction": [1.0], "target": [1.0]}, "lie in a folder k=..."),
    ],
)
def test_the_first_difference_between_files_is_named(
    refused: Refused, name: str, table: dict[str, Any], message: str
) -> None:
    write("p/a.parquet", pa.table({"prediction": [1.0], "target": [1.0]}))
    write(f"p/{name}", pa.table(table))
    assert message in refused(Exit.UNMEASURABLE, "p")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int32(), pa.int64()),
        (pa.float32(), pa.float64()),
        (pa.int8(), pa.uint8()),
        (pa.int64(), pa.float64()),
        (pa.null(), pa.float64()),
    ],
)
def test_widths_that_widen_exactly_may_differ(
    evaluated: Evaluated, one: pa.DataType, other: pa.DataType
) -> None:
    values = [1, 2, 3]
    empty = [None] * 3 if pa.types.is_null(one) else values
    for name, column in (("a", pa.array(empty, one)), ("b", pa.array(values, other))):
        write(f"p/{name}.parquet", pa.table({"prediction": column, "target": [0.0] * 3}))
    found = evaluated("p", "--nulls", "drop", "--by", "prediction")["results"]
    assert found[1]["value"] == 2.0
    whole = [result["slice"]["prediction"] for result in found[2::2]]
    assert whole == [1, 2, 3] + [None] * pa.types.is_null(one) or pa.types.is_null(one)


def test_an_integer_without_a_double_in_one_file_is_refused(refused: Refused) -> None:
    write("p/a.parquet", pa.table({"prediction": [0.5], "target": [1.0]}))
    write("p/b.parquet", pa.table({"prediction": [2**53 + 1], "target": [1.0]}))
    err = refused(Exit.UNMEASURABLE, "p")
    assert "p/b.parquet" in err
    assert str(2**53 + 1) in err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("none/*.csv", "none/*.csv: no file matches"),
        ("empty", "empty: the folder holds no data file"),
        ("texts", "texts: the folder holds no data file, only notes.txt"),
    ],
)
def test_an_input_without_files_is_refused(refused: Refused, argument: str, message: str) -> None:
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/notes.txt").write_text("none", encoding="utf-8")
    assert message in refused(Exit.UNMEASURABLE, argument)


def test_files_of_no_known_format_are_left_out_with_a_note(call: Call) -> None:
    write("p/a.csv", TABLE)
    Path("p/notes.txt").write_text("none", encoding="utf-8")
    status, _, err = call("eval", "p", "-l", "mse")
    assert status == Exit.DONE
    assert "p: 1 files of no known format are left out (notes.txt)" in err
    assert call("eval", "p", "-l", "mse", "-q")[2] == ""


def test_a_name_that_looks_like_a_pattern_is_a_name(evaluated: Evaluated) -> None:
    write("a[1].csv", TABLE)
    write("a1.csv", TABLE.slice(0, 10))
    assert evaluated("a[1].csv")["rows"]["read"] == ROWS


def test_a_run_over_many_files_is_saved_and_gone_on_from(call: Call, evaluated: Evaluated) -> None:
    for number, start in enumerate(range(0, ROWS, 100)):
        write(f"p/{number}.parquet", TABLE.slice(start, 100))
    expected = evaluated("p")
    assert evaluated("p", "--state-out", "p.state") == expected
    assert evaluated("p", "--state-out", "p.state", "--resume") == expected
    inputs = json.loads(Path("p.state").read_text(encoding="utf-8"))["inputs"]
    assert [entry["path"] for entry in inputs] == [f"p/{number}.parquet" for number in range(6)]
    write("p/3.parquet", TABLE.slice(0, 99))
    status, _, err = call("eval", "p", *EVAL, "--state-out", "p.state", "--resume")
    assert status == Exit.UNMEASURABLE
    assert "have changed since" in err


# Stdin and pipes ----------------------------------------------------------------------------------


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for temporary files, which must be empty at the end."""
    folder = tmp_path / "spools"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def run(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the installed command with its temporary files in a folder."""
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [str(SCRIPT), "eval", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, check=False, **options)


@pytest.mark.parametrize(
    ("name", "told"),
    [("x.csv", "csv"), ("x.csv.gz", "csv"), ("x.parquet", "parquet"), ("x.jsonl", "jsonl")],
)
@pytest.mark.parametrize("way", ["pipe", "file"])
def test_stdin_is_read_as_a_file_is(spools: Path, name: str, told: str, way: str) -> None:
    write(name, TABLE)
    write("x.parquet", TABLE)
    options = "-l", "mse", "-f", "value"
    expected = run("x.parquet", *options, folder=spools).stdout
    data = Path(name).read_bytes()
    with Path(name).open("rb") as file:
        given: dict[str, Any] = {"input": data} if way == "pipe" else {"stdin": file}
        done = run("-", "--input-format", told, *options, folder=spools, **given)
    assert (done.returncode, done.stdout) == (0, expected)
    assert (b"stdin is kept in a temporary file" in done.stderr) == (way == "pipe")


def test_stdin_pairs_with_a_file_of_another_format(spools: Path) -> None:
    """A told format is that of stdin, as the other file has a name."""
    write("t.parquet", TABLE.select(["id", "target"]))
    write("p.csv", TABLE.drop(["target"]))
    data = Path("p.csv").read_bytes()
    options = "-l", "mse", "-f", "value", "--input-format", "csv"
    done = run("-", "t.parquet", *options, folder=spools, input=data)
    assert done.returncode == 0
    swapped = run("t.parquet", "-", *options, "-p", "prediction", folder=spools, input=data)
    assert swapped.stdout == done.stdout


def test_a_fault_in_stdin_is_named_by_its_row(spools: Path) -> None:
    data = b"prediction,target\n1,2\n3,x\n"
    done = run("-", "-l", "mse", "--input-format", "csv", folder=spools, input=data)
    assert done.returncode == Exit.UNMEASURABLE
    assert b"error: -, row 2, column 'target': 'x' is not a number" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-"], Exit.USAGE, b"--input-format names the format of stdin"),
        (["-", "-", "--input-format", "csv"], Exit.USAGE, b"stdin can be only one of the inputs"),
        (["-", "--input-format", "csv"], Exit.UNMEASURABLE, b"-: the file is empty"),
        (["-", "--input-format", "parquet"], Exit.UNMEASURABLE, b"-: the file is empty"),
    ],
)
def test_stdin_that_cannot_be_read_is_refused(
    spools: Path, arguments: list[str], status: Exit, message: bytes
) -> None:
    done = run(*arguments, "-l", "mse", folder=spools, input=b"")
    assert done.returncode == status
    assert message in done.stderr


def test_a_pipe_among_the_arguments_is_read(spools: Path) -> None:
    """As a shell makes one of ``<(zcat x.csv.gz)``."""
    write("x.csv", TABLE.slice(0, 100))
    reader, writer = os.pipe()
    options = "-l", "mse", "-f", "value", "--input-format", "csv"
    os.write(writer, Path("x.csv").read_bytes())
    os.close(writer)
    done = run(f"/dev/fd/{reader}", *options, folder=spools, pass_fds=[reader])
    os.close(reader)
    assert done.stdout == run("x.csv", *options, folder=spools).stdout
    assert b"is kept in a temporary file" in done.stderr


def test_an_interrupted_copy_of_stdin_leaves_nothing(spools: Path) -> None:
    """While it waits for more, by Ctrl-C and when it is killed."""
    for sent, status in ((signal.SIGINT, Exit.INTERRUPTED), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen(
            [str(SCRIPT), "eval", "-", "-l", "mse", "--input-format", "parquet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"TMPDIR": str(spools)},
        )
        assert process.stdin is not None
        process.stdin.write(b"PAR1" * (1 << 20))  # more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(sent)
        assert process.wait(60) == status
        process.communicate()
