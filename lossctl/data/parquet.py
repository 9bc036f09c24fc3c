"""Parquet: read by row groups, each decoded by the thread that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lossctl.data.source import Fragment, Source, Wanted
from lossctl.data.where import Range
from lossctl.errors import InputError, Place

FRAGMENT_ROWS = 1 << 17
"""Row groups smaller than this share a fragment."""


def describe(path: Path) -> Source:
    """Read the footer.

    Raises
    ------
    InputError
        The file is truncated or no Parquet.

    """
    with _errors(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            message = f"the schema names {', '.join(map(repr, repeated))} more than once"
            raise InputError(message, place=Place(str(path)))
        types = dict(zip(names, file.schema_arrow.types, strict=True))
        return Source(str(path), "parquet", types, file.metadata.num_rows, path.stat().st_size)


def split(source: Source) -> list[Fragment]:
    """Cut at row groups; a fragment counts in rows."""
    with pq.ParquetFile(source.path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    fragments, start, stop = [], 0, 0
    for number, size in enumerate(sizes):
        stop += size
        if stop - start >= FRAGMENT_ROWS or number == len(sizes) - 1:
            fragments.append(Fragment(source, start, stop))
            start = stop
    return fragments


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
    path = Path(fragment.source.path)
    types = fragment.source.types
    recurring = [
        name
        for name, how in wanted.items()
        if how == "category" and not pa.types.is_nested(types[name])
    ]
    with (
        _errors(path),
        pq.ParquetFile(path, pre_buffer=False, read_dictionary=recurring) as file,
    ):
        groups, skip = _covering(file.metadata, fragment)
        left = fragment.stop - fragment.start
        columns = list(wanted)
        for batch in file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False):
            part = batch.slice(skip, left)
            skip = max(0, skip - batch.num_rows)
            left -= part.num_rows
            if part.num_rows:
                yield part
            if not left:
                return


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its file."""
    return fragment.start


def ranges(
    fragment: Fragment, names: Sequence[str]
) -> Iterator[tuple[int, int, Mapping[str, Range]]]:
    """Give what the footer says of some columns, by the rows of each row group.

    Rows are counted from the first one of the fragment.
    """
    path = Path(fragment.source.path)
    with _errors(path), pq.ParquetFile(path) as file:
        metadata = file.metadata
    columns = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
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


def first_rows(source: Source, column: str) -> pa.Array:
    """Give the first value of a column, to learn the width of its lists."""
    with _errors(Path(source.path)), pq.ParquetFile(source.path) as file:
        batch = next(file.iter_batches(1, columns=[column], use_threads=False), None)
    return pa.array([]) if batch is None else batch.column(0)


def _covering(metadata: pq.FileMetaData, fragment: Fragment) -> tuple[list[int], int]:
    """Find the row groups that hold the fragment, and how many rows come before it in them."""
    groups: list[int] = []
    skip, start = 0, 0
    for number in range(metadata.num_row_groups):
        stop = start + metadata.row_group(number).num_rows
        if start < fragment.stop and stop > fragment.start:
            if not groups:
                skip = fragment.start - start
            groups.append(number)
        start = stop
    return groups, skip


class _errors:  # noqa: N801 - reads as a statement
    """Turn what Arrow says of a damaged file into an `InputError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError) and not isinstance(error, InputError):
            text = str(error).splitlines()[0].rstrip(".")
            raise InputError(
                f"not a readable Parquet file ({text})",
                hint="it may be truncated or of another format",
                place=Place(str(self.path)),
            ) from error
