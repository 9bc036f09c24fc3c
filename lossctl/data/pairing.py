"""Pairing by key: rows of several sources brought together, whatever order they are in.

All sources are read once and spread over partitions by a hash of their keys; then each partition
is joined by itself. Null keys and keys of no common type are refused while reading; repeated and
unmatched ones are counted per partition and judged once all of them are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.chunks import Reading, Task, fragment_tasks
from lossctl.data.convert import RowError
from lossctl.data.joined import Joined, Numbers, Origin, Pairs
from lossctl.data.keys import MissingKeyError, codes, to_key
from lossctl.data.matching import Match, match
from lossctl.data.partitions import Side, take_rows
from lossctl.data.source import Fragment, format_of
from lossctl.errors import DomainError, LossctlError, MissingValueError, PairingError, Place
from lossctl.stats.tally import Rows

Integers = npt.NDArray[np.int64]
Stopped = Callable[[], bool]

BLOCK_CHUNKS = 16
"""Rows are spread over partitions in blocks of so many chunks."""


class Pairing:
    """One pairing of all sources of a reading."""

    def __init__(self, reading: Reading, *, in_order: bool) -> None:
        """Decide how many partitions there are."""
        self.reading = reading
        self.partitions = 1
        self.sides = [Side(self.partitions) for _ in reading.sources]
        self.numbers: list[Numbers] = []
        self.work = fragment_tasks(reading, in_order=in_order)

    def take_in(self, task: Task, stopped: Stopped) -> None:
        """Read one fragment and spread its rows.

        Raises
        ------
        MissingValueError, DomainError
            A row has no key, or one that cannot be held against those of the other files.

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
            block = _with_keys(batch, keys)
            self.sides[task.source].add(
                (task.number, number), fragment.source.path, block, np.zeros(0, dtype=np.int64)
            )
            first_row += batch.num_rows

    def tasks(self, whole: Task) -> list[Task]:
        """Give the partitions as tasks, once everything has been read."""
        self.numbers = [side.settle() for side in self.sides]
        return [
            replace(whole, number=number, joined=partial(self.join, number))
            for number in range(self.partitions)
        ]

    def join(self, number: int) -> Iterator[Joined]:
        """Pair the rows of one partition."""
        parts = [side.partition(number) for side in self.sides]
        tables = [part[0] for part in parts if part is not None]
        rows = [part[1] if part is not None else _NO_ROWS for part in parts]
        keys: list[Sequence[pa.Array]] = [
            self._keys_of(part[0]) if part is not None else self._no_keys() for part in parts
        ]
        numbered = tuple(codes(keys))
        found = match(numbered)
        origins = [
            Origin((names,), (places,), tuple(key))
            for names, places, key in zip(self.numbers, rows, keys, strict=True)
        ]
        pairs = _count(found, origins, numbered)
        if not len(found.rows[0]) or _is_refused(pairs, self.reading):
            yield Joined((), Origin((), (), ()), pairs)
            return
        chosen = zip(tables, found.rows, strict=True)
        batches = tuple(_chosen(table, places) for table, places in chosen)
        origin = Origin(
            tuple(self.numbers),
            tuple(numbers[places] for numbers, places in zip(rows, found.rows, strict=True)),
            tuple(self._keys_of(batches[0])),
        )
        yield Joined(batches, origin, pairs)

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

    def _keys_of(self, batch: pa.RecordBatch) -> list[pa.Array]:
        return [batch[_key_name(number)] for number in range(len(self.reading.keys))]

    def _no_keys(self) -> list[pa.Array]:
        return [pa.array([], key.type) for key in self.reading.keys]


_NO_ROWS: Integers = np.zeros(0, dtype=np.int64)


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


def _count(found: Match, origins: Sequence[Origin], keys: Sequence[Integers]) -> Pairs:
    pairs = Pairs()
    for source, origin in enumerate(origins):
        pairs.read[source] = len(origin.rows[0])
        for into, rows in (
            (pairs.unmatched, found.unmatched[source]),
            (pairs.repeated, found.repeated[source]),
        ):
            if len(rows):
                into[source] = Rows(len(rows), origin.names(rows))
    seen = keys[0][:0]
    for source, origin in enumerate(origins):
        # A key that several sources have, but not all, is lost once.
        rows = found.unmatched[source]
        fresh = rows[~np.isin(keys[source][rows], seen)]
        seen = np.concatenate([seen, keys[source][fresh]])
        pairs.lost.merge(Rows(len(fresh), origin.names(fresh)))
    return pairs


def _chosen(table: pa.RecordBatch, places: npt.NDArray[np.intp]) -> pa.RecordBatch:
    if len(places) == table.num_rows and (places == np.arange(len(places))).all():
        return table
    return take_rows(table, places)


def _key_name(number: int) -> str:
    return f"\0key{number}"


def _with_keys(batch: pa.RecordBatch, keys: Sequence[pa.Array]) -> pa.RecordBatch:
    columns = {name: _plain(batch[name]) for name in batch.schema.names}
    columns |= {_key_name(number): key for number, key in enumerate(keys)}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _plain(column: pa.Array) -> pa.Array:
    """Give a column in a form that batches of one file share; each has its own dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _refusal(error: RowError, fragment: Fragment, first_row: int) -> LossctlError:
    before = format_of(fragment.source.format).rows_before(fragment)
    place = Place(fragment.source.path, before + first_row + error.row + 1, error.column)
    kind = MissingValueError if isinstance(error, MissingKeyError) else DomainError
    return kind(error.message, hint=error.hint, place=place)
