"""The fingerprint of a run: of the rows, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv

from lossctl.errors import Exit

Call = Callable[..., tuple[int, str, str]]

TABLE = pa.table(
    {
        "id": ["7", "007", "x", "-3", "", "12345678901234567890"],
        "prediction": [0.5, 0.25, 1.0, 0.0, 0.75, 0.125],
        "target": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
        "w": [1.0, 2.0, 0.5, 1.0, 1.0, 3.0],
    }
)
ASKED = ("-l", "bce", "--fingerprint", "-q")


def write(name: str, table: pa.Table) -> str:
    """Write a table as its name says."""
    if name.endswith(".csv"):
        pacsv.write_csv(table, name)
    else:
        pq.write_table(table, name, row_group_size=2)
    return name


@pytest.fixture
def fingerprint(call: Call) -> Callable[..., str]:
    """Give the fingerprint of a run."""

    def of(*arguments: str) -> str:
        status, out, err = call("eval", *arguments, *ASKED, "-f", "json")
        assert status == Exit.DONE, err
        found: str = json.loads(out)["fingerprint"]
        return found

    return of


def shuffled(table: pa.Table) -> pa.Table:
    """Give the rows in another order."""
    return table.take(pa.array(np.random.default_rng(1).permutation(len(table))))


@pytest.mark.parametrize("options", [(), ("-k", "id"), ("-k", "id", "-w", "w")], ids=str)
def test_order_format_cut_and_files_do_not_matter(
    options: tuple[str, ...], fingerprint: Callable[..., str]
) -> None:
    """One file and two paired by key, CSV and Parquet, one row at a time."""
    expected = fingerprint(write("rows.csv", TABLE), *options)
    assert expected.startswith("rows6:")
    assert fingerprint(write("rows.parquet", shuffled(TABLE)), *options) == expected
    assert fingerprint("rows.parquet", *options, "--chunk-rows", "1", "--jobs", "3") == expected
    if options:
        predictions = write("p.csv", shuffled(TABLE.select(["id", "prediction"])))
        targets = write("t.parquet", TABLE.drop_columns("prediction"))
        assert fingerprint(predictions, targets, *options) == expected


def test_whole_numbers_and_dates_are_the_same_in_every_format(
    fingerprint: Callable[..., str],
) -> None:
    """A CSV file does not know that its keys are numbers or dates."""
    days = pa.array([19723, 19724, -1, 0, 1, 20000], pa.int32()).cast(pa.date32())
    for key in (pa.array([1, 2, -3, 0, 2**53, 10**18 - 1]), days):
        table = TABLE.set_column(0, "id", key)
        one, other = write("rows.csv", table), write("rows.parquet", table)
        assert fingerprint(one, "-k", "id") == fingerprint(other, "-k", "id")


def test_predictions_do_not_matter_but_targets_keys_weights_and_gaps_do(
    fingerprint: Callable[..., str],
) -> None:
    """It tells the rows that were scored, not how they were."""
    options = ("-k", "id", "-w", "w")
    expected = fingerprint(write("rows.parquet", TABLE), *options)
    zeros = pa.array(np.full(6, 0.5))
    assert fingerprint(write("a.parquet", TABLE.set_column(1, "prediction", zeros)), *options) == (
        expected
    )
    others: dict[str, Any] = {
        "id": ["8", *TABLE["id"].to_pylist()[1:]],
        "target": [0.0, 1.0, 1.0, 0.0, 1.0, 0.0],
        "w": [1.0, 2.0, 0.5, 1.0, 1.0, 3.5],
    }
    seen = {expected}
    for name, values in others.items():
        changed = TABLE.set_column(TABLE.schema.get_field_index(name), name, pa.array(values))
        seen.add(fingerprint(write("b.parquet", changed), *options))
    seen.add(fingerprint(write("c.parquet", TABLE.slice(1)), *options))
    seen.add(fingerprint("rows.parquet", "-k", "id"))
    assert len(seen) == 6
    gap = pa.array([None, 0.25, 1.0, 0.0, 0.75, 0.125])
    holed = write("d.parquet", TABLE.set_column(1, "prediction", gap))
    assert fingerprint(holed, *options, "--nulls", "drop") == fingerprint("c.parquet", *options)


def test_shards_add_up(call: Call, fingerprint: Callable[..., str]) -> None:
    """As all other numbers do."""
    expected = fingerprint(write("rows.csv", TABLE))
    for number, part in enumerate((TABLE.slice(0, 2), TABLE.slice(2))):
        write(f"{number}.parquet", part)
        call("eval", f"{number}.parquet", *ASKED, "--state-out", f"{number}.state")
    status, out, _ = call("merge", "1.state", "0.state", "-f", "json")
    assert (status, json.loads(out)["fingerprint"]) == (Exit.DONE, expected)


def test_a_table_tells_it_in_a_note_and_nothing_tells_it_unasked(call: Call) -> None:
    """Beside the columns."""
    path = write("rows.csv", TABLE)
    assert "fingerprint: rows6:" in call("eval", path, "-l", "bce", "--fingerprint")[2]
    _, out, err = call("eval", path, "-l", "bce", "-f", "json")
    assert "fingerprint" not in out + err


def test_a_missing_key_of_one_file_is_refused_and_so_are_rows_that_nothing_tells(
    call: Call,
) -> None:
    """With a place, and with a way out."""
    keys = pa.array(["a", None, "c", "d", "e", "f"])
    path = write("rows.parquet", TABLE.set_column(0, "id", keys))
    status, _, err = call("eval", path, *ASKED, "-k", "id", "-f", "json")
    assert (status, json.loads(err)["place"]) == (
        Exit.UNMEASURABLE,
        {"file": path, "row": 2, "column": "id"},
    )
    lists = pa.table({"positive": [[1.0]], "negative": [[0.5]]})
    status, _, err = call("eval", write("lists.parquet", lists), "-l", "triplet", "--fingerprint")
    assert (status, "--key" in err) == (Exit.USAGE, True)
