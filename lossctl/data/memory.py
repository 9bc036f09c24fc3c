"""Memory: tables, frames and arrays of a Python program, read as slices of rows.

Whatever speaks the Arrow C stream interface is taken without copying what it holds: pandas,
polars, Arrow, DuckDB and others. A frame of pandas brings its index along as a column, unless that
only counts the rows; objects with an index are paired by position only where their indexes agree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.data.indexes import check_indexes, index_of
from lossctl.data.source import Fragment, Source, Wanted
from lossctl.errors import InputError, Place, UsageError
from lossctl.record import record

FRAGMENT_ROWS = 1 << 17
"""Rows of a fragment."""

ACCEPTED = "paths, pandas, polars and Arrow tables, mappings of names to arrays, and arrays"


@record
class MemorySource(Source):
    """A table that is in memory already."""

    table: pa.Table
    index: Any = field(default=None, compare=False)
    """The labels of its rows, where it came from an object of pandas or the like."""


def hold(rows: Any, name: str, column: str) -> MemorySource:
    """Make a source of a table, a mapping of arrays, or the single array of a column.

    Raises
    ------
    InputError
        A column cannot be converted to Arrow, or its length or name is wrong.
    PairingError
        The columns of a mapping are series whose indexes differ.
    UsageError
        The object is nothing that holds rows.

    """
    with _errors(name):
        table = _table(rows, column)
        if table is None:
            message = f"{name}: a {type(rows).__name__} holds no rows"
            raise UsageError(message, hint=f"what is taken: {ACCEPTED}")
        names = table.column_names
        if repeated := sorted({each for each in names if names.count(each) > 1}):
            message = f"the table names {', '.join(map(repr, repeated))} more than once"
            raise InputError(message, place=Place(name))
    types = {field.name: _plain(field.type) for field in table.schema}
    index = _common_index(rows, name) if isinstance(rows, Mapping) else index_of(rows)
    return MemorySource(name, "memory", types, table.num_rows, table.nbytes, table, index)


def check_order(sources: Sequence[Source]) -> None:
    """Refuse to pair tables by position whose indexes differ; those without one are in order.

    Raises
    ------
    PairingError
        Two differ.

    """
    labelled = [(each.path, each.index) for each in sources if isinstance(each, MemorySource)]
    check_indexes(
        labelled,
        hint="make the index a column of both with .reset_index() and pair by it with key=, or, "
        "where their rows are in the same order, drop it with .reset_index(drop=True) or "
        ".to_numpy()",
    )


def _common_index(columns: Mapping[Any, Any], name: str) -> Any:
    """Give the index that the series of a mapping have in common."""
    labelled = [
        (f"column {str(column)!r} of the {name}", index_of(values))
        for column, values in columns.items()
    ]
    check_indexes(
        labelled,
        hint="pandas.DataFrame brings the series of a mapping into one order, or, where they are "
        "in the same order, drop their indexes with .reset_index(drop=True) or .to_numpy()",
    )
    return next((index for _, index in labelled if index is not None), None)


def describe(source: Source) -> Source:
    """Refuse: what is in memory has no path."""
    raise UsageError(f"{source.path} is no table")


def split(source: Source) -> list[Fragment]:
    """Cut into fragments of `FRAGMENT_ROWS` rows."""
    rows = source.rows or 0
    starts = range(0, rows, FRAGMENT_ROWS)
    return [Fragment(source, start, min(start + FRAGMENT_ROWS, rows)) for start in starts]


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment."""
    return Fragment(source, 0, source.rows or 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Give the fragment's rows in batches that share the memory of the table."""
    source = fragment.source
    if not isinstance(source, MemorySource):
        raise TypeError(source)
    part = source.table.select(list(wanted)).slice(fragment.start, fragment.stop - fragment.start)
    for batch in part.to_batches(max_chunksize=rows):
        yield pa.RecordBatch.from_arrays(list(map(_unviewed, batch.columns)), names=list(wanted))


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its table."""
    return fragment.start


def _table(rows: Any, column: str) -> pa.Table | None:
    if isinstance(rows, Mapping):
        return pa.table({str(name): _column(values, name) for name, values in rows.items()})
    if hasattr(rows, "__arrow_c_stream__") and hasattr(rows, "columns") and hasattr(rows, "index"):
        # Arrow itself would leave out the labels of a frame in descending order, or of its end.
        counted = (getattr(rows.index, "start", None), getattr(rows.index, "step", None))
        return pa.Table.from_pandas(rows, preserve_index=counted != (0, 1))
    columns = _arrow(rows, column)
    if columns is None or not pa.types.is_struct(columns.type):
        return None if columns is None else pa.table({column: columns})
    return pa.Table.from_struct_array(columns)  # to Arrow, a table is a column of structs


def _column(values: Any, name: str) -> pa.Array | pa.ChunkedArray:
    column = _arrow(values, name)
    if column is None:
        raise ValueError(f"{name!r} is a {type(values).__name__}, not an array")
    return column


def _arrow(values: Any, name: str) -> pa.Array | pa.ChunkedArray | None:
    """Convert a column or a table; an array of two dimensions has a list in each row."""
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    if isinstance(values, list | tuple | range):
        return _numbers(values) or pa.array(values)
    if not hasattr(values, "__array__"):
        return None
    array = np.asarray(values)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name!r} has {array.ndim} dimensions, not 1 or 2")
    if array.ndim == 1:
        return _numbers(array) or pa.array(array)
    flat = np.ascontiguousarray(array).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(_numbers(flat) or pa.array(flat), array.shape[1])


def _numbers(values: Any) -> pa.Array | None:
    """View numbers as Arrow does; None where there are others, which Arrow asks pandas about."""
    with contextlib.suppress(ValueError):  # lists of different lengths
        array = np.ascontiguousarray(values)
        if array.ndim == 1 and array.dtype.kind in "iuf" and array.dtype.isnative:
            kind = pa.from_numpy_dtype(array.dtype)
            return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(array)])
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give the type with offsets in place of views, which few of Arrow's functions take."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind) and kind.value_type != _plain(kind.value_type):
        return pa.dictionary(kind.index_type, _plain(kind.value_type), kind.ordered)
    return kind


def _unviewed(column: pa.Array) -> pa.Array:
    kind = _plain(column.type)
    return column if kind == column.type else column.cast(kind)


@contextlib.contextmanager
def _errors(name: str) -> Iterator[None]:
    """Turn what Arrow says of objects that it cannot convert into an `InputError`."""
    try:
        yield
    except (pa.ArrowException, ValueError) as error:
        text = " ".join(dict.fromkeys(str(part) for part in error.args))
        message = f"cannot be read as an Arrow table ({text})"
        hint = "convert the column, or pass only the columns that are needed"
        raise InputError(message, hint=hint, place=Place(name)) from error
