"""Sinks: where rows go, as Parquet, Arrow, CSV or JSON lines, batch by batch."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.cells import plain
from lossctl.errors import InputError, Place, UsageError
from lossctl.losses import Ragged

Mask = npt.NDArray[np.bool_]

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
GROUP_ROWS = 1 << 18
"""Rows of a Parquet row group: pieces that are read in parallel."""


class Sink(ABC):
    """What takes rows, and writes them to a stream."""

    def __init__(self, stream: pa.NativeFile) -> None:
        """Take the stream over."""
        self.stream = stream

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""

    @abstractmethod
    def finish(self, facts: Mapping[str, str]) -> None:
        """Write what comes last; formats with a footer keep the facts there."""

    def close(self) -> None:
        """Let go of the stream, whether or not all has been written."""
        self.stream.close()


def form_of(path: str) -> str:
    """Give the form that a file's name asks for.

    Raises
    ------
    UsageError
        The suffix names none.

    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        message = f"{path}: cannot write {suffix!r}" if suffix else f"{path} has no suffix"
        raise UsageError(message, hint=f"known suffixes: {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix]


def open_sink(path: str, file: str, schema: pa.Schema, numbers: Sequence[str]) -> Sink:
    """Begin to write rows of a schema to a file, in the form that a path's suffix asks for.

    ``numbers`` names columns of numbers that hardly recur.
    """
    form = form_of(path)
    stream = pa.OSFile(file, mode="wb")
    if form == "parquet":
        return _Parquet(stream, schema, numbers)
    if form == "arrow":
        return _Arrow(stream, schema)
    if form == "csv":
        return _Csv(stream, schema, "\t" if path.lower().endswith(".tsv") else ",")
    return _JsonLines(stream)


def array_of(values: Any, missing: Mask | None) -> pa.Array:
    """Give an array of ``(rows,)``, ``(rows, width)`` or ragged values; NaN stays NaN."""
    if isinstance(values, Ragged):
        offsets = values.offsets.astype(np.int32)
        mask = None if missing is None else pa.array(missing)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.values), mask=mask)
    if values.ndim == 1:
        return pa.array(values, mask=missing, from_pandas=False)
    mask = None if missing is None else pa.array(missing)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=mask)


class _Parquet(Sink):
    """Losses are stored as they are: their bits hardly recur, so packing only takes time."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, numbers: Sequence[str]) -> None:
        """Begin the file; its first column counts rows."""
        import pyarrow.parquet as pq

        super().__init__(stream)
        first, *others = schema.names
        bare = [path for name in numbers for path in _leaves(schema, name)]
        kept = [path for name in others if name not in numbers for path in _leaves(schema, name)]
        self.writer = pq.ParquetWriter(
            stream,
            schema,
            use_dictionary=kept or False,
            compression=dict.fromkeys([first, *bare], "none") | dict.fromkeys(kept, "snappy"),
            write_statistics=[first, *kept],
            column_encoding={first: "DELTA_BINARY_PACKED"},
        )
        self.waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a row group once there are rows enough."""
        self.waiting.append(batch)
        if sum(part.num_rows for part in self.waiting) >= GROUP_ROWS:
            self._flush()

    def finish(self, facts: Mapping[str, str]) -> None:
        """Write the footer."""
        if self.waiting:
            self._flush()
        self.writer.add_key_value_metadata(dict(facts))
        self.writer.close()

    def close(self) -> None:
        """Let go of the stream."""
        # Else the writer would go on to write its footer when it is collected.
        self.writer.is_open = False
        super().close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self.waiting)
        self.waiting = []
        self.writer.write_table(table, row_group_size=table.num_rows)


def _leaves(schema: pa.Schema, name: str) -> list[str]:
    """Give the names that Parquet has for the values of a column."""
    kind = schema.field(name).type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [f"{name}.list.element"]
    return [name]


class _Arrow(Sink):
    def __init__(self, stream: pa.NativeFile, schema: pa.Schema) -> None:
        super().__init__(stream)
        self.writer = pa.ipc.new_file(stream, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self.writer.write_batch(batch)

    def finish(self, facts: Mapping[str, str]) -> None:
        del facts
        self.writer.close()


class _Csv(Sink):
    """A fixed number of values per row becomes as many columns; numbers keep all their digits."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema, delimiter: str) -> None:
        from pyarrow import csv

        super().__init__(stream)
        self.schema = pa.schema([part for field in schema for part in _flat_fields(field)])
        options = csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
        self.writer = csv.CSVWriter(stream, self.schema, write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [part for column in batch.columns for part in _flat_columns(column)]
        self.writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def finish(self, facts: Mapping[str, str]) -> None:
        del facts
        self.writer.close()


def is_flat(kind: pa.DataType) -> bool:
    """Tell whether CSV can hold a column of a type."""
    return not pa.types.is_nested(kind) or pa.types.is_fixed_size_list(kind)


def _flat_fields(field: pa.Field) -> list[pa.Field]:
    if not pa.types.is_fixed_size_list(field.type):
        return [field]
    width = range(field.type.list_size)
    return [pa.field(f"{field.name}.{place}", field.type.value_type) for place in width]


def _flat_columns(column: pa.Array) -> list[pa.Array]:
    if not pa.types.is_fixed_size_list(column.type):
        return [column]
    import pyarrow.compute as pc

    return [pc.list_element(column, place) for place in range(column.type.list_size)]


class _JsonLines(Sink):
    """One object a row; what is not finite is null, as JSON has no word for it."""

    def write(self, batch: pa.RecordBatch) -> None:
        import pyarrow.compute as pc

        parts: list[Any] = []
        for place, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
            opening = ("{" if not place else ", ") + json.dumps(name, ensure_ascii=False) + ": "
            parts += [pa.scalar(opening), _json_texts(column)]
        lines = pc.binary_join_element_wise(*parts, pa.scalar("}\n"), "")
        size = pc.sum(pc.binary_length(lines)).as_py()
        self.stream.write(lines.buffers()[2].slice(0, size))

    def finish(self, facts: Mapping[str, str]) -> None:
        del facts


def _json_texts(column: pa.Array) -> pa.Array:
    """Write each value as JSON."""
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind):
        texts = pc.if_else(pc.is_finite(column), column.cast(pa.string()), "null")
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        texts = column.cast(pa.string())
    else:
        texts = pa.array([_json_text(value) for value in column.to_pylist()], pa.string())
    return pc.fill_null(texts, "null")


def _json_text(value: Any) -> str:
    if isinstance(value, list):
        value = [None if isinstance(v, float) and not np.isfinite(v) else v for v in value]
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def record_batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Give columns of equal length as one batch."""
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def footer(path: Path) -> tuple[list[str], int, dict[str, str]]:
    """Give the columns, the number of rows and the facts of a Parquet file.

    Raises
    ------
    InputError
        It is no whole Parquet file.

    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            facts = file.metadata.metadata or {}
            told = {name.decode(): text.decode("utf-8", "replace") for name, text in facts.items()}
            return file.schema_arrow.names, file.metadata.num_rows, told
    except (pa.ArrowException, OSError) as error:
        raise InputError("not a whole Parquet file", place=Place(str(path))) from error
