"""Where a CSV file is malformed: read once more with care, only after Arrow has refused it."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from lossctl.data.numerals import number
from lossctl.data.source import Source, Wanted
from lossctl.errors import InputError, Place

SHOWN = 40
"""Characters of a faulty value that the message shows."""
LONGEST = (1 << 31) - 1
"""Characters that a field may have; Python's own limit is much lower."""


def find_fault(source: Source, wanted: Wanted, reason: str) -> InputError:
    """Give an error that names the first faulty row, and its column and value if one is."""
    delimiter = "\t" if source.path.lower().endswith(".tsv") else ","
    numbers = [(source.names.index(name), name) for name, how in wanted.items() if how == "number"]
    try:
        with (
            _long_fields(),
            Path(source.path).open(encoding="utf-8-sig", newline="") as file,
        ):
            rows = csv.reader(file, delimiter=delimiter)
            next(rows)
            longest = 0, 0
            for row_number, row in enumerate((row for row in rows if row), start=1):
                if fault := _row_fault(source, numbers, row, row_number):
                    return fault
                longest = max(longest, (sum(map(len, row)), -row_number))
            if "straddl" in reason:  # Arrow parses by blocks, which have to hold a row whole
                length, place = longest[0], Place(source.path, -longest[1])
                return InputError(f"the row is too long to be read, {length} letters", place=place)
    except UnicodeDecodeError:
        return InputError(
            "the file is not UTF-8", hint="convert it, e.g. with iconv", place=Place(source.path)
        )
    except csv.Error as error:
        reason = str(error)
    return InputError(f"not a readable CSV file ({reason})", place=Place(source.path))


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _row_fault(
    source: Source, numbers: list[tuple[int, str]], row: list[str], row_number: int
) -> InputError | None:
    if len(row) != len(source.names):
        message = f"the row has {len(row)} fields, the header {len(source.names)}"
        hint = "quotes must be closed, and a field that holds the separator must stand in quotes"
        return InputError(message, hint=hint, place=Place(source.path, row_number))
    for index, name in numbers:
        if not _is_number(row[index]):
            text = row[index]
            shown = repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
            place = Place(source.path, row_number, name)
            return InputError(f"{shown} is not a number", hint=_hint(text), place=place)
    return None


def _is_number(text: str) -> bool:
    from lossctl.data.csv import NULLS

    return text in NULLS or number(text) is not None


def _hint(text: str) -> str:
    from lossctl.data.csv import NULLS

    if number(text.replace(",", ".")) is not None:
        return "numbers need a point, not a comma"
    missing = ", ".join(filter(None, NULLS))
    return f"labels in words need --positive LABEL; missing values are empty or one of {missing}"
