"""Pairing by key: rows of several sources brought together, whatever order they are in.

All sources are read once and spread over partitions by a hash of their keys; then each partition
is joined by itself. Null keys and keys of no common type are refused while reading; repeated and
unmatched ones are counted per partition and judged once all of them are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.chunks import Reading, Task, fragment_tasks
from lossctl.data.convert import RowError
from lossctl.data.joined import Joined, Numbers, Origin, Pairs, RowNumbers
from lossctl.data.keys import (
    MissingKeyError,
    as_integers,
    codes,
    hash_of_keys,
    is_integer_inside,
    to_key,
)
from lossctl.data.matching import Match, match, spread
from lossctl.data.partitions import ROW, Part, Partitions, take_values
from lossctl.data.source import Fragment, format_of, locate
from lossctl.errors import DomainError, LossctlError, MissingValueError, PairingError, Place
from lossctl.stats.tally import Rows

Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Stopped = Callable[[], bool]

BLOCK_CHUNKS = 4
"""Rows are spread over partitions in blocks of so many chunks."""
SMALL = 16 << 20
"""Bytes up to which everything is one partition."""
CACHED = 4 << 20
"""Bytes of a partition that stays in cache."""
MANY = 1 << 8
"""Partitions that are made for the cache; they are found by their number in one byte."""
MOST = 1 << 16
"""Partitions that are made at most."""
SHARES = 8
"""A partition may take one share in so many of the memory of each thread."""
TEXT = 32
"""Bytes that a text is taken to have."""


class Pairing:
    """One pairing of all sources of a reading."""

    def __init__(self, reading: Reading, *, jobs: int, in_order: bool) -> None:
        """Decide how many partitions there are."""
        self.reading = reading
        count = _partitions(reading, jobs)
        self.partitions = Partitions(len(reading.sources), count, reading.memory, reading.temp_dir)
        self.numbers: list[Numbers] = []
        self.work = fragment_tasks(reading, in_order=in_order)

    def __enter__(self) -> Self:
        """Begin; nothing is held yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Give memory and disk back."""
        self.partitions.close()

    def take_in(self, task: Task, stopped: Stopped) -> None:
        """Read one fragment and spread its rows.

        Raises
        ------
        MissingValueError, DomainError
            A row has no key, or one that cannot be held against those of the other files.
        SpillError
            There is no room on the disk.

        """
        fragment = task.fragments[0]
        wanted = self.reading.wanted(task.source)
        rows = self.reading.rows * BLOCK_CHUNKS
        first_row = 0
        for number, batch in enumerate(
            format_of(fragment.source.format).read(fragment, wanted, rows)
        ):
            if stopped():
                return
            keys = self._keys(task, batch, first_row)
            block = _with_keys(batch, self.reading.values_wanted(task.source), keys)
            parts = _partition_of(keys, self.partitions.count)
            order = task.number, number
            self.partitions.add(task.source, order, fragment.source.path, block, parts)
            first_row += batch.num_rows

    def tasks(self, whole: Task) -> list[Task]:
        """Give the partitions as tasks, once everything has been read."""
        self.numbers = self.partitions.settle()
        return [
            replace(whole, number=number, joined=partial(self.join, number))
            for number in range(self.partitions.count)
        ]

    def join(self, number: int) -> Iterator[Joined]:
        """Pair the rows of one partition."""
        parts = self.partitions.parts(number)
        keys = [self._keys_of(part) for part in parts]
        rows = tuple(_NO_ROWS if part is None else part.rows for part in parts)
        numbered = tuple(codes(keys))
        found = match(numbered, _known_bits(keys, self.partitions.count))
        pairs = _count(found, self.numbers, rows, keys, numbered)
        if not len(found.rows[0]) or _is_refused(pairs, self.reading):
            yield Joined((), None, pairs)
            return
        batches = tuple(
            _chosen(part.batch, self.reading.values_wanted(source), places)
            for source, (part, places) in enumerate(zip(parts, found.rows, strict=True))
            if part is not None
        )
        shown = tuple(_taken(key, found.rows[0]) for key in keys[0])
        yield Joined(batches, Origin(tuple(self.numbers), rows, found.rows, shown), pairs)

    def _keys(self, task: Task, batch: pa.RecordBatch, first_row: int) -> list[pa.Array]:
        keys: list[pa.Array] = []
        wrong: list[RowError] = []
        for key in self.reading.keys:
            name = key.names[task.source]
            try:
                keys.append(to_key(batch[name], name, key.type))
            except RowError as error:
                wrong.append(error)
        if wrong:
            raise _refusal(min(wrong, key=lambda error: error.row), task.fragments[0], first_row)
        return keys

    def _keys_of(self, part: Part | None) -> list[pa.Array]:
        if part is None:
            return [pa.array([], key.type) for key in self.reading.keys]
        return [part.batch[_key_name(number)] for number in range(len(self.reading.keys))]


_NO_ROWS = RowNumbers(
    np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32)
)


def refusal(pairs: Pairs, reading: Reading) -> LossctlError | None:
    """Give the error of a pairing that the policies do not allow; None when they do.

    What is wrong with the keys goes before what is wrong with the values of a row.
    """
    if any(rows.count for rows in pairs.repeated.values()):
        return PairingError(
            f"a key stands for one row of each file, but {_told(pairs, pairs.repeated, reading)}",
            hint="add the columns that tell the rows apart, as in --key id --key date",
        )
    if reading.missing == "error" and pairs.lost.count:
        kept = sum(pairs.read.values()) - sum(rows.count for rows in pairs.unmatched.values())
        return PairingError(
            f"keys without a match: {_told(pairs, pairs.unmatched, reading)}",
            hint="--missing drop leaves such rows out and counts them"
            if kept
            else "no key is in every file: are these the same rows, and the right columns?",
        )
    matched = pairs.read.get(0, 0) - pairs.unmatched.get(0, Rows()).count
    total = matched + pairs.lost.count
    if total and matched < reading.min_match_rate * total:
        return PairingError(
            f"only {matched} of {total} distinct keys are in every file, less than "
            f"--min-match-rate {reading.min_match_rate:g}: "
            f"{_told(pairs, pairs.unmatched, reading)}"
        )
    return None if pairs.fault is None else pairs.fault[1]


def _is_refused(pairs: Pairs, reading: Reading) -> bool:
    repeated = any(rows.count for rows in pairs.repeated.values())
    return repeated or (reading.missing == "error" and pairs.lost.count > 0)


def _told(pairs: Pairs, found: dict[int, Rows], reading: Reading) -> str:
    """Say of each file how many of its rows were found, and name the first few of them."""
    what = "repeat one" if found is pairs.repeated else "have none"
    parts = []
    for source, rows in sorted(found.items()):
        if rows.count:
            firsts = ", ".join(f"row {row + 1} {_key_text(key)}" for _, _, row, *key in rows.first)
            path, total = reading.sources[source].path, pairs.read.get(source, 0)
            parts.append(f"{rows.count} of {total} rows of {path} {what} ({firsts}{_more(rows)})")
    return "; ".join(parts)


def _key_text(key: Sequence[object]) -> str:
    return ", ".join(map(repr, key))


def _more(rows: Rows) -> str:
    return ", ..." if rows.count > len(rows.first) else ""


def _count(
    found: Match,
    numbers: Sequence[Numbers],
    tables: Sequence[RowNumbers],
    keys: Sequence[Sequence[pa.Array]],
    numbered: Sequence[Integers],
) -> Pairs:
    pairs = Pairs()
    seen = numbered[0][:0]
    for source, table in enumerate(tables):
        pairs.read[source] = len(table)
        lonely, again = found.unmatched[source], found.repeated[source]
        if not len(lonely) and not len(again):
            continue
        everything = np.arange(len(table))
        origin = Origin((numbers[source],), (table,), (everything,), tuple(keys[source]))
        for into, rows in ((pairs.unmatched, lonely), (pairs.repeated, again)):
            if len(rows):
                into[source] = Rows(len(rows), origin.names(rows))
        # A key that several sources have, but not all, is lost once.
        fresh = lonely[~np.isin(numbered[source][lonely], seen)]
        seen = np.concatenate([seen, numbered[source][fresh]])
        pairs.lost.merge(Rows(len(fresh), origin.names(fresh)))
    return pairs


def _chosen(batch: pa.RecordBatch, names: Iterable[str], places: Indices) -> pa.RecordBatch:
    columns = {name: _taken(batch[name], places) for name in names}
    if not columns:  # a batch without columns has no rows
        columns = {ROW: _taken(batch[ROW], places)}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _taken(column: pa.Array, places: Indices) -> pa.Array:
    """Give some rows of a column, itself where they are all of them in order."""
    if len(places) == len(column) and (places[:1] == 0).all() and (np.diff(places) == 1).all():
        return column
    return take_values(column, places)


def _key_name(number: int) -> str:
    return f"\0key{number}"


def _with_keys(
    batch: pa.RecordBatch, names: Iterable[str], keys: Sequence[pa.Array]
) -> pa.RecordBatch:
    """Give the columns that are more than keys, and the keys."""
    columns = {name: _plain(batch[name]) for name in names}
    columns |= {_key_name(number): key for number, key in enumerate(keys)}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _plain(column: pa.Array) -> pa.Array:
    """Give a column in a form that batches of one file share; each has its own dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _refusal(error: RowError, fragment: Fragment, first_row: int) -> LossctlError:
    path, number = locate(fragment, first_row + error.row)
    place = Place(path, number + 1, error.column)
    kind = MissingValueError if isinstance(error, MissingKeyError) else DomainError
    return kind(error.message, hint=error.hint, place=place)


