"""CSV and TSV: parsed by Arrow, in parallel over byte ranges that end at line ends.

A cut is right only where it is not inside quotes. Each range counts its quote characters: when
every range holds an even number, every cut lies outside quotes. A range with an odd number raises
`QuotedLineBreak`, and the caller takes the slow road over the whole file in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from lossctl.data import buffers
from lossctl.data.source import Fragment, Source, Wanted
from lossctl.errors import InputError, LossctlError, Place

RANGE_BYTES = 8 << 20
NULLS = ["", "NA", "N/A", "null", "NULL", "Null", "None"]
"""Texts that mean a missing value; ``nan`` is a number that is not one, which is another thing."""


class QuotedLineBreak(Exception):  # noqa: N818 - a signal, not a failure
    """A byte range ends inside quotes: the file must be read in order."""


TYPES = {
    "number": pa.float64(),
    "text": pa.string(),
    "key": pa.string(),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


def describe(path: Path) -> Source:
    """Read the header line.

    Raises
    ------
    InputError
        The file has no header, or one that names a column twice.

    """
    header = _header(path).lstrip(b"\r\n")
    if not header.strip():
        raise InputError("the file has no header", place=Place(str(path)))
    if b"\r" in header.rstrip(b"\r\n") and b'"' not in header:
        raise InputError(
            "the lines end in a carriage return alone",
            hint=r"convert the file, e.g. with tr '\r' '\n'",
            place=Place(str(path)),
        )
    with _located(str(path)):
        names = pacsv.read_csv(
            pa.py_buffer(header.rstrip(b"\r\n") + b"\n"),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=len(header) + 2),
            parse_options=_dialect(str(path)),
        ).column_names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        message = f"the header names {', '.join(map(repr, repeated))} more than once"
        raise InputError(message, place=Place(str(path)))
    return Source(str(path), "csv", dict.fromkeys(names), None, path.stat().st_size)


def split(source: Source) -> list[Fragment]:
    """Cut into byte ranges of about `RANGE_BYTES` that end at line ends."""
    fragments = []
    start = len(_header(Path(source.path)))
    with Path(source.path).open("rb") as file:
        while start < source.size:
            file.seek(min(start + RANGE_BYTES, source.size))
            file.readline()
            stop = min(file.tell(), source.size)
            fragments.append(Fragment(source, start, stop))
            start = stop
    return fragments or [whole(source)]


def whole(source: Source) -> Fragment:
    """Give everything after the header; ``stop`` 0 stands for the end of the file."""
    return Fragment(source, len(_header(Path(source.path))), 0)


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
    with Path(source.path).open("rb") as file:
        file.seek(fragment.start)
        if fragment.stop:
            yield from _read_range(file.read(fragment.stop - fragment.start), source, wanted, rows)
        elif fragment.start < source.size:
            yield from _read_stream(pa.PythonFile(file, "r"), source, wanted, rows)


def rows_before(fragment: Fragment) -> int:
    """Count the rows that precede the fragment in its file, by reading them: for messages only."""
    source, first = fragment.source, whole(fragment.source).start
    wanted: Wanted = {source.names[0]: "text"}
    pieces = [piece for piece in split(source) if first <= piece.start < fragment.start]
    return sum(batch.num_rows for piece in pieces for batch in read(piece, wanted, 1 << 20))


def _read_range(data: bytes, source: Source, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
    # Finding that there is no quote is much faster than counting none.
    quotes = data.count(b'"') if b'"' in data else 0
    if quotes and _may_be_cut_in_quotes(data):
        raise QuotedLineBreak
    with _located(source.path, source, wanted):
        table = pacsv.read_csv(
            pa.py_buffer(data),
            read_options=pacsv.ReadOptions(
                column_names=source.names, use_threads=False, block_size=4 << 20
            ),
            parse_options=_dialect(source.path, quoted=quotes > 0),
            convert_options=_conversion(wanted),
        )
    for batch in table.to_batches(max_chunksize=rows):
        yield _with_nulls(batch, wanted)


def _may_be_cut_in_quotes(data: bytes) -> bool:
    """Tell whether a range can begin or end inside quotes.

    An even number of quotes is not enough where some are letters, as in ``5" disk``: every second
    one must open a field and the next one close it, or be doubled.
    """
    letters = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    marks = np.flatnonzero(letters == ord('"'))
    if len(marks) % 2:
        return True
    around = np.concatenate([letters[marks[::2] - 1], letters[marks[1::2] + 1]])
    return not bool(np.isin(around, np.frombuffer(b',\t\r\n"', dtype=np.uint8)).all())


def _read_stream(
    file: pa.NativeFile, source: Source, wanted: Wanted, rows: int
) -> Iterator[pa.RecordBatch]:
    with _located(source.path, source, wanted):
        reader = pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(column_names=source.names, block_size=4 << 20),
            parse_options=_dialect(source.path),
            convert_options=_conversion(wanted),
        )
        for batch in reader:
            for start in range(0, batch.num_rows, rows):
                yield _with_nulls(batch.slice(start, rows), wanted)


def _header(path: Path) -> bytes:
    """Read the header, which may hold quoted line breaks."""
    with path.open("rb") as file:
        header = file.readline()
        while (header.count(b'"') % 2 or header.isspace()) and (line := file.readline()):
            header += line
    return header


def _dialect(path: str, *, quoted: bool = True) -> pacsv.ParseOptions:
    """Give the parser's options; it is faster where no quote can be."""
    return pacsv.ParseOptions(
        delimiter="\t" if path.lower().endswith(".tsv") else ",",
        quote_char='"' if quoted else False,
        newlines_in_values=quoted,
    )


def _conversion(wanted: Wanted) -> pacsv.ConvertOptions:
    types = {name: TYPES[how] for name, how in wanted.items()}
    return pacsv.ConvertOptions(
        include_columns=list(wanted),
        column_types=types,
        null_values=NULLS,
        # Arrow knows this for all columns of text only; `_with_nulls` makes up for it.
        strings_can_be_null="key" not in wanted.values(),
    )


def _with_nulls(batch: pa.RecordBatch, wanted: Wanted) -> pa.RecordBatch:
    """Make the texts that mean a missing value one, in all columns but keys."""
    if "key" not in wanted.values():
        return batch
    columns = [
        _null_texts(batch[name]) if wanted[name] in ("text", "category") else batch[name]
        for name in batch.schema.names
    ]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


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
def _located(
    path: str, source: Source | None = None, wanted: Wanted | None = None
) -> Iterator[None]:
    """Turn what Arrow says of a malformed file into an `InputError` that names row and column."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if source is not None and wanted is not None:
            from lossctl.data.csv_fault import find_fault

            raise find_fault(source, wanted, str(error)) from error
        text = str(error).splitlines()[0]
        raise InputError(f"not a readable CSV file ({text})", place=Place(path)) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def _not_utf8(path: str) -> LossctlError:
    return InputError(
        "the file is not UTF-8", hint="convert it, e.g. with iconv", place=Place(path)
    )
