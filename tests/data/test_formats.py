"""Formats: the same rows in any of them, cut and packed in any way, give the same numbers."""

from __future__ import annotations

import bz2
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv
from pyarrow import feather, ipc, orc

from lossctl.data import blocks, jsonl
from lossctl.data import csv as csv_format

SCRIPT = Path(sys.executable).parent / "lossctl"
Lossctl = Callable[..., str]

ROWS = 1000
RNG = np.random.default_rng(5)
COLUMNS: Mapping[str, Any] = {
    "id": np.arange(ROWS),
    "region": [("eu", "us", None)[i % 3] for i in range(ROWS)],
    "prediction": RNG.normal(size=ROWS),
    "target": RNG.normal(size=ROWS),
}
TABLE = pa.table(dict(COLUMNS))


def lines() -> bytes:
    """Write the table as JSON Lines by a writer that nobody here wrote."""
    return "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()).encode()


def packed(data: bytes, how: str) -> bytes:
    """Compress, by the standard library where it can."""
    if how in ("gzip", "bz2"):
        return gzip.compress(data) if how == "gzip" else bz2.compress(data)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, how) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def write(path: Path) -> Path:
    """Write the table in the format of the suffix."""
    suffix = path.suffix
    how = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}.get(suffix)
    if how:
        plain = write(path.with_suffix(""))
        path.write_bytes(packed(plain.read_bytes(), how))
        plain.unlink()
    elif suffix in (".csv", ".tsv"):
        delimiter = "\t" if suffix == ".tsv" else ","
        pacsv.write_csv(TABLE, path, pacsv.WriteOptions(delimiter=delimiter))
    elif suffix in (".parquet", ".pq"):
        pq.write_table(TABLE, path, row_group_size=130)
    elif suffix in (".jsonl", ".ndjson"):
        path.write_bytes(lines())
    elif suffix == ".orc":
        orc.write_table(TABLE, path, stripe_size=2048, batch_size=100)
    elif suffix == ".feather":
        feather.write_feather(TABLE, path, compression="zstd", chunksize=170)
    elif suffix == ".arrows":
        with ipc.new_stream(path, TABLE.schema) as stream:
            stream.write_table(TABLE, max_chunksize=90)
    else:
        with ipc.new_file(path, TABLE.schema) as file:
            file.write_table(TABLE, max_chunksize=90)
    return path


