"""Blocks: formats that store rows in blocks of known length, read by numbers of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from lossctl.data import nested, store
from lossctl.data.naming import SHOWN
from lossctl.data.source import Fragment, Source
from lossctl.errors import InputError, Place

FRAGMENT_ROWS = 1 << 17
"""Blocks smaller than this share a fragment."""


def described(source: Source, schema: pa.Schema, rows: int | None) -> Source:
    """Add the columns of a schema to a source, and the number of rows.

    Raises
    ------
    InputError
        A name comes more than once.

    """
    names = schema.names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        message = f"the schema names {', '.join(map(repr, repeated))} more than once"
        raise InputError(message, place=Place(source.path))
    types = dict(zip(names, schema.types, strict=True))
    return nested.described(replace(source, rows=rows), types)


def cut(source: Source, sizes: Sequence[int]) -> list[Fragment]:
    """Cut at the ends of blocks; a fragment counts in rows."""
    fragments, start, stop = [], 0, 0
    for number, size in enumerate(sizes):
        stop += size
        if stop - start >= FRAGMENT_ROWS or number == len(sizes) - 1:
            fragments.append(Fragment(source, start, stop))
            start = stop
    return fragments


def covering(sizes: Sequence[int], fragment: Fragment) -> tuple[list[int], int]:
    """Find the blocks that hold the fragment, and how many rows come before it in them."""
    numbers: list[int] = []
    skip, start = 0, 0
    for number, size in enumerate(sizes):
        if start < fragment.stop and start + size > fragment.start:
            if not numbers:
                skip = fragment.start - start
            numbers.append(number)
        start += size
    return numbers, skip


def trimmed(
    batches: Iterable[pa.RecordBatch], skip: int, left: int, rows: int
) -> Iterator[pa.RecordBatch]:
    """Leave out the rows before and after a fragment, and cut what is too long."""
    for batch in batches:
        part = batch.slice(skip, left)
        skip = max(0, skip - batch.num_rows)
        left -= part.num_rows
        for start in range(0, part.num_rows, rows):
            yield part.slice(start, rows)
        if not left:
            return


class errors_of:  # noqa: N801 - reads as a statement
    """Turn what Arrow says of a damaged file into an `InputError`."""

    def __init__(self, source: Source) -> None:
        """Keep the source to name."""
        self.source = source

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what was found as what it means."""
        if isinstance(error, OSError) and store.is_remote(self.source.at):
            raise store.unreadable(self.source, error) from error
        if isinstance(error, pa.ArrowException | OSError):
            text = str(error).splitlines()[0].rstrip(".")
            raise InputError(
                f"not a readable {SHOWN[self.source.format]} file ({text})",
                hint="it may be truncated or of another format",
                place=Place(self.source.path),
            ) from error
