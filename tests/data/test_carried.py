"""Carried columns: handed on unconverted, row by row with the values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossctl.checks import apply_policies
from lossctl.data.binding import Choices
from lossctl.data.cells import Cells
from lossctl.data.chunks import Chunk, read_chunks
from lossctl.data.source import open_source
from lossctl.data.tasks import tasks
from lossctl.errors import ColumnError
from lossctl.losses import parse
from lossctl.plan import Plan, Policies, make_plan

Write = Callable[..., Path]

ROWS = 12
KEYS = [f"k{row}, [x]" if row % 5 else "" for row in range(ROWS)]
TIMES = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=row) for row in range(ROWS)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(**more: Any) -> pa.Table:
    """Give rows whose prediction is their number, the fifth of them without one."""
    prediction = [None if row == 4 else float(row) for row in range(ROWS)]
    return pa.table({"prediction": prediction, "target": [0.0] * ROWS} | more)


def plan_of(*paths: str, carried: tuple[str, ...], loss: str = "mae", **policies: Any) -> Plan:
    """Plan to read files with carried columns."""
    sources = [open_source(path) for path in paths]
    chosen = Policies(nulls="drop", chunk_rows=5, **policies)
    return make_plan(sources, parse([loss]), Choices(), chosen, carried=carried)


def chunks_of(plan: Plan) -> list[Chunk]:
    """Read all chunks, rows dropped and arranged as for a kernel."""
    found = []
    names = [name for _, name in plan.reading.cells]
    for task in tasks(plan.reading, in_order=False):
        for chunk in read_chunks(task, plan.reading, Cells(names)):
            apply_policies(plan.checks, task, chunk, plan.policies.nonfinite)
            chunk.arrange()
            found.append(chunk)
    return found


def rows_of(plan: Plan, source: int, name: str) -> list[tuple[float, Any]]:
    """Give the prediction of each row and what it carries."""
    slot = next(slot for slot in plan.reading.slots if slot.columns == ("prediction",))
    return [
        pair
        for chunk in chunks_of(plan)
        for pair in zip(
            chunk.values[slot].tolist(), chunk.carried[source, name].to_pylist(), strict=True
        )
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (KEYS, KEYS),
        (pa.array(KEYS).dictionary_encode(), KEYS),
        (pa.array(TIMES, pa.timestamp("us", "UTC")), TIMES),
        (pa.array(range(ROWS), pa.uint64()), list(range(ROWS))),
        ([[row] * (row % 3) for row in range(ROWS)], [[row] * (row % 3) for row in range(ROWS)]),
        ([None] * ROWS, [None] * ROWS),
    ],
    ids=["text", "dictionary", "time", "integer", "list", "null"],
)
@pytest.mark.parametrize("by", [(), (("part",),)], ids=["plain", "sliced"])
def test_a_row_keeps_what_it_carries_when_rows_are_dropped_and_arranged(
    values: Any, expected: list[Any], by: tuple[tuple[str, ...], ...]
) -> None:
    """Of any type, with the row that is dropped left out."""
    part = pa.array(["a", "b", "c"] * (ROWS // 3))
    pq.write_table(table(key=values, part=part), "rows.parquet")
    found = rows_of(plan_of("rows.parquet", carried=("key",), by=by), 0, "key")
    assert sorted(found) == [(float(row), expected[row]) for row in range(ROWS) if row != 4]


def test_a_csv_file_carries_text_as_it_stands_there() -> None:
    """Numbers are not read as such, so that a key of 007 stays one; an empty cell is missing."""
    lines = ["prediction,target,key", "0,0,007", "1,0,1e3", '2,0,"a,b"', "3,0,"]
    Path("rows.csv").write_text("\n".join(lines), encoding="utf-8")
    found = rows_of(plan_of("rows.csv", carried=("key",)), 0, "key")
    assert found == [(0.0, "007"), (1.0, "1e3"), (2.0, "a,b"), (3.0, None)]


def test_a_column_with_a_role_is_carried_as_it_is_read() -> None:
    """The prediction of a CSV file is a number there too."""
    Path("rows.csv").write_text("prediction,target\n1.5,0\n2,0\n", encoding="utf-8")
    found = rows_of(plan_of("rows.csv", carried=("prediction",)), 0, "prediction")
    assert found == [(1.5, 1.5), (2.0, 2.0)]


def test_of_files_paired_by_position_the_last_one_that_has_the_column_carries_it() -> None:
    """The file of the truth goes first, as for slices; each column comes from one file."""
    pq.write_table(table().drop_columns("target").append_column("key", [KEYS]), "p.parquet")
    pq.write_table(table(key=KEYS, t=range(ROWS)).drop_columns("prediction"), "t.parquet")
    plan = plan_of("p.parquet", "t.parquet", carried=("key", "t"))
    assert plan.reading.carried == ((1, "key"), (1, "t"))
    kept = [row for row in range(ROWS) if row != 4]
    assert rows_of(plan, 1, "key") == [(float(row), KEYS[row]) for row in kept]
    assert rows_of(plan, 1, "t") == [(float(row), row) for row in kept]


def test_both_files_of_two_populations_carry_the_column(write_parquet: Write) -> None:
    """Each its own rows; a column that one of them lacks is refused."""
    for name, rows in (("real", 3), ("made", 2)):
        columns = {"prediction": np.linspace(0.1, 0.9, rows), "key": np.arange(rows)}
        write_parquet(Path(f"{name}.parquet"), columns | {f"only_{name}": np.arange(rows)})
    files = "real.parquet", "made.parquet"
    plan = plan_of(*files, carried=("key",), loss="gan_discriminator")
    assert [key for _, key in rows_of(plan, 1, "key")] == [0, 1, 2, 0, 1]
    with pytest.raises(ColumnError, match="no column 'only_made' to carry along in every file"):
        plan_of(*files, carried=("only_made",), loss="gan_discriminator")


def test_a_carried_column_that_is_nowhere_is_refused_with_the_nearest_name() -> None:
    """Before a row is read."""
    pq.write_table(table(keys=KEYS), "rows.parquet")
    with pytest.raises(ColumnError, match="no column 'key' to carry along") as caught:
        plan_of("rows.parquet", carried=("key",))
    assert caught.value.hint == "did you mean keys?"
