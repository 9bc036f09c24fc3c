"""Parquet: read by row groups, each decoded by the thread that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from lossctl.data import blocks, nested, store
from lossctl.data.conditions import Range
from lossctl.data.source import Fragment, Source, Wanted


def describe(source: Source) -> Source:
    """Read the footer.

    Raises
    ------
    InputError
        The file is truncated or no Parquet.

    """
    with blocks.errors_of(source), pq.ParquetFile(store.open_input(source)) as file:
        return blocks.described(source, file.schema_arrow, file.metadata.num_rows)


def split(source: Source) -> list[Fragment]:
    """Cut at row groups; a fragment counts in rows."""
    with blocks.errors_of(source), pq.ParquetFile(store.open_input(source)) as file:
        return blocks.cut(source, _sizes(file.metadata))


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment."""
    return Fragment(source, 0, source.rows or 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Read the fragment's rows from the row groups that hold them.

    Raises
    ------
    InputError
        A page is damaged.

    """
    source = fragment.source
    recurring = [
        name
        for name, how in wanted.items()
        if how == "category" and not pa.types.is_nested(source.types[name])
    ]
    with (
        blocks.errors_of(source),
        pq.ParquetFile(
            store.open_input(source), pre_buffer=False, read_dictionary=recurring
        ) as file,
    ):
        groups, skip = blocks.covering(_sizes(file.metadata), fragment)
        names = list(wanted)
        # Parquet calls a field by its dotted path as well, and reads it alone.
        stored = [".".join(nested.path_of(source, name)) for name in names]
        read = file.iter_batches(rows, row_groups=groups, columns=stored, use_threads=False)
        batches = nested.flattened(source, names, read)
        yield from blocks.trimmed(batches, skip, fragment.stop - fragment.start, rows)


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its file."""
    return fragment.start


def ranges(
    fragment: Fragment, names: Sequence[str]
) -> Iterator[tuple[int, int, Mapping[str, Range]]]:
    """Give what the footer says of some columns, by the rows of each row group.

    Rows are counted from the first one of the fragment.
    """
    source = fragment.source
    with blocks.errors_of(source), pq.ParquetFile(store.open_input(source)) as file:
        metadata = file.metadata
    paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    # A column with a dot in its name may be called like a field.
    columns = {path: i for i, path in enumerate(paths) if paths.count(path) == 1}
    start = -fragment.start
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        stop = start + group.num_rows
        low, high = max(0, start), min(stop, fragment.stop - fragment.start)
        if low < high:
            known = (
                (name, _range(group.column(columns[name]), group.num_rows))
                for name in names
                if name in columns
            )
            yield low, high, {name: range_ for name, range_ in known if range_ is not None}
        start = stop


def _range(column: pq.ColumnChunkMetaData, rows: int) -> Range | None:
    """Give the range of a column's values in a row group; times have none that is exact here."""
    statistics = column.statistics
    if statistics is None:
        return None
    nulls = statistics.null_count if statistics.has_null_count else None
    if statistics.logical_type.type in ("TIMESTAMP", "TIME") or not statistics.has_min_max:
        return Range(rows, nulls)
    return Range(rows, nulls, statistics.min, statistics.max)


def _sizes(metadata: pq.FileMetaData) -> list[int]:
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
