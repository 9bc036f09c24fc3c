r"""JSON Lines: one object a line, parsed by Arrow, in parallel over byte ranges.

A line break inside a string is written ``\n``, so every line end is the end of a row and a file
can be cut at any of them. Types are told to the parser: it would take those of the first block,
where a column may hold nothing but nulls or whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import json as pajson

from lossctl.data import nested, store
from lossctl.data.source import Fragment, How, Source, Wanted
from lossctl.errors import InputError, Place

RANGE_BYTES = 8 << 20
DEEPEST = 500
"""Levels to which values may be nested; Arrow crashes on some thousands as it finds types."""
SAMPLE_BYTES = 1 << 20
"""Bytes by which the columns and their types are found."""


def describe(source: Source) -> Source:
    """Find columns and types by the first lines.

    Raises
    ------
    InputError
        They hold no JSON objects, or some that are nested too deep.

    """
    try:
        with store.open_stream(source) as file:
            data = file.read(SAMPLE_BYTES) + file.readline()
    except OSError as error:
        raise store.unreadable(source, error) from error
    if not data.strip():
        raise InputError("the file has no rows", place=Place(source.path))
    if any(len(line) > DEEPEST for line in data.splitlines()):
        from lossctl.data.jsonl_fault import refuse_deep

        refuse_deep(source, data)
    try:
        table = pajson.read_json(
            pa.py_buffer(data), read_options=_blocks(data), parse_options=pajson.ParseOptions()
        )
        types = {field.name: _type(field.type) for field in table.schema}
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        types = _names(source, data, error)
    return nested.described(source, types)


def _names(source: Source, data: bytes, error: Exception) -> dict[str, pa.DataType | None]:
    """Give the names alone where a column changes its type, or say what is wrong with a line."""
    from lossctl.data.jsonl_fault import find_fault, objects

    if fault := find_fault(source, {}, 0):
        raise fault from error
    names = dict.fromkeys(name for row in objects(data) for name in row)
    return dict.fromkeys(names)


def _type(kind: pa.DataType) -> pa.DataType | None:
    """Give the type by which a column is known: dates stay texts, as some row may hold none."""
    if pa.types.is_null(kind):
        return None
    return pa.string() if pa.types.is_timestamp(kind) else kind


def split(source: Source) -> list[Fragment]:
    """Cut into byte ranges of about `RANGE_BYTES` that end at line ends."""
    if source.compression:
        return [whole(source)]
    fragments, start = [], 0
    with store.errors_of(source), store.open_bytes(source) as file:
        while start < source.size:
            file.seek(min(start + RANGE_BYTES, source.size))
            file.readline()
            stop = min(file.tell(), source.size)
            fragments.append(Fragment(source, start, stop))
            start = stop
    return fragments


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment; ``stop`` 0 stands for the end of the file."""
    return Fragment(source, 0, 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Parse the fragment's lines, a range at a time.

    Raises
    ------
    InputError
        A line is no JSON object, or a value is of another type than those before it.

    """
    source = fragment.source
    told = {name: _told(source.types[name], how) for name, how in wanted.items()}
    schema = nested.schema_of(source, told)
    options = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    start = fragment.start
    try:
        for data in _ranges(fragment):
            if data.strip():
                table = pajson.read_json(
                    pa.py_buffer(data), read_options=_blocks(data), parse_options=options
                )
                _check_lines(data, table.num_rows)
                batches = table.to_batches(max_chunksize=rows)
                yield from nested.flattened(source, list(wanted), batches)
            start += len(data)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        from lossctl.data.jsonl_fault import find_fault

        reason = str(error).splitlines()[0]
        unknown = InputError(f"not readable JSON Lines ({reason})", place=Place(source.path))
        # What holds a field comes first, so that a value in its place is told as such.
        told = {field.name: field.type for field in schema} | told
        raise (find_fault(source, told, start) or unknown) from error
    except OSError as error:
        raise store.unreadable(source, error) from error


def _check_lines(data: bytes, rows: int) -> None:
    """Hold the objects that Arrow has found against the lines: it takes any blank between them.

    Raises
    ------
    pyarrow.ArrowInvalid
        An object goes over several lines, or a line holds several.

    """
    # Much faster than `bytes.count`, which stops at every line end.
    ends = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
    if rows == ends + (not data.endswith(b"\n")):
        return
    lines = sum(bool(line.strip()) for line in data.split(b"\n"))
    if rows != lines:
        raise pa.ArrowInvalid(f"{rows} objects in {lines} lines")


def rows_before(fragment: Fragment) -> int:
    """Count the rows that precede the fragment in its file, by reading them: for messages only."""
    with store.open_stream(fragment.source) as file:
        return count_rows(file, fragment.start)


def count_rows(file: BinaryIO, stop: int) -> int:
    """Count the lines up to a place that hold anything."""
    count, place = 0, 0
    while place < stop:
        line = file.readline()
        place += len(line)
        count += bool(line.strip())
    return count


def _ranges(fragment: Fragment) -> Iterator[bytes]:
    source = fragment.source
    if fragment.stop:
        with store.open_bytes(source) as file:
            file.seek(fragment.start)
            yield file.read(fragment.stop - fragment.start)
        return
    with store.open_stream(source) as file:
        while data := file.read(RANGE_BYTES):
            yield data + file.readline()


def _blocks(data: bytes) -> pajson.ReadOptions:
    """Take a range as one block, so that it holds its longest line whole."""
    return pajson.ReadOptions(use_threads=False, block_size=len(data) + 1)


def _told(kind: pa.DataType | None, how: How) -> pa.DataType:
    """Give the type to tell the parser: numbers are doubles, whatever the first lines hold."""
    if kind is None:
        return pa.float64() if how == "number" else pa.string()
    if how == "number":
        return _as_double(kind)
    return kind


def _as_double(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_as_double(kind.value_type))
    return pa.float64() if pa.types.is_integer(kind) or pa.types.is_null(kind) else kind
