"""Sources: an input, what it holds, and the independent pieces it can be read in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from lossctl.data import naming, store
from lossctl.data.dialect import PLAIN, Dialect
from lossctl.data.naming import InputFormat
from lossctl.errors import Gathered, InputError, Place, UsageError

How = Literal["number", "text", "category", "key", "as is"]
"""How to read a column: as numbers, as text, as a few texts that recur, as text in which nothing
stands for a missing value, or as the file has it."""
Wanted = Mapping[str, How]
"""Columns to read and how; formats with types of their own keep to those."""


@dataclass(frozen=True)
class Source:
    """One input."""

    path: str
    """What messages and reports call it."""
    format: str
    types: Mapping[str, pa.DataType | None] = field(hash=False)
    """Column names in file order; the type is None where the format has none of its own."""
    rows: int | None
    """Number of rows where the file says so without being read."""
    size: int
    """Bytes as they are stored."""
    dialect: Dialect = field(default=PLAIN, kw_only=True)
    compression: str = field(default="", kw_only=True)
    location: str = field(default="", kw_only=True)
    """Where its bytes lie, if that is not the path."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(self.types)

    @property
    def at(self) -> str:
        """Where its bytes lie."""
        return self.location or self.path


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

    def describe(self, source: Source) -> Source:
        """Read the names and types of the columns, and no row."""

    def split(self, source: Source) -> list[Fragment]:
        """Cut the source into fragments that can be read in parallel."""

    def whole(self, source: Source) -> Fragment:
        """Give the source as one fragment, read in order by the most forgiving road."""

    def read(self, fragment: Fragment, wanted: Wanted, rows: int) -> Iterator[pa.RecordBatch]:
        """Read columns of a fragment in batches of at most the given number of rows."""

    def rows_before(self, fragment: Fragment) -> int:
        """Give the number of rows that precede the fragment in its file, for messages."""


def format_of(name: str) -> Format:
    """Import a format's module; only the formats in use are ever imported."""
    module: Format = importlib.import_module(f"lossctl.data.{name}")
    return module


@dataclass(frozen=True)
class Opening:
    """What the user says about the inputs of a command beside their names."""

    format: InputFormat | None = None
    dialect: Dialect = PLAIN


AS_NAMED = Opening()
"""Files are what their names say, CSV files as most are written."""


def open_sources(texts: Sequence[str], opening: Opening = AS_NAMED) -> list[Source]:
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
            sources.append(open_source(text, opening))
    wrong.settle()
    if opening.dialect != PLAIN and all(source.format != "csv" for source in sources):
        message = "the separator, the header, the encoding and how numbers are written are told"
        raise UsageError(f"{message}, but no input is CSV or TSV")
    return sources


def open_source(text: str, opening: Opening = AS_NAMED) -> Source:
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
        return _open_file(text, opening)
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(text)) from error


def _open_file(path: str, opening: Opening) -> Source:
    blank = Source(path, "", {}, None, store.size(path))
    start = store.first_bytes(blank, naming.MAGIC_BYTES)
    if not start:
        naming.format_named(path, opening.format, start)
        raise InputError("the file is empty", place=Place(path))
    name, compression = naming.format_named(path, opening.format, start)
    separator = opening.dialect.delimiter or {"tsv": "\t", "csv": ","}.get(name, "")
    source = replace(
        blank,
        format="csv" if name == "tsv" else name,
        dialect=replace(opening.dialect, delimiter=separator),
        compression=compression,
    )
    return format_of(source.format).describe(source)


def _similar_files(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    # By stem alone, as all names are alike in their suffix.
    files: dict[str, Path] = {}
    for entry in sorted(path.parent.iterdir()):
        if naming.promised(entry.name)[0] is not None:
            files.setdefault(entry.name.partition(".")[0], path.parent / entry.name)
    near = [
        files[stem] for stem in difflib.get_close_matches(path.name.partition(".")[0], files, n=2)
    ]
    return f"did you mean {' or '.join(map(str, near))}?" if near else ""
