"""CSV and TSV: parsed by Arrow, in parallel over byte ranges that end at line ends.

A cut is right only where it is not inside quotes. Each range counts its quote characters: when
every range holds an even number, every cut lies outside quotes. A range with an odd number raises
`QuotedLineBreak`, and the caller takes the slow road over the whole file in order. A compressed
file, or one in an encoding that must be decoded from the beginning, has only the slow road.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from lossctl.data import buffers, csv_text, store
from lossctl.data.source import Fragment, Source, Wanted
from lossctl.errors import InputError, Place

RANGE_BYTES = 8 << 20
BLOCK_BYTES = 4 << 20
"""Bytes that Arrow parses at a time; a row must fit into them."""
MOST_BYTES = 1 << 30
"""Bytes that a row may have."""
NULLS = ["", "NA", "N/A", "null", "NULL", "Null", "None"]
"""Texts that mean a missing value; ``nan`` is a number that is not one, which is another thing."""
TRUTHS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
"""How tools write truths as text, and the number that each stands for."""
OTHERS = {";": ";", "\t": "tab", "|": "|"}
"""Separators that are in use beside the comma, and how to write them on a command line."""


class QuotedLineBreak(Exception):  # noqa: N818 - a signal, not a failure
    """A byte range ends inside quotes: the file must be read in order."""


TYPES = {
    "number": pa.float64(),
    "text": pa.string(),
    "key": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
    "as is": pa.string(),
}


def describe(source: Source) -> Source:
    """Read the header line; without one, columns are named by their number, from 1.

    Raises
    ------
    InputError
        The file has no header, or one that names a column twice.

    """
    place = Place(source.path)
    with _located(source):
        line, _, sample = csv_text.beginning(source)
        if not line.strip():
            told = "the file has no header" if source.dialect.header else "the file has no rows"
            raise InputError(told, place=place)
        if b"\r" in line.rstrip(b"\r\n") and b'"' not in line:
            raise InputError(
                "the lines end in a carriage return alone",
                hint=r"convert the file, e.g. with tr '\r' '\n'",
                place=place,
            )
        names = pacsv.read_csv(
            pa.py_buffer(line.rstrip(b"\r\n") + b"\n"),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=len(line) + 2),
            parse_options=_parsing(source),
        ).column_names
    if not source.dialect.header:
        names = [str(number) for number in range(1, len(names) + 1)]
    _check_names(source, names)
    source = replace(source, types=dict.fromkeys(names))
    if not any(word.encode() in sample for word in TRUTHS):
        return source
    from lossctl.data.csv_numbers import truth_columns

    return replace(source, truths=truth_columns(source, most=sample.count(b"\n") + 1))


def _check_names(source: Source, names: list[str]) -> None:
    place = Place(source.path)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        message = f"the header names {', '.join(map(repr, repeated))} more than once"
        hint = "--no-header where the first line is a row" if _numeric(repeated) else ""
        raise InputError(message, hint=hint, place=place)
    other = next((mark for mark in OTHERS if mark in names[0]), None)
    if len(names) == 1 and other is not None and not source.dialect.told:
        message = f"the header has one column, {names[0]!r}"
        raise InputError(message, hint=f"--delimiter {shlex.quote(OTHERS[other])}?", place=place)


def _numeric(names: list[str]) -> bool:
    return all(name.strip("+-").replace(".", "", 1).isdecimal() for name in names)


def split(source: Source) -> list[Fragment]:
    """Cut into byte ranges of about `RANGE_BYTES` that end at line ends."""
    if not csv_text.is_cuttable(source):
        return [whole(source)]
    fragments = []
    with _located(source), store.open_bytes(source) as file:
        _, start = csv_text.header(source)
        while start < source.size:
            file.seek(min(start + RANGE_BYTES, source.size))
            file.readline()
            stop = min(file.tell(), source.size)
            fragments.append(Fragment(source, start, stop))
            start = stop
    return fragments or [whole(source)]


def whole(source: Source) -> Fragment:
    """Give all rows as one fragment; ``stop`` 0 stands for the end of the file."""
    return Fragment(source, 0, 0)


def read(fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Parse the fragment's lines; a range all at once, the whole file as a stream.

    Raises
    ------
    InputError
        A line has too few or too many fields, or a word stands in a number column.
    QuotedLineBreak
        The range ends inside quotes.

    """
    source = fragment.source
    if not fragment.stop:
        yield from _read_stream(source, wanted, rows)
        return
    with _located(source), store.open_bytes(source) as file:
        file.seek(fragment.start)
        data = file.read(fragment.stop - fragment.start)
    yield from _read_range(data, source, wanted, rows)


def rows_before(fragment: Fragment) -> int:
    """Count the rows that precede the fragment in its file, by reading them: for messages only."""
    source = fragment.source
    wanted: Wanted = {source.names[0]: "text"}
    pieces = [piece for piece in split(source) if piece.start < fragment.start]
    return sum(batch.num_rows for piece in pieces for batch in read(piece, wanted, 1 << 20))


