"""Sources: an input file, what it holds, and the independent pieces it can be read in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from lossctl.errors import Gathered, InputError, Place, UsageError

How = Literal["number", "text", "category", "key", "as is"]
"""How to read a column: as numbers, as text, as a few texts that recur, as text in which nothing
stands for a missing value, or as the file has it."""
Wanted = Mapping[str, How]
"""Columns to read and how; formats with types of their own keep to those."""


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


PARQUET = b"PAR1"
"""The bytes that a Parquet file starts with."""


def format_of(name: str) -> Format:
    """Import a format's module; only the formats in use are ever imported."""
    module: Format = importlib.import_module(f"lossctl.data.{name}")
    return module


def open_sources(texts: Sequence[str]) -> list[Source]:
    """Find out what several paths hold.

    Raises
    ------
    LossctlError
        What is wrong with the only wrong file, or `SeveralErrors`.

    """
    wrong = Gathered()
    sources = []
    for text in texts:
        with wrong:
            sources.append(open_source(text))
    wrong.settle()
    return sources


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
    try:
        if not path.exists():
            raise InputError("no such file", hint=_similar_files(path), place=Place(text))
        if path.is_dir():
            raise InputError("is a directory, not a file", place=Place(text))
        name = _format_name(path)
        if path.stat().st_size == 0:
            raise InputError("the file is empty", place=Place(text))
        if name != "parquet" and _starts_with(path, PARQUET):
            hint = "rename it to end in .parquet"
            raise InputError(f"a Parquet file, not {path.suffix}", hint=hint, place=Place(text))
        return format_of(name).describe(path)
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(text)) from error


def _format_name(path: Path) -> str:
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        message = f"unknown format {path.suffix!r}" if path.suffix else "the name has no suffix"
        hint = f"known suffixes: {', '.join(SUFFIXES)}"
        raise UsageError(message, hint=hint, place=Place(str(path)))
    return name


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _similar_files(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    # By stem alone, as all names are alike in their suffix.
    files: dict[str, Path] = {}
    for entry in sorted(path.parent.iterdir()):
        if entry.suffix.lower() in SUFFIXES:
            files.setdefault(entry.stem, path.parent / entry.name)
    near = [files[stem] for stem in difflib.get_close_matches(path.stem, files, n=2)]
    return f"did you mean {' or '.join(map(str, near))}?" if near else ""
