"""Cells: the distinct combinations of values in the columns that rows are sliced by.

Every slice that is asked for is a union of cells, so rows are counted once, by cell, and no slice
can lose one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.data.derived import Derived, column_of
from lossctl.data.faults import TextError
from lossctl.errors import UsageError

Codes = npt.NDArray[np.intp]
Key = tuple[Any, ...]

MOST = 1 << 20
"""Combinations beyond which slicing is refused."""
SHOWN = 3
"""How many of the values of a refused column a message names."""
SPAN = 1 << 16
"""Integers within a range of this length are numbered by a table."""
DENSE = 1 << 20
"""Possible combinations up to which a table finds the real ones; beyond, sorting finds them."""


class Cells:
    """Numbers the combinations in order of appearance."""

    def __init__(self, columns: Sequence[str], most: int = MOST) -> None:
        """Start with no combination; without columns the one empty combination is cell 0.

        A column of more than ``most`` values is refused.
        """
        self.columns = tuple(columns)
        self.most = most
        self.keys: list[Key] = [] if columns else [()]
        self._numbers: dict[Key, int] = dict.fromkeys(self.keys, 0)
        self._values: list[dict[Any, int]] = [{} for _ in columns]
        self._room = [1] * len(self.columns)
        """Values of each column that the table has room for, a power of two."""
        self._table = np.full(1, -1, dtype=np.intp)

    def number(self, key: Key) -> int:
        """Give a combination's number, a new one if need be.

        Raises
        ------
        UsageError
            There are more combinations than can be told apart.

        """
        found = self._numbers.setdefault(key, len(self.keys))
        if found == len(self.keys):
            self.keys.append(key)
            if found >= MOST:
                names = ", ".join(self.columns)
                message = f"--by {names}: there are more than {MOST} combinations of values"
                raise UsageError(message, hint="slice by fewer or coarser columns")
        return found

    def numbers(self, keys: Iterable[Key]) -> Codes:
        """Give the numbers of combinations, new ones if need be.

        Raises
        ------
        UsageError
            There are more combinations than can be told apart.

        """
        keys = list(keys)
        known = map(self._numbers.get, keys)
        return np.array(
            [
                self.number(key) if number is None else number
                for key, number in zip(keys, known, strict=True)
            ],
            dtype=np.intp,
        )

    def codes(self, batch_columns: Sequence[pa.Array]) -> Codes:
        """Give the cell of each row.

        Raises
        ------
        UsageError
            A column holds lists or records, or there are too many combinations.
        TextError
            A text is none of the numbers or dates that are sliced by.

        """
        codes = []
        for name, values, column in zip(self.columns, self._values, batch_columns, strict=True):
            codes.append(self._column_codes(name, values, _derived(name, column)))
            if len(values) > self.most:
                raise too_many(name, f"more than {self.most}", self.most, values)
        self._make_room()
        places = codes[0]
        for code, room in zip(codes[1:], self._room[1:], strict=True):
            places = places * room + code
        if math.prod(self._room) > DENSE:
            found, where = np.unique(places, return_inverse=True)
            return self.numbers(self._keys(found))[where]
        cells = self._table[places]
        new = cells < 0
        if new.any():
            marks = np.zeros(len(self._table), dtype=np.bool_)
            marks[places[new]] = True
            fresh = np.flatnonzero(marks)
            self._table[fresh] = self.numbers(self._keys(fresh))
            cells = self._table[places]
        return cells

    def unite(self, columns: Sequence[str]) -> tuple[list[Key], Codes]:
        """Give the slices by some of the columns, in order, and the slice of each cell.

        Raises
        ------
        UsageError
            There are too many of them.

        """
        places = [self.columns.index(name) for name in columns]
        of_cells = [tuple(key[place] for place in places) for key in self.keys]
        keys = sorted(
            set(of_cells), key=lambda key: [(v is None, isinstance(v, str), v) for v in key]
        )
        number = {key: group for group, key in enumerate(keys)}
        labels = [name.label if isinstance(name, Derived) else None for name in columns]
        shown = [
            tuple(v if label is None else label(v) for v, label in zip(key, labels, strict=True))
            for key in keys
        ]
        if len(keys) > self.most:
            firsts = (", ".join(map(str, key)) for key in shown)
            raise too_many(",".join(columns), str(len(keys)), self.most, firsts)
        return shown, np.array([number[key] for key in of_cells], dtype=np.intp)

    def _make_room(self) -> None:
        """Lay the table out anew where a column has more values than it has room for."""
        room = [
            max(old, 1 << len(values).bit_length())
            for old, values in zip(self._room, self._values, strict=True)
        ]
        if room == self._room:
            return
        self._room = room
        if math.prod(room) <= DENSE:
            self._table = np.full(math.prod(room), -1, dtype=np.intp)
            for number, key in enumerate(self.keys):
                codes = [values[part] for values, part in zip(self._values, key, strict=True)]
                self._table[np.ravel_multi_index(codes, room)] = number

    def _column_codes(self, name: str, numbers: dict[Any, int], column: pa.Array) -> Codes:
        """Number the values of one column; a null is a value like any other."""
        if pa.types.is_nested(column.type):
            message = f"cannot slice by the column {name!r} of type {column.type}"
            raise UsageError(message, hint="slice by a column of single values")
        if pa.types.is_integer(column.type) and len(column) and not column.null_count:
            whole = buffers.view(column)
            low, high = int(whole.min()), int(whole.max())
            if high - low < SPAN:
                return _integer_codes(numbers, whole.astype(np.int64) - low, low)
        coded = column
        if not pa.types.is_dictionary(column.type):
            coded = column.dictionary_encode()
        values = [_category(value) for value in coded.dictionary.to_pylist()]
        known = [numbers.setdefault(value, len(numbers)) for value in values]
        missing = buffers.nulls(coded.indices)
        indices = buffers.view(coded.indices)
        if missing is not None:
            known.append(numbers.setdefault(None, len(numbers)))
            indices = np.where(missing, len(values), indices)
        return np.asarray(np.array(known, dtype=np.intp)[indices])

    def _keys(self, places: Codes) -> Iterator[Key]:
        """Give the values behind places of the table."""
        columns = []
        for values, codes in zip(self._values, np.unravel_index(places, self._room), strict=True):
            names = list(values)
            columns.append([names[code] for code in codes.tolist()])
        return zip(*columns, strict=True)


def too_many(by: str, count: str, most: int, values: Iterable[Any]) -> UsageError:
    """Say that a column has too many values to slice by, and which come first."""
    first = ", ".join(repr(value) for value in islice(values, SHOWN))
    return UsageError(
        f"--by {by}: {count} slices, {most} are allowed (the first: {first}, ...)",
        hint="slice by a coarser column or by ranges, as in --by age:10,20, or raise --max-slices",
    )


def _derived(name: str, column: pa.Array) -> pa.Array:
    try:
        return name.values(column) if isinstance(name, Derived) else column
    except TextError as error:
        error.column = column_of(name)
        raise


def _integer_codes(numbers: dict[Any, int], offsets: Codes, low: int) -> Codes:
    """Number integers of a small range, given as their distance from the least of them."""
    present = np.flatnonzero(np.bincount(offsets))
    known = [numbers.setdefault(low + offset, len(numbers)) for offset in present.tolist()]
    table = np.empty(int(present[-1]) + 1, dtype=np.intp)
    table[present] = known
    return table[offsets]


def plain(value: Any) -> Any:
    """Give a value as JSON knows it, lists and records value by value."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _category(value: Any) -> Any:
    """Give the plain value that a slice is named by."""
    # Many tools store whole numbers as floats where some are missing; 1.0 is the slice 1.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return plain(value)
