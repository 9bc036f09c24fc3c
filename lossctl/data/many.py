"""Many files as one source: a glob, a folder, or a tree whose folders are partitions.

Rows come in the order of the files by name. The values that the names of folders stand for are
columns like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import pyarrow as pa

from lossctl.data.conditions import Range
from lossctl.data.source import Fragment, Source, Wanted, format_of
from lossctl.data.uniting import partition_types, united
from lossctl.errors import InputError, Place
from lossctl.record import record


@record
class Member(Source):
    """One of many files, with the types that all of them share and what its folders say."""

    base: Source = field(kw_only=True)
    partition: Mapping[str, Any] = field(hash=False, kw_only=True)


@record
class Many(Source):
    """Several files, one after the other."""

    members: tuple[Member, ...] = field(kw_only=True)

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources whose fragments it is read by."""
        return self.members

    @property
    def files(self) -> tuple[Source, ...]:
        """The files that it reads."""
        return tuple(member.base for member in self.members)


def unite(path: str, files: Sequence[Source], partitions: Sequence[Mapping[str, Any]]) -> Source:
    """Make one source of several files.

    Raises
    ------
    InputError
        They differ in format, columns, types or the names of their folders.

    """
    types = united(files)
    values, kinds = partition_types(files, partitions)
    inner = {name: kind for name, kind in kinds.items() if name not in types}
    members = tuple(
        Member(
            **_shallow(file, types | inner),
            base=file,
            partition={name: pa.scalar(value[name], inner[name]) for name in inner},
        )
        for file, value in zip(files, values, strict=True)
    )
    rows = [file.rows for file in files]
    return Many(
        path,
        "many",
        types | inner,
        None if None in rows else sum(filter(None, rows)),
        sum(file.size for file in files),
        members=members,
        truths=frozenset.intersection(*(file.truths for file in files)),
    )


def _shallow(file: Source, types: Mapping[str, pa.DataType | None]) -> dict[str, Any]:
    return {"path": file.path, "format": "many", "types": types, "rows": file.rows} | {
        "size": file.size,
        "location": file.location,
        "modified_ns": file.modified_ns,
    }


def describe(source: Source) -> Source:
    """Give a source that knows itself already."""
    return source


def split(source: Source) -> list[Fragment]:
    """Cut each file as its format does."""
    return [
        replace(piece, source=member)
        for member in _members(source)
        for piece in format_of(member.base.format).split(member.base)
    ]


def whole(source: Source) -> Fragment:
    """Give all rows of all files as one fragment."""
    if isinstance(source, Member):
        return replace(format_of(source.base.format).whole(source.base), source=source)
    return Fragment(source, 0, source.rows or 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Read the files that hold the fragment, one after the other.

    Raises
    ------
    InputError
        What the format of the files raises, or a value does not fit the type that they share.

    """
    for piece in _pieces(fragment):
        yield from _read_member(piece, wanted, rows)


def _read_member(piece: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    member = piece.source
    if not isinstance(member, Member):
        raise TypeError(member)
    base = member.base
    inner = {name: how for name, how in wanted.items() if name not in member.partition}
    if not inner:  # something has to be read to know the number of rows
        inner = {base.names[0]: "as is"}
    form = format_of(base.format)
    for batch in form.read(replace(piece, source=base), inner, rows):
        columns = []
        for name in wanted:
            if name in member.partition:
                column = pa.repeat(member.partition[name], batch.num_rows)
            else:
                column = _cast(batch[name], name, member)
            columns.append(column)
        yield pa.RecordBatch.from_arrays(columns, list(wanted))


def _cast(column: pa.Array, name: str, member: Member) -> pa.Array:
    kind, stored = member.types[name], member.base.types[name]
    if kind is None or stored == kind:
        return column
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        text = str(error).splitlines()[0]
        message = f"a value of type {stored} is no {kind} as in other files ({text})"
        raise InputError(message, place=Place(member.path, column=name)) from error


def rows_before(fragment: Fragment) -> int:
    """Give the number of rows that precede the fragment in its file."""
    source = fragment.source
    if isinstance(source, Member):
        return format_of(source.base.format).rows_before(replace(fragment, source=source.base))
    return fragment.start


def inner(fragment: Fragment, row: int) -> tuple[Fragment, int]:
    """Give the fragment of a single file that holds a row, and the row's number in it."""
    for piece in _pieces(fragment):
        count = piece.stop - piece.start if fragment.stop else _count(piece)
        if row < count:
            return piece, row
        row -= count
    return piece, row + count


def ranges(
    fragment: Fragment, names: Sequence[str]
) -> Iterator[tuple[int, int, Mapping[str, Range]]]:
    """Give what the files and their folders say of some columns, by rows of the fragment."""
    start = 0
    if fragment.source.rows is None:
        return
    for piece in _pieces(fragment):
        member, stop = piece.source, start + piece.stop - piece.start
        if not isinstance(member, Member):
            raise TypeError(member)
        known = {
            name: Range(stop - start, 0, value.as_py(), value.as_py())
            if value.is_valid
            else Range(stop - start, stop - start)
            for name, value in member.partition.items()
            if name in names
        }
        form = format_of(member.base.format)
        if hasattr(form, "ranges"):
            same = [name for name in names if member.base.types.get(name) == member.types[name]]
            for low, high, more in form.ranges(replace(piece, source=member.base), same):
                yield start + low, start + high, {**more, **known}
        else:
            yield start, stop, known
        start = stop


def _members(source: Source) -> tuple[Member, ...]:
    if isinstance(source, Many):
        return source.members
    if isinstance(source, Member):
        return (source,)
    raise TypeError(source)


def _pieces(fragment: Fragment) -> Iterator[Fragment]:
    """Cut a fragment of many files into one of each."""
    source = fragment.source
    if isinstance(source, Member):
        yield fragment
        return
    start = 0
    for member in _members(source):
        if source.rows is None:
            yield whole(member)
            continue
        stop = start + (member.rows or 0)
        low, high = max(start, fragment.start), min(stop, fragment.stop)
        if low < high:
            yield Fragment(member, low - start, high - start)
        start = stop


def _count(piece: Fragment) -> int:
    """Count rows by reading them: for messages only."""
    wanted: Wanted = {piece.source.names[0]: "text"}
    return sum(batch.num_rows for batch in read(piece, wanted, 1 << 16))
