"""The text of CSV files: its header, and lines that are no rows, found before Arrow parses it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import pyarrow as pa

from lossctl.data import store
from lossctl.data.dialect import Dialect
from lossctl.data.source import Source

BOM = b"\xef\xbb\xbf"
SAMPLE_BYTES = 1 << 16
"""Bytes of rows that are looked at before any row is read."""
SAMPLE_ROWS = 16
"""How many rows they are at least, more or less, where rows are long."""


def open_text(source: Source) -> io.BufferedReader:
    """Open the content as UTF-8."""
    file = store.open_stream(source)
    dialect = source.dialect
    if not dialect.is_utf8:
        stream = pa.transcoding_input_stream(pa.PythonFile(file, "r"), dialect.encoding, "utf-8")
        file = cast("BinaryIO", io.BufferedReader(stream, store.BUFFER))
    return cast("io.BufferedReader", file)


def to_utf8(data: bytes, dialect: Dialect) -> bytes:
    """Bring bytes that were read as they are to UTF-8."""
    return data if dialect.is_utf8 else data.decode(dialect.encoding).encode()


def header(source: Source) -> tuple[bytes, int]:
    """Read the first line that counts, as UTF-8, and where the rows begin.

    Where the file cannot be cut, the place is 0: rows are then read from the beginning.
    """
    line, start, _ = beginning(source, 0)
    return line, start


def beginning(source: Source, size: int = SAMPLE_BYTES) -> tuple[bytes, int, bytes]:
    """Give what `header` does, and the first rows, in at least so many bytes."""
    cut, dialect = is_cuttable(source), source.dialect
    with store.open_bytes(source) if cut else open_text(source) as file:
        skipped, line = read_header(file, dialect)
        rows = b"" if dialect.header else line
        with contextlib.suppress(pa.ArrowInvalid, UnicodeDecodeError):  # whoever reads it all tells
            # Rows are about as wide as their header, and the last one is to be whole.
            rows += file.read(max(size, SAMPLE_ROWS * len(line))) + file.readline() if size else b""
    if not cut:
        return line, 0, rows
    return to_utf8(line, dialect), skipped + len(line) * dialect.header, rows


def is_cuttable(source: Source) -> bool:
    """Tell whether byte ranges of the file can be read by themselves."""
    return source.dialect.cuttable and not source.compression


def read_header(file: io.BufferedReader, dialect: Dialect) -> tuple[int, bytes]:
    """Read up to the end of the first line that counts, which may hold quoted line breaks.

    Gives the number of bytes before it, and the line.
    """
    mark = file.read(len(BOM)) if file.peek(len(BOM))[: len(BOM)] == BOM else b""
    skipped, line = len(mark), file.readline()
    comment = dialect.comment.encode()
    while line and (line.isspace() or (comment and line.startswith(comment))):
        skipped += len(line)
        line = file.readline()
    found = line
    while found.count(b'"') % 2 and (line := file.readline()):
        found += line
    return skipped, found


def open_rows(source: Source) -> io.BufferedReader:
    """Open the content as UTF-8, where its rows begin, without comments."""
    file = open_text(source)
    skipped, _ = read_header(file, source.dialect)
    if not source.dialect.header:  # what was read is a row, and streams do not go back
        file.close()
        file = open_text(source)
        file.read(skipped)
    if source.dialect.comment:
        comment = source.dialect.comment.encode()
        return io.BufferedReader(Uncommented(file, comment), store.BUFFER)
    return file


def without_comments(lines: Iterable[bytes], comment: bytes) -> Iterator[bytes]:
    """Leave out the lines that begin as comments do, but none that begins inside quotes."""
    quoted = False
    for line in lines:
        if quoted or not line.startswith(comment):
            quoted ^= bool(line.count(b'"') % 2)
            yield line


class Uncommented(io.RawIOBase):
    """A stream without its comment lines."""

    def __init__(self, file: BinaryIO, comment: bytes) -> None:
        """Take a stream that stands at the beginning of a line."""
        super().__init__()
        self.file = file
        self.lines = without_comments(file, comment)
        self.rest = b""

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer, with what is left of a line first."""
        parts, size = [self.rest], len(self.rest)
        while size < len(buffer) and (line := next(self.lines, b"")):
            parts.append(line)
            size += len(line)
        data = b"".join(parts)
        given, self.rest = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def close(self) -> None:
        """Close the stream below as well."""
        self.file.close()
        super().close()
