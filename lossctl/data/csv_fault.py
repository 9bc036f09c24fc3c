"""Where a CSV file is malformed: read once more with care, only after Arrow has refused it."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator

from lossctl.data import csv_text, store
from lossctl.data.csv_numbers import read_number, truth
from lossctl.data.dialect import Dialect
from lossctl.data.source import Source, Wanted
from lossctl.errors import InputError, Place

SHOWN = 40
"""Characters of a faulty value that the message shows."""
LONGEST = (1 << 31) - 1
"""Characters that a field may have; Python's own limit is much lower."""
MIXED = (
    "true and false mean 1 and 0 in a column that has one of them in its first 64 KB and nothing "
    "else anywhere; "
    "--positive LABEL names one label among others"
)
BYTES = range(0xDC80, 0xDD00)
"""What stands for a byte that is no text."""


def find_fault(source: Source, wanted: Wanted, error: Exception) -> InputError:
    """Give an error that names the first faulty row, and its column and value if one is."""
    reason = str(error).splitlines()[0]
    try:
        with careful_rows(source) as rows:
            longest = 0, 0
            for row_number, row in enumerate(rows, start=1):
                if fault := _row_fault(source, wanted, row, row_number):
                    return fault
                longest = max(longest, (sum(map(len, row)), -row_number))
            if "straddl" in reason:  # Arrow parses by blocks, which have to hold a row whole
                length, place = longest[0], Place(source.path, -longest[1])
                return InputError(f"the row is too long to be read, {length} letters", place=place)
            if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
                return _not_text(source, None, None, "")
    except UnicodeError:  # of an encoding that knows no letters beside its own
        return _not_text(source, None, None, "")
    except csv.Error as refusal:
        reason = str(refusal)
    return InputError(f"not a readable CSV file ({reason})", place=Place(source.path))


@contextlib.contextmanager
def careful_rows(source: Source) -> Iterator[Iterator[list[str]]]:
    """Open the rows as Python reads them; a byte that is no text becomes a letter of its own.

    Raises
    ------
    csv.Error, UnicodeError
        When a row cannot be read.

    """
    encoding = "utf-8-sig" if source.dialect.is_utf8 else source.dialect.encoding
    before = csv.field_size_limit(LONGEST)
    try:
        with (
            store.open_stream(source) as file,
            io.TextIOWrapper(file, encoding, errors="surrogateescape", newline="") as text,
        ):
            yield _rows(source, text)
    finally:
        csv.field_size_limit(before)


def _rows(source: Source, text: io.TextIOWrapper) -> Iterator[list[str]]:
    dialect = source.dialect
    lines = _without_comments(text, dialect.comment) if dialect.comment else text
    rows = csv.reader(lines, delimiter=dialect.delimiter)
    filled = (row for row in rows if row)
    if dialect.header and source.names:
        next(filled, None)
    if len(source.names) == 1:  # there an empty line is a row
        return (row or [""] for row in rows)
    return filled


def _without_comments(text: io.TextIOWrapper, comment: str) -> Iterator[str]:
    lines = (line.encode("utf-8", "surrogateescape") for line in text)
    for line in csv_text.without_comments(lines, comment.encode()):
        yield line.decode("utf-8", "surrogateescape")


def _row_fault(
    source: Source, wanted: Wanted, row: list[str], row_number: int
) -> InputError | None:
    names = source.names
    for index, text in enumerate(row):
        name = names[index] if index < len(names) else None
        if (name in wanted or not names) and not text.isascii():
            odd = next((ord(letter) for letter in text if ord(letter) in BYTES), None)
            if odd is not None:
                shown = f"the byte 0x{odd - 0xDC00:02x} "
                return _not_text(source, row_number if names else None, name, shown)
    if names and len(row) != len(names):
        line = "the header" if source.dialect.header else "the first row"
        message = f"the row has {len(row)} fields, {line} {len(names)}"
        hint = "quotes must be closed, and a field that holds the separator must stand in quotes"
        return InputError(message, hint=hint, place=Place(source.path, row_number))
    for name, how in wanted.items():
        text = row[names.index(name)]
        spelt = name in source.truths
        if how == "number" and not _is_number(text, None if spelt else source.dialect):
            shown = repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
            place = Place(source.path, row_number, name)
            hint = MIXED if spelt else _hint(text, source.dialect, first=row_number == 1)
            needed = "true or false" if spelt else "a number"
            return InputError(f"{shown} is not {needed}", hint=hint, place=place)
    return None


def _not_text(source: Source, row: int | None, column: str | None, what: str) -> InputError:
    encoding = source.dialect.encoding
    return InputError(
        f"{what}is not {encoding.upper()}" if what else f"the file is not {encoding.upper()}",
        hint="--encoding names the encoding of the file, for example latin-1, cp1252, utf-16",
        place=Place(source.path, row, column),
    )


def _is_number(text: str, dialect: Dialect | None) -> bool:
    """Tell whether a text is a number as a dialect writes them; without one, whether it is a truth.

    What stands for a missing value is either.
    """
    from lossctl.data.csv import NULLS

    number = truth(text) if dialect is None else read_number(text, dialect)
    return text in NULLS or number is not None


def _hint(text: str, dialect: Dialect, *, first: bool) -> str:
    from lossctl.data.csv import NULLS

    if truth(text) is not None:
        return MIXED
    if dialect.decimal == "." and read_number(text, Dialect(decimal=",")) is not None:
        return "numbers need a point, not a comma; --decimal , reads a comma"
    for mark in ",.' ":
        if read_number(text, Dialect(thousands=mark, decimal="," if mark == "." else ".")):
            shown = f"'{mark}'" if mark == " " else f'"{mark}"' if mark == "'" else mark
            more = " --decimal ," if mark == "." else ""
            return f"--thousands {shown}{more} reads digits in groups"
    missing = ", ".join(filter(None, NULLS))
    labels = f"labels in words need --positive LABEL; missing values are empty or one of {missing}"
    if first and not dialect.header:
        return "without --no-header the first line names the columns"
    return labels
