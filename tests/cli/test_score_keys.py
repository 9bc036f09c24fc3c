"""Scores of rows that are paired by key, in the order of the first file."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.data import partitions
from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]

ROWS = 40_000
KEYED = ("-k", "id", "-l", "mse", "-f", "json")
SMALL = ("--memory", "1MB", "--temp-dir", "temporary")


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("temporary").mkdir()


def write_files(kind: str, rows: int = ROWS) -> tuple[pa.Table, pa.Table]:
    """Write predictions and targets of the same keys, each in an order of its own."""
    rng = np.random.default_rng(11)
    tables = []
    for path, name in (("p.parquet", "prediction"), ("t.parquet", "target")):
        numbers = rng.permutation(rows)
        keys = numbers if kind == "whole" else [f"key {number}" for number in numbers.tolist()]
        values = rng.normal(size=rows) * 10.0 ** rng.integers(-9, 9, rows)
        table = pa.table({"id": keys, name: values, f"{name} kept": numbers * 2})
        pq.write_table(table, path, row_group_size=max(1, rows // 7))
        tables.append(table)
    return tables[0], tables[1]


def expected(predictions: pa.Table, targets: pa.Table) -> list[float]:
    """Give the losses in the order of the predictions by other means."""
    ids = targets["id"].to_pylist()
    truth = dict(zip(ids, targets["target"].to_pylist(), strict=True))
    rows = zip(predictions["id"].to_pylist(), predictions["prediction"].to_pylist(), strict=True)
    return [(value - truth[key]) * (value - truth[key]) for key, value in rows]


@pytest.mark.parametrize("kind", ["whole", "text"])
def test_rows_come_in_the_order_of_the_first_file(kind: str, script: Call) -> None:
    """With its numbers, the keys, columns of both files, and sums that are those of the report."""
    predictions, targets = write_files(kind)
    told = (*KEYED, "--keep", "prediction kept,target kept", "--emit", "loss,grad")
    status, out, err = script("score", "p.parquet", "t.parquet", *told, "-o", "out.parquet")
    assert (status, err) == (Exit.DONE, "")
    found = pq.read_table("out.parquet")
    kept = ["prediction kept", "target kept"]
    assert found.column_names == ["row", "id", *kept, "mse", "mse.grad"]
    assert found["row"].to_pylist() == list(range(1, ROWS + 1))
    assert found["id"].to_pylist() == predictions["id"].to_pylist()
    assert found["prediction kept"].equals(predictions["prediction kept"])
    assert found["target kept"].equals(predictions["prediction kept"])
    assert found["mse"].to_pylist() == expected(predictions, targets)
    assert math.fsum(found["mse"].to_pylist()) == json.loads(out)["results"][0]["sum"]


def spilled_bytes(spills: list[int]) -> int:
    """Count what was written to temporary files since the last count."""
    total = sum(spills)
    spills.clear()
    return total


@pytest.mark.parametrize("kind", ["whole", "text"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_same_bytes_however_the_work_is_cut(
    kind: str, suffix: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any threads, chunks and memory; what is spilled leaves nothing behind."""
    monkeypatch.setattr(importlib.import_module("lossctl.score"), "rows_of_chunk", lambda _: 1_000)
    spills: list[int] = []
    write = partitions.Spill.write

    def counted(spill: partitions.Spill, batch: pa.RecordBatch) -> Any:
        spills.append(batch.nbytes)
        return write(spill, batch)

    monkeypatch.setattr(partitions.Spill, "write", counted)
    write_files(kind)
    options = ("p.parquet", "t.parquet", *KEYED, "--keep", "target kept", "--emit", "loss,grad")
    files, reports = set(), set()
    for jobs, rows, memory in (
        ("1", "100000", ()),
        ("2", "999", ()),
        ("1", "5000", SMALL),
        ("3", "2048", SMALL),
    ):
        cut = ("--jobs", jobs, "--chunk-rows", rows, *memory)
        status, out, err = call("score", *options, "-o", f"out.{suffix}", "--overwrite", *cut)
        assert status == Exit.DONE, err
        files.add(Path(f"out.{suffix}").read_bytes())
        reports.add(json.loads(out)["digest"])
        assert (spilled_bytes(spills) > 0) == bool(memory)
    assert len(files) == len(reports) == 1
    assert not [*Path("temporary").iterdir()]


