"""ORC: read by stripes, each decoded by the thread that asks for it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import orc

from lossctl.data import blocks, nested, store
from lossctl.data.source import Fragment, Source, Wanted


def describe(source: Source) -> Source:
    """Read the footer.

    Raises
    ------
    InputError
        The file is truncated or no ORC.

    """
    with blocks.errors_of(source):
        file = orc.ORCFile(store.open_input(source))
        return blocks.described(source, file.schema, file.nrows)


def split(source: Source) -> list[Fragment]:
    """Cut at stripes; a fragment counts in rows."""
    return blocks.cut(source, _sizes(source))


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment."""
    return Fragment(source, 0, source.rows or 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Read the fragment's rows from the stripes that hold them.

    Raises
    ------
    InputError
        A stripe is damaged.

    """
    source, columns = fragment.source, list(wanted)
    stripes, skip = blocks.covering(_sizes(source), fragment)
    with blocks.errors_of(source):
        file = orc.ORCFile(store.open_input(source))
        stored = [".".join(nested.path_of(source, name)) for name in columns]
        read = (file.read_stripe(number, stored) for number in stripes)
        batches = nested.flattened(source, columns, read)
        yield from blocks.trimmed(batches, skip, fragment.stop - fragment.start, rows)


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its file."""
    return fragment.start


@functools.lru_cache(maxsize=1 << 10)
def _sizes(source: Source) -> list[int]:
    """Count the rows of each stripe; the footer knows, but Arrow tells only of stripes it reads."""
    with blocks.errors_of(source):
        file = orc.ORCFile(store.open_input(source))
        if file.nstripes <= 1:
            return [file.nrows] * file.nstripes
        flat = [name for name, kind in source.types.items() if not pa.types.is_nested(kind)]
        column = (flat or list(source.names))[:1]
        return [file.read_stripe(number, column).num_rows for number in range(file.nstripes)]
