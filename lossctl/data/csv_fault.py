"""Where a CSV file is malformed: read once more with care, only after Arrow has refused it."""

from __future__ import annotations

import csv
from pathlib import Path

from lossctl.data.source import Source, Wanted
from lossctl.errors import InputError, Place

SHOWN = 40
"""Characters of a faulty value that the message shows."""


def find_fault(source: Source, wanted: Wanted, reason: str) -> InputError:
    """Give an error that names the first faulty row, and its column and value if one is."""
    delimiter = "\t" if source.path.lower().endswith(".tsv") else ","
    numbers = [(source.names.index(name), name) for name, how in wanted.items() if how == "number"]
    try:
        with Path(source.path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter)
            next(rows)
            for number, row in enumerate((row for row in rows if row), start=1):
                if fault := _row_fault(source, numbers, row, number):
                    return fault
    except UnicodeDecodeError:
        return InputError(
            "the file is not UTF-8", hint="convert it, e.g. with iconv", place=Place(source.path)
        )
    except csv.Error as error:
        reason = str(error)
    return InputError(f"not a readable CSV file ({reason})", place=Place(source.path))


def _row_fault(
    source: Source, numbers: list[tuple[int, str]], row: list[str], number: int
) -> InputError | None:
    if len(row) != len(source.names):
        message = f"the row has {len(row)} fields, the header {len(source.names)}"
        return InputError(message, place=Place(source.path, number))
    for index, name in numbers:
        if not _is_number(row[index]):
            shown = row[index][:SHOWN]
            return InputError(
                f"{shown!r} is not a number",
                hint="for text labels name the positive one with --positive",
                place=Place(source.path, number, name),
            )
    return None


def _is_number(text: str) -> bool:
    from lossctl.data.csv import NULLS

    if text in NULLS:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
