"""Tables in memory: what is taken for one, what is copied, and how faults are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lossctl.data import memory
from lossctl.data.source import Fragment, format_of
from lossctl.errors import InputError, LossctlError, UsageError

VALUES = np.arange(10.0)


def addresses(source: memory.MemorySource, column: str) -> list[int]:
    """Give where the values of a column lie, batch by batch."""
    batches = memory.read(memory.whole(source), {column: "number"}, 4)
    return [b.column(0).buffers()[1].address + 8 * b.column(0).offset for b in batches]


@pytest.mark.parametrize(
    "rows",
    [
        {"x": VALUES},
        pa.table({"x": VALUES}),
        pl.DataFrame({"x": VALUES}),
        pd.DataFrame({"x": VALUES, "y": VALUES}),
    ],
    ids=["dict", "arrow", "polars", "pandas"],
)
def test_numbers_are_not_copied(rows: Any) -> None:
    """Batches lie in the memory of the object itself."""
    column = rows["x"]
    if isinstance(column, pa.ChunkedArray):
        start = column.chunk(0).buffers()[1].address
    else:
        start = np.asarray(column).ctypes.data
    assert addresses(memory.hold(rows, "rows", "x"), "x") == [start, start + 32, start + 64]


def test_fragments_cover_the_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of rows in order, each readable without the others, in batches as long as asked."""
    monkeypatch.setattr(memory, "FRAGMENT_ROWS", 4)
    table = pa.concat_tables([pa.table({"x": VALUES[:3]}), pa.table({"x": VALUES[3:]})])
    source = memory.hold(table, "rows", "x")
    fragments = memory.split(source)
    assert [(f.start, f.stop) for f in fragments] == [(0, 4), (4, 8), (8, 10)]
    assert list(map(memory.rows_before, fragments)) == [0, 4, 8]
    batches = [b for f in fragments for b in memory.read(f, {"x": "number"}, 3)]
    assert max(batch.num_rows for batch in batches) <= 3
    assert [x for b in batches for x in b.column(0).to_pylist()] == VALUES.tolist()
    assert memory.split(memory.hold({"x": VALUES[:0]}, "rows", "x")) == []


def test_text_of_polars_is_read_as_text() -> None:
    """Views of strings, plain and in categories, become strings with offsets."""
    frame = pl.DataFrame({"s": ["a", None], "c": pl.Series(["u", "v"], dtype=pl.Categorical)})
    source = memory.hold(frame, "rows", "x")
    (batch,) = memory.read(memory.whole(source), {"c": "category", "s": "text"}, 10)
    assert batch.schema.types == [source.types["c"], source.types["s"]]
    assert pa.types.is_large_string(batch.column("s").type)
    assert batch.to_pydict() == {"c": ["u", "v"], "s": ["a", None]}


@pytest.mark.parametrize(
    "rows",
    [
        [1.0, 2.0],
        (1.0, 2.0),
        np.array([1.0, 2.0]),
        pd.Series([1.0, 2.0], name="other"),
        pl.Series([1.0, 2.0]),
        pa.array([1.0, 2.0]),
        pa.chunked_array([[1.0], [2.0]]),
    ],
    ids=lambda rows: type(rows).__module__.partition(".")[0] + " " + type(rows).__name__,
)
def test_a_single_array_is_the_column_it_is_wanted_for(rows: Any) -> None:
    """Lists, arrays and series have one column, whatever they are called."""
    source = memory.hold(rows, "rows", "x")
    assert source.names == ("x",)
    assert source.table["x"].to_pylist() == [1.0, 2.0]


def test_an_array_of_two_dimensions_has_a_vector_in_each_row() -> None:
    """Also one that is not contiguous."""
    matrix = np.arange(6.0).reshape(2, 3).T
    source = memory.hold({"v": matrix}, "rows", "x")
    assert source.table["v"].to_pylist() == matrix.tolist()


def test_an_index_that_says_something_is_a_column() -> None:
    """Labels of rows come along; the mere count of the rows does not."""
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    assert memory.hold(frame, "rows", "x").names == ("x",)
    assert memory.hold(frame.set_index(pd.Index(["b", "a"], name="id")), "rows", "x").names == (
        "x",
        "id",
    )
    for part in (frame.loc[[1, 0]], frame.iloc[::-1], frame.iloc[1:], frame.iloc[[1, 0, 1]]):
        assert memory.hold(part, "rows", "x").table.column(1).to_pylist() == part.index.tolist()


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        (3, UsageError, "a int holds no rows"),
        (None, UsageError, "a NoneType holds no rows"),
        (pd.DataFrame({"a": [1, "x"]}), InputError, "column a"),
        (np.zeros((2, 2, 2)), InputError, "'x' has 3 dimensions"),
        ({"a": [1, 2], "b": [1]}, InputError, "b expected length 2 but got length 1"),
        (pa.table([[1], [2]], names=["a", "a"]), InputError, "names 'a' more than once"),
    ],
)
def test_what_cannot_be_read_is_refused(rows: Any, error: type[LossctlError], text: str) -> None:
    """The error names the argument and the column."""
    with pytest.raises(error, match=text) as caught:
        memory.hold(rows, "predictions", "x")
    assert "predictions" in str(caught.value)


def test_no_path_is_a_table() -> None:
    """The format is reached through objects only, and knows its own sources."""
    other = memory.Source("rows.csv", "memory", {}, 1, 1)
    with pytest.raises(UsageError):
        format_of("memory").describe(other)
    with pytest.raises(TypeError):
        next(memory.read(Fragment(other, 0, 1), {}, 1))
