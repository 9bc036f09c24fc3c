"""Sources: an input file, what it holds, and the independent pieces it can be read in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from lossctl.errors import InputError, Place, UsageError

Wanted = Mapping[str, "Literal['number', 'text', 'as is']"]
"""Columns to read and how: formats without types of their own parse them so."""


@dataclass(frozen=True)
class Source:
    """One input file."""

    path: str
    format: str
    types: Mapping[str, pa.DataType | None] = field(hash=False)
    """Column names in file order; the type is None where the format has none of its own."""
    rows: int | None
    """Number of rows where the file says so without being read."""
    size: int
    """Bytes on disk."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(self.types)


@dataclass(frozen=True)
class Fragment:
    """A piece of a source that can be read without the others; picklable and small."""

    source: Source
    start: int
    """First byte, or first row for formats that know their rows."""
    stop: int
    """One past the last byte or row."""


class Format(Protocol):
    """What a file format provides; each is one module with these functions."""

    def describe(self, path: Path) -> Source:
        """Read the names and types of the columns, and no row."""

    def split(self, source: Source) -> list[Fragment]:
        """Cut the source into fragments that can be read in parallel."""

    def whole(self, source: Source) -> Fragment:
        """Give the source as one fragment, read in order by the most forgiving road."""

    def read(self, fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
        """Read columns of a fragment in batches of at most the given number of rows."""

    def rows_before(self, fragment: Fragment) -> int:
        """Give the number of rows that precede the fragment in its file, for messages."""


SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def format_of(name: str) -> Format:
    """Import a format's module; only the formats in use are ever imported."""
    module: Format = importlib.import_module(f"lossctl.data.{name}")
    return module


def open_source(text: str) -> Source:
    """Find out what a path holds.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty or not of its format.
    UsageError
        The suffix names no known format.

    """
    path = Path(text)
    if not path.exists():
        near = _similar_files(path)
        raise InputError("no such file", hint=near, place=Place(text))
    if path.is_dir():
        raise InputError("is a directory, not a file", place=Place(text))
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        known = ", ".join(SUFFIXES)
        message = f"{text}: unknown format {path.suffix or 'without a suffix'!r}"
        raise UsageError(message, hint=f"known suffixes: {known}", place=Place(text))
    try:
        if path.stat().st_size == 0:
            raise InputError("the file is empty", place=Place(text))
        return format_of(name).describe(path)
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(text)) from error


def _similar_files(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [entry.name for entry in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=2)
    return f"did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""