def _read_range(data: bytes, source: Source, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    with _located(source, wanted):
        data = csv_text.to_utf8(data, source.dialect)
        if source.dialect.comment:
            comment = source.dialect.comment.encode()
            data = b"".join(csv_text.without_comments(io.BytesIO(data), comment))
        # Finding that there is no quote is much faster than counting none.
        quotes = data.count(b'"') if b'"' in data else 0
        if quotes and _may_be_cut_in_quotes(data, source.dialect.delimiter):
            raise QuotedLineBreak
        try:
            table = _parse(data, source, wanted, quoted=quotes > 0, block=BLOCK_BYTES)
        except pa.ArrowInvalid as error:
            if not _is_too_long(error):
                raise
            table = _parse(data, source, wanted, quoted=quotes > 0, block=len(data) + 1)
        for batch in table.to_batches(max_chunksize=rows):
            yield _finished(batch, source, wanted)


def _parse(data: bytes, source: Source, wanted: Wanted, *, quoted: bool, block: int) -> pa.Table:
    if not data:
        return pa.table({name: pa.array([], TYPES[how]) for name, how in wanted.items()})
    return pacsv.read_csv(
        pa.py_buffer(data),
        read_options=pacsv.ReadOptions(
            column_names=source.names, use_threads=False, block_size=block
        ),
        parse_options=_parsing(source, quoted=quoted),
        convert_options=_conversion(source, wanted),
    )


def _may_be_cut_in_quotes(data: bytes, delimiter: str) -> bool:
    """Tell whether a range can begin or end inside quotes.

    An even number of quotes is not enough where some are letters, as in ``5" disk``: every second
    one must open a field and the next one close it, or be doubled.
    """
    letters = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    marks = np.flatnonzero(letters == ord('"'))
    if len(marks) % 2:
        return True
    around = np.concatenate([letters[marks[::2] - 1], letters[marks[1::2] + 1]])
    allowed = delimiter.encode() + b'\r\n"'
    return not bool(np.isin(around, np.frombuffer(allowed, dtype=np.uint8)).all())


def _read_stream(source: Source, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    """Parse all rows in order, with larger blocks when a row proves to be longer than one."""
    given, block = 0, BLOCK_BYTES
    while True:
        skip = given
        try:
            for batch in _stream(source, wanted, block):
                part = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - part.num_rows
                for start in range(0, part.num_rows, rows):
                    yield part.slice(start, rows)
                given += part.num_rows
        except _TooLong:
            block *= 16
            continue
        return


class _TooLong(Exception):  # noqa: N818 - a signal, not a failure
    """A row is longer than a block that Arrow parses."""


def _stream(source: Source, wanted: Wanted, block: int) -> Iterator[pa.RecordBatch]:
    with (
        _located(source, wanted),
        csv_text.open_rows(source) as file,
        # Arrow's threads drop the stream and its blocks when they come to it. Were these still
        # Python's, a thread that waits for the interpreter's lock as it exits would abort.
        pa.BufferedInputStream(pa.PythonFile(file, "r"), store.BUFFER) as stream,
    ):
        if not file.peek(1):
            return
        try:
            for batch in pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(column_names=source.names, block_size=block),
                parse_options=_parsing(source),
                convert_options=_conversion(source, wanted),
            ):
                yield _finished(batch, source, wanted)
        except pa.ArrowInvalid as error:
            if _is_too_long(error) and block < MOST_BYTES:
                raise _TooLong from error
            raise


def _is_too_long(error: pa.ArrowInvalid) -> bool:
    return "straddl" in str(error)


def _finished(batch: pa.RecordBatch, source: Source, wanted: Wanted) -> pa.RecordBatch:
    """Do what Arrow's parser cannot: find nulls beside keys, read digits in groups and truths."""
    keyed, grouped = "key" in wanted.values(), bool(source.dialect.thousands)
    if not (keyed or grouped or source.truths):
        return batch
    columns = []
    for name, how in wanted.items():
        column = batch[name]
        if keyed and how != "key" and pa.types.is_string(_decoded(column.type)):
            column = _null_texts(column)
        if how == "number" and name in source.truths:
            from lossctl.data.csv_numbers import truths

            column = truths(column)
        elif how == "number" and grouped:
            from lossctl.data.csv_numbers import ungrouped

            column = ungrouped(column, source.dialect)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, list(wanted))


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _parsing(source: Source, *, quoted: bool = True) -> pacsv.ParseOptions:
    """Give the parser's options; it is faster where no quote can be."""
    return pacsv.ParseOptions(
        delimiter=source.dialect.delimiter,
        quote_char='"' if quoted else False,
        newlines_in_values=quoted,
        # In a file of one column an empty line is a row whose value is missing.
        ignore_empty_lines=len(source.names) != 1,
    )


def _conversion(source: Source, wanted: Wanted) -> pacsv.ConvertOptions:
    dialect = source.dialect
    types = {name: TYPES[how] for name, how in wanted.items()}
    for name, how in wanted.items():
        if how == "number" and name in source.truths:
            types[name] = TYPES["category"]
        elif how == "number" and dialect.thousands:
            types[name] = TYPES["text"]
    return pacsv.ConvertOptions(
        include_columns=list(wanted),
        column_types=types,
        null_values=NULLS,
        # Arrow knows this for all columns of text only; `_finished` makes up for it.
        strings_can_be_null="key" not in wanted.values(),
        decimal_point=dialect.decimal,
    )


def _null_texts(column: pa.Array) -> pa.Array:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    missing = np.array([text in NULLS for text in coded.dictionary.to_pylist()], dtype=np.bool_)
    if not missing.any():
        return column
    codes = buffers.view(coded.indices)
    indices = pa.array(codes, mask=missing[codes])
    nulled = pa.DictionaryArray.from_arrays(indices, coded.dictionary)
    return nulled if coded is column else nulled.dictionary_decode()


@contextlib.contextmanager
def _located(source: Source, wanted: Wanted | None = None) -> Iterator[None]:
    """Turn what Arrow says of a malformed file into an `InputError` that names row and column."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        from lossctl.data.csv_fault import find_fault

        raise find_fault(source, wanted or {}, error) from error
    except OSError as error:
        raise store.unreadable(source, error) from error