NAMES = [
    *("x.csv", "x.tsv", "x.parquet", "x.pq", "x.jsonl", "x.ndjson", "x.orc", "x.feather"),
    *("x.arrow", "x.ipc", "x.arrows"),
    *("x.csv.gz", "x.csv.zst", "x.csv.bz2", "x.csv.lz4", "x.tsv.gz"),
    *("x.jsonl.gz", "x.jsonl.zst", "x.ndjson.bz2", "x.jsonl.lz4"),
]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even small files into many pieces."""
    monkeypatch.setattr(blocks, "FRAGMENT_ROWS", 100)
    monkeypatch.setattr(csv_format, "RANGE_BYTES", 1000)
    monkeypatch.setattr(jsonl, "RANGE_BYTES", 1000)


@pytest.fixture
def lossctl() -> Lossctl:
    """Run the installed command and give its output."""

    def run(*arguments: str | Path) -> str:
        command = [str(SCRIPT), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def stable(text: str) -> dict[str, Any]:
    """Leave out what may differ between equal runs."""
    report: dict[str, Any] = json.loads(text)
    return {name: part for name, part in report.items() if name not in ("run", "digest")}


EVAL = "-l", "mse,mae", "--by", "region", "--quantiles", "0.5", "-f", "json"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the report of the rows as a Parquet file in one piece."""
    path = tmp_path_factory.mktemp("expected") / "x.parquet"
    pq.write_table(TABLE, path)
    done = subprocess.run([str(SCRIPT), "eval", path, *EVAL], capture_output=True, text=True)
    return stable(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_in_any_format_give_the_same_report(
    lossctl: Lossctl, expected: dict[str, Any], tmp_path: Path, name: str
) -> None:
    assert stable(lossctl("eval", write(tmp_path / name), *EVAL)) == expected


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("jobs", [1, 3])
def test_formats_can_be_cut_anywhere(
    evaluate_files: Callable[..., Any], tmp_path: Path, name: str, jobs: int
) -> None:
    """Many small pieces and chunks give the bits of the table in one piece."""
    whole = np.mean((np.array(COLUMNS["prediction"]) - COLUMNS["target"]) ** 2)
    path = write(tmp_path / name)
    report = evaluate_files("mse", str(path), jobs=jobs, chunk_rows=7)
    assert report.rows.read == ROWS
    assert report.results[0].value == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_any_format_pairs_with_any_other_by_position(
    value: Callable[..., float | None], tmp_path: Path, name: str
) -> None:
    other = tmp_path / "truth.parquet"
    pq.write_table(TABLE.select(["id", "target"]), other, row_group_size=77)
    path = write(tmp_path / name)
    one = value("mse", str(path))
    assert value("mse", str(path), str(other)) == one
    assert value("mse", str(other), str(path), columns={"prediction": "prediction"}) == one


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_named_by_its_row_in_every_format(
    evaluate_files: Callable[..., Any], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing value late in the file, by the number that a person would count."""
    predictions = [None if i == 740 else float(i) for i in range(ROWS)]
    table = TABLE.set_column(2, "prediction", pa.array(predictions))
    monkeypatch.setattr(sys.modules[__name__], "TABLE", table)
    path = write(tmp_path / name)
    with pytest.raises(Exception, match="the value is missing") as caught:
        evaluate_files("mse", str(path))
    place = caught.value.place  # type: ignore[attr-defined]
    assert (place.file, place.row, place.column) == (str(path), 741, "prediction")


def test_only_the_formats_in_use_are_imported(tmp_path: Path) -> None:
    """Start-up pays for no other format, nor for data sets and file systems."""
    path = write(tmp_path / "x.csv")
    ask = (
        "import sys\nfrom lossctl.cli.main import main\n"
        f"main(['eval', {str(path)!r}, '-l', 'mse', '-f', 'value'])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "pyarrow.csv" in loaded
    heavy = {"parquet", "dataset", "fs", "orc", "json", "compute", "feather", "ipc"}
    assert not loaded & {f"pyarrow.{name}" for name in heavy - {"ipc"}}
    assert not loaded & {"lossctl.data.parquet", "lossctl.data.arrow", "lossctl.data.jsonl"}


def test_numbers_after_a_block_of_nulls_are_numbers(lossctl: Lossctl, tmp_path: Path) -> None:
    """The parser would take the type of the first block, where nothing but nulls stands."""
    empty, count = 300_000, 400_000
    for name, row in (
        ("x.jsonl", '{"prediction":%s,"target":2,"id":%d}\n'),
        ("x.csv", "%s,2,%d\n"),
    ):
        head = "" if name == "x.jsonl" else "prediction,target,id\n"
        null = "null" if name == "x.jsonl" else ""
        rows = [row % (null if i < empty else "1.5", i) for i in range(count)]
        path = tmp_path / name
        path.write_text(head + "".join(rows), encoding="utf-8")
        for packed_name in (name, f"{name}.gz"):
            if packed_name.endswith(".gz"):
                (tmp_path / packed_name).write_bytes(gzip.compress(path.read_bytes(), 1))
            arguments = (tmp_path / packed_name, "-l", "mse", "--nulls", "drop", "-f", "json")
            report = json.loads(lossctl("eval", *arguments))
            assert report["results"][0]["value"] == 0.25
            assert report["rows"]["dropped"]["null"]["count"] == empty


def test_whole_numbers_followed_by_decimals_are_one_column(
    lossctl: Lossctl, tmp_path: Path
) -> None:
    """In JSON a column of numbers may look like integers for a long while."""
    path = tmp_path / "x.jsonl"
    rows = ['{"prediction": 1, "target": 0}\n'] * 200_000 + ['{"prediction": 1.5, "target": 0}\n']
    path.write_text("".join(rows), encoding="utf-8")
    expected = (200_000 + 1.5) / 200_001
    assert float(lossctl("eval", path, "-l", "mae", "-f", "value")) == expected