def _partitions(reading: Reading, jobs: int) -> int:
    """Give a power of two: partitions stay in cache, or at least in their share of the memory."""
    size = sum(_size(reading, number) for number in range(len(reading.sources)))
    if size <= min(SMALL, reading.memory):
        return 1
    wanted = max(min(size // CACHED, MANY), jobs * SHARES * size // reading.memory)
    return min(1 << max(int(wanted) - 1, 0).bit_length(), MOST)


def _size(reading: Reading, number: int) -> int:
    """Estimate the bytes that a source's rows will take; a text file's own size is near it."""
    source = reading.sources[number]
    if source.rows is None:
        return source.size
    columns = [
        *(source.types[name] for name in reading.values_wanted(number)),
        *(key.type for key in reading.keys),
    ]
    return source.rows * (sum(map(_width, columns)) + 4)


def _width(kind: pa.DataType | None) -> int:
    try:
        return max(1, kind.bit_width // 8) if kind is not None else TEXT
    except ValueError:
        return TEXT


def _partition_of(keys: Sequence[pa.Array], count: int) -> npt.NDArray[np.uint64]:
    """Give the partition of each row by the leading bits of a hash."""
    if count == 1:
        return np.zeros(0, dtype=np.uint64)
    hashed = spread(as_integers(keys[0])) if _is_direct(keys) else hash_of_keys(keys)
    parts: npt.NDArray[np.uint64] = hashed >> np.uint64(64 - (count.bit_length() - 1))
    return parts


def _known_bits(keys: Sequence[Sequence[pa.Array]], count: int) -> int:
    """Give how many leading bits of the hash that matching uses are the same in a partition."""
    return count.bit_length() - 1 if _is_direct(keys[0]) else 0


def _is_direct(keys: Sequence[pa.Array]) -> bool:
    return len(keys) == 1 and is_integer_inside(keys[0].type)
