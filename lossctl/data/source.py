"""Sources: an input, what it holds, and the independent pieces it can be read in."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from lossctl.data import naming, store
from lossctl.data.dialect import PLAIN, Dialect
from lossctl.data.naming import InputFormat
from lossctl.data.store import STDIN, Entry
from lossctl.errors import Gathered, InputError, Place, UsageError
from lossctl.record import record

How = Literal["number", "text", "category", "key", "as is"]
"""How to read a column: as numbers, as text, as a few texts that recur, as text in which nothing
stands for a missing value, or as the file has it."""
Wanted = Mapping[str, How]
"""Columns to read and how; formats with types of their own keep to those."""


@record
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
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False, kw_only=True)
    """Fields of structs among the columns, by their dotted paths: the names that lead there."""
    truths: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Columns without a type that spell the numbers 1 and 0 as true and false."""
    modified_ns: int = field(default=0, kw_only=True)
    """Time of the last change, where it has one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(self.types)

    @property
    def at(self) -> str:
        """Where its bytes lie."""
        return self.location or self.path

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources whose fragments it is read by: several where it stands for many files."""
        return (self,)

    @property
    def files(self) -> tuple[Source, ...]:
        """The files that it reads."""
        return (self,)


@record
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


def locate(fragment: Fragment, row: int) -> tuple[str, int]:
    """Give the file that holds a row of a fragment, and the row's number in it, from 0."""
    if len(fragment.source.parts) > 1:
        from lossctl.data.many import inner

        fragment, row = inner(fragment, row)
    before = format_of(fragment.source.format).rows_before(fragment)
    return fragment.source.path, before + row


def format_of(name: str) -> Format:
    """Import a format's module; only the formats in use are ever imported."""
    module: Format = importlib.import_module(f"lossctl.data.{name}")
    return module


def inputs_of(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Give what a report says of its files."""
    return [
        {"path": file.path, "format": file.format, "bytes": file.size}
        for source in sources
        for file in source.files
    ]


def stamped_inputs(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Give what tells whether a file has changed."""
    files = (file for source in sources for file in source.files)
    entries = zip(inputs_of(sources), files, strict=True)
    return [entry | {"modified_ns": file.modified_ns} for entry, file in entries]


@record
class Opening:
    """What the user says about the inputs of a command beside their names."""

    format: InputFormat | None = None
    dialect: Dialect = PLAIN
    say: Callable[[str], None] = field(default=lambda _: None, compare=False)
    """Takes note of what the user should know."""


AS_NAMED = Opening()
"""Files are what their names say, CSV files as most are written."""


def open_sources(texts: Sequence[str], opening: Opening = AS_NAMED) -> list[Source]:
    """Find out what several arguments hold.

    Where one of them is stdin, a told format is that of stdin and of files whose name tells none.

    Raises
    ------
    LossctlError
        What is wrong with the only wrong file, or `SeveralErrors`.

    """
    wrong = Gathered()
    sources = []
    if texts.count(STDIN) > 1:
        raise UsageError("stdin can be only one of the inputs")
    for text in texts:
        with wrong:
            named = text != STDIN and naming.promised(text)[0] is not None
            own = STDIN in texts and named
            sources.append(open_source(text, replace(opening, format=None) if own else opening))
    wrong.settle()
    formats = {file.format for source in sources for file in source.files}
    if opening.dialect != PLAIN and "csv" not in formats:
        message = "the separator, the header, the encoding and how numbers are written are told"
        raise UsageError(f"{message}, but no input is CSV or TSV")
    return sources


def open_source(text: str, opening: Opening = AS_NAMED) -> Source:
    """Find out what an argument holds: a file, a pattern, a folder, a URL, or ``-`` for stdin.

    Raises
    ------
    InputError
        A file is missing, unreadable, empty or not of its format, or there is none.
    UsageError
        The suffix names no known format.

    """
    try:
        if not text:
            raise UsageError("the name of an input is empty")
        if text == STDIN:
            return _open_stdin(opening)
        entry = store.look(text)
        if entry.kind in ("file", "stream"):
            return _open_file(entry, opening)
        from lossctl.data import expanding

        if entry.kind == "folder":
            base = text.rstrip("/") + "/"
            entries, note = expanding.files_in(text, told=opening.format is not None)
        elif expanding.is_wild(text):
            base, note = expanding.fixed(text), ""
            entries = expanding.matches(text)
        else:
            raise InputError(
                "no such file", hint=_similar_files(text), place=Place(store.shown(text))
            )
        if note:
            opening.say(note)
        return _open_files(text, entries, base, opening)
    except OSError as error:
        raise InputError(error.strerror or str(error), place=Place(store.shown(text))) from error


def _open_stdin(opening: Opening) -> Source:
    if opening.format is None:
        hint = "for example --input-format csv"
        raise UsageError("--input-format names the format of stdin", hint=hint)
    return _open_file(store.Entry(STDIN, "stream"), opening)


def _open_files(text: str, entries: Sequence[Entry], base: str, opening: Opening) -> Source:
    """Open several files as one source, or a single one as itself."""
    from lossctl.data import expanding
    from lossctl.data.many import unite

    partitions = [expanding.partition(entry.location, base) for entry in entries]
    files = [_open_file(entry, opening) for entry in entries]
    return files[0] if len(files) == 1 and not partitions[0] else unite(text, files, partitions)


def _open_file(entry: Entry, opening: Opening) -> Source:
    path, location = store.shown(entry.location), entry.location
    if entry.kind == "stream":
        from lossctl.data import spool

        location, note = spool.keep(location)
        entry = store.look(location)
        if note:
            opening.say(note)
    blank = Source(path, "", {}, None, entry.size, modified_ns=entry.modified_ns)
    blank = replace(blank, location="" if location == path else location)
    start = _first_bytes(blank)
    name, compression = naming.format_named(path, opening.format, start)
    if not start:
        raise InputError("the file is empty", place=Place(path))
    separator = opening.dialect.delimiter or {"tsv": "\t", "csv": ","}.get(name, "")
    source = replace(
        blank,
        format="csv" if name == "tsv" else name,
        dialect=replace(opening.dialect, delimiter=separator),
        compression=compression,
    )
    return format_of(source.format).describe(source)


def _first_bytes(source: Source) -> bytes:
    try:
        return store.first_bytes(source, naming.MAGIC_BYTES)
    except OSError as error:
        if store.is_remote(source.at):
            raise store.unreadable(source, error) from error
        raise


def _similar_files(text: str) -> str:
    import difflib

    path = Path(text)
    if store.is_remote(text):
        return ""
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