@pytest.mark.parametrize("memory", [(), SMALL], ids=["held", "spilled"])
def test_rows_without_a_match_are_left_out_and_counted(memory: tuple[str, ...], call: Call) -> None:
    """Where that is allowed; a row that a policy drops stays, with null."""
    predictions, targets = write_files("whole")
    gone = np.arange(ROWS) % 10 == 3
    targets = targets.filter(pa.array(~gone))
    values = pa.array(np.asarray(predictions["prediction"]), mask=np.arange(ROWS) % 4 == 1)
    predictions = predictions.set_column(1, "prediction", values)
    pq.write_table(predictions, "p.parquet")
    pq.write_table(targets, "t.parquet")
    files = ("score", "p.parquet", "t.parquet", *KEYED, "-o", "out.parquet", *memory)
    status, _, err = call(*files, "--nulls", "drop")
    assert status == Exit.UNMEASURABLE
    assert "keys without a match" in err
    assert not Path("out.parquet").exists()
    options = (*files, "--nulls", "drop", "--missing", "drop")
    status, out, err = call(*options)
    assert status == Exit.DONE, err
    matched = set(targets["id"].to_pylist())
    keys = predictions["id"].to_pylist()
    rows = [row for row, key in enumerate(keys, start=1) if key in matched]
    found = pq.read_table("out.parquet")
    assert found["row"].to_pylist() == rows
    gaps = [row for row, loss in zip(rows, found["mse"].to_pylist(), strict=True) if loss is None]
    assert gaps == [row for row in rows if (row - 1) % 4 == 1]
    report = json.loads(out)
    assert report["rows"]["dropped"]["unmatched"]["count"] == gone.sum()
    losses = [loss for loss in found["mse"].to_pylist() if loss is not None]
    assert math.fsum(losses) == report["results"][0]["sum"]
    # What is complete is left alone, and its sums are those of its footer.
    before = Path("out.parquet").stat().st_mtime_ns
    status, again, err = call(*options, "--resume")
    assert status == Exit.DONE, err
    assert json.loads(again)["digest"] == report["digest"]
    assert Path("out.parquet").stat().st_mtime_ns == before
    assert call(*options, "--overwrite", "--min-match-rate", "0.95")[0] == Exit.UNMEASURABLE
    assert Path("out.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize("memory", [(), SMALL], ids=["held", "spilled"])
def test_a_filter_is_of_rows_that_are_paired(memory: tuple[str, ...], call: Call) -> None:
    """By columns of either file; the rows that are left keep order and numbers of the first."""
    predictions, targets = write_files("whole")
    pq.write_table(targets.filter(pa.array(np.arange(ROWS) % 10 != 3)), "t.parquet")
    files = ("score", "p.parquet", "t.parquet", *KEYED, "--missing", "drop", *memory)
    options = (*files, "--keep", "target kept", "--emit", "loss,grad", "-o", "out.parquet")
    assert call(*options)[0] == Exit.DONE
    every = pq.read_table("out.parquet")
    where = ("--where", "`target kept` >= 40000 and prediction > 0")
    status, out, err = call(*options, *where, "--overwrite", "--jobs", "2", "--chunk-rows", "999")
    assert status == Exit.DONE, err
    prediction = np.asarray(predictions["prediction"])[np.asarray(every["row"]) - 1]
    kept = (np.asarray(every["target kept"]) >= 40_000) & (prediction > 0)
    found = pq.read_table("out.parquet")
    assert found.equals(every.filter(pa.array(kept)))
    report = json.loads(out)
    assert report["rows"]["dropped"]["filtered"]["count"] == (~kept).sum()
    assert math.fsum(found["mse"].to_pylist()) == report["results"][0]["sum"]
    status, again, err = call(*options, *where, "--resume")
    assert status == Exit.DONE, err
    assert json.loads(again)["digest"] == report["digest"]
    assert "in where: " in call(*options, "--resume")[2]


def test_what_cannot_be_paired_writes_nothing(call: Call) -> None:
    """Repeated keys, a row that is wrong, and a key without a second file."""
    Path("t.csv").write_text("id,target\nb,1\na,2\nc,3\n", encoding="utf-8")
    for lines, said in (
        ("a,1\nb,2\na,3\n", "a key stands for one row of each file"),
        ("a,1\nb,\nc,3\n", '"row": 2, "column": "prediction"'),
    ):
        Path("p.csv").write_text(f"id,prediction\n{lines}", encoding="utf-8")
        status, out, err = call("score", "p.csv", "t.csv", *KEYED, "-o", "out.jsonl")
        assert (status, out) == (Exit.UNMEASURABLE, "")
        assert said in err
    status, _, err = call("score", "t.csv", *KEYED, "-p", "target", "-o", "out.jsonl")
    assert status == Exit.USAGE
    assert "there is one only" in err
    assert sorted(path.name for path in Path().iterdir()) == ["p.csv", "t.csv", "temporary"]


def test_keys_of_two_names_and_two_columns_are_written_as_the_first_file_has_them(
    call: Call,
) -> None:
    """From CSV files with line breaks in quotes, which are read anew in order."""
    Path("p.csv").write_text('id,day,prediction\n"x\ny",1,5\nb,2,4\nb,1,3\n', encoding="utf-8")
    Path("t.csv").write_text('key,day,target\nb,1,0\n"x\ny",1,1\nb,2,0\n', encoding="utf-8")
    options = ("-k", "id=key", "-k", "day", "-l", "mae", "-o", "out.jsonl", "-q")
    status, _, err = call("score", "p.csv", "t.csv", *options)
    assert status == Exit.DONE, err
    lines = Path("out.jsonl").read_text("utf-8").splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == [
        (1, "x\ny", "1", 4.0),
        (2, "b", "2", 4.0),
        (3, "b", "1", 3.0),
    ]
    assert [*json.loads(lines[0])] == ["row", "id", "day", "mae"]
