"""Joining: rows with their keys, and the pairs that tables of them give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.convert import RowError
from lossctl.data.joined import Joined, Numbers, Origin, Pairs, RowNumbers
from lossctl.data.keys import MissingKeyError, codes, is_integer_inside, to_key
from lossctl.data.matching import Match, match
from lossctl.data.partitions import ROW, Part, take_values
from lossctl.data.reading import Reading
from lossctl.data.source import Fragment, locate
from lossctl.data.tasks import Task
from lossctl.errors import DomainError, LossctlError, MissingValueError, PairingError, Place
from lossctl.stats.tally import Rows

Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

NO_ROWS = RowNumbers(
    np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32)
)


def keys_of(reading: Reading, task: Task, batch: pa.RecordBatch, first_row: int) -> list[pa.Array]:
    """Give the keys of a batch of a fragment, each in the type that all sources have in common.

    Raises
    ------
    MissingValueError, DomainError
        A row has no key, or one that cannot be held against those of the other files.

    """
    keys: list[pa.Array] = []
    wrong: list[RowError] = []
    for key in reading.keys:
        name = key.names[task.source]
        try:
            keys.append(to_key(batch[name], name, key.type))
        except RowError as error:
            wrong.append(error)
    if wrong:
        raise _refused(min(wrong, key=lambda error: error.row), task.fragments[0], first_row)
    return keys


def with_keys(
    batch: pa.RecordBatch, names: Iterable[str], keys: Sequence[pa.Array]
) -> pa.RecordBatch:
    """Give the columns that are more than keys, and the keys."""
    columns = {name: _plain(batch[name]) for name in names}
    columns |= {_key_name(number): key for number, key in enumerate(keys)}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def kept_keys(reading: Reading, part: Part | None) -> list[pa.Array]:
    """Give the keys of a table made by `with_keys`."""
    if part is None:
        return [pa.array([], key.type) for key in reading.keys]
    return [part.batch[_key_name(number)] for number in range(len(reading.keys))]


def is_direct(keys: Sequence[pa.Array]) -> bool:
    """Tell whether a key is one integer, so that it can be its own code."""
    return len(keys) == 1 and is_integer_inside(keys[0].type)


def join(
    reading: Reading, parts: Sequence[Part | None], numbers: Sequence[Numbers], known_bits: int = 0
) -> Joined:
    """Pair the rows of tables, one of each source, that hold all rows of some keys."""
    keys = [kept_keys(reading, part) for part in parts]
    rows = tuple(NO_ROWS if part is None else part.rows for part in parts)
    numbered = tuple(codes(keys))
    found = match(numbered, known_bits if is_direct(keys[0]) else 0)
    pairs = _count(found, numbers, rows, keys, numbered)
    if not len(found.rows[0]) or _is_refused(pairs, reading):
        return Joined((), None, pairs)
    # Rows come in the order of the first table; mostly all of it is there.
    whole = len(found.rows[0]) == len(rows[0])
    batches = tuple(
        _chosen(part.batch, reading.values_wanted(source), None if whole and not source else places)
        for source, (part, places) in enumerate(zip(parts, found.rows, strict=True))
        if part is not None
    )
    shown = tuple(_taken(key, None if whole else found.rows[0]) for key in keys[0])
    return Joined(batches, Origin(tuple(numbers), rows, found.rows, shown), pairs)


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
            path, total = reading.sources[source].path, pairs.read.get(source, 0)
            firsts = ", ".join(
                f"row {row + 1}{'' if file == path else f' of {file}'}: {_key_text(key)}"
                for file, _, row, *key in rows.first
            )
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


def _chosen(batch: pa.RecordBatch, names: Iterable[str], places: Indices | None) -> pa.RecordBatch:
    columns = {name: _taken(batch[name], places) for name in names}
    if not columns:  # a batch without columns has no rows
        columns = {ROW: _taken(batch[ROW], places)}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _taken(column: pa.Array, places: Indices | None) -> pa.Array:
    """Give some rows of a column, or itself for all of them."""
    return column if places is None else take_values(column, places)


def _key_name(number: int) -> str:
    return f"\0key{number}"


def _plain(column: pa.Array) -> pa.Array:
    """Give a column in a form that batches of one file share; each has its own dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _refused(error: RowError, fragment: Fragment, first_row: int) -> LossctlError:
    path, number = locate(fragment, first_row + error.row)
    place = Place(path, number + 1, error.column)
    kind = MissingValueError if isinstance(error, MissingKeyError) else DomainError
    return kind(error.message, hint=error.hint, place=place)
