"""Arrow IPC, also known as Feather: files are read by record batches, streams in order."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import ipc

from lossctl.data import blocks, nested, store
from lossctl.data.source import Fragment, Source, Wanted
from lossctl.errors import InputError, Place

FILE = b"ARROW1"
FEATHER_1 = b"FEA1"


def describe(source: Source) -> Source:
    """Read the schema; a file knows its number of rows, a stream does not.

    Raises
    ------
    InputError
        The file is truncated or no Arrow IPC.

    """
    if store.first_bytes(source, len(FEATHER_1)) == FEATHER_1:
        hint = "pyarrow.feather.read_table reads it"
        raise InputError("Feather of version 1", hint=hint, place=Place(source.path))
    with blocks.errors_of(source):
        if _is_stream(source):
            with ipc.open_stream(store.open_input(source)) as stream:
                return blocks.described(source, stream.schema, None)
        with ipc.open_file(store.open_input(source)) as file:
            return blocks.described(source, file.schema, file.count_rows())


def split(source: Source) -> list[Fragment]:
    """Cut a file at record batches; a fragment counts in rows."""
    return [whole(source)] if source.rows is None else blocks.cut(source, _sizes(source))


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment."""
    return Fragment(source, 0, source.rows or 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Read the fragment's rows from the record batches that hold them.

    Raises
    ------
    InputError
        A record batch is damaged.

    """
    source, columns = fragment.source, list(wanted)
    options = _reading(source, columns)
    if source.rows is None:
        with (
            blocks.errors_of(source),
            ipc.open_stream(store.open_input(source), options=options) as stream,
        ):
            for part in nested.flattened(source, columns, stream):
                yield from (part.slice(start, rows) for start in range(0, part.num_rows, rows))
        return
    numbers, skip = blocks.covering(_sizes(source), fragment)
    with (
        blocks.errors_of(source),
        ipc.open_file(store.open_input(source), options=options) as file,
    ):
        stored = (file.get_batch(number) for number in numbers)
        batches = nested.flattened(source, columns, stored)
        yield from blocks.trimmed(batches, skip, fragment.stop - fragment.start, rows)


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its file."""
    return fragment.start


def _is_stream(source: Source) -> bool:
    return store.first_bytes(source, len(FILE)) != FILE


def _reading(source: Source, columns: list[str]) -> ipc.IpcReadOptions:
    fields = [source.names.index(name) for name in nested.holders(source, columns)]
    return ipc.IpcReadOptions(included_fields=fields, use_threads=False)


@functools.lru_cache(maxsize=1 << 10)
def _sizes(source: Source) -> list[int]:
    """Count the rows of each record batch, by its narrowest column."""
    with blocks.errors_of(source):
        stored = nested.holders(source, source.names)
        narrow = min(stored, key=lambda name: _width(source.types[name]), default="")
        options = _reading(source, [narrow] if narrow else [])
        with ipc.open_file(store.open_input(source), options=options) as file:
            return [file.get_batch(number).num_rows for number in range(file.num_record_batches)]


def _width(kind: pa.DataType | None) -> int:
    try:
        return int(kind.bit_width) if kind is not None else 0
    except ValueError:  # of no fixed width
        return 1 << 20
