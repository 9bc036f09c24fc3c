"""Cells: the distinct combinations of values in the columns that rows are sliced by.

Every slice that is asked for is a union of cells, so rows are counted once, by cell, and no slice
can lose one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data import buffers
from lossctl.errors import UsageError

Codes = npt.NDArray[np.intp]
Key = tuple[Any, ...]

MOST = 1 << 20
"""Combinations beyond which slicing is refused."""


class Cells:
    """Numbers the combinations in order of appearance."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Start with no combination; without columns the one empty combination is cell 0."""
        self.columns = tuple(columns)
        self.keys: list[Key] = [] if columns else [()]
        self._numbers: dict[Key, int] = dict.fromkeys(self.keys, 0)
        self._values: list[dict[Any, int]] = [{} for _ in columns]
        self._table = np.full((1,) * len(columns), -1, dtype=np.intp)

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
                message = f"the columns {names} have more than {MOST} combinations of values"
                raise UsageError(message, hint="slice by fewer or coarser columns")
        return found

    def codes(self, batch_columns: Sequence[pa.Array]) -> Codes:
        """Give the cell of each row."""
        codes = tuple(
            self._column_codes(values, column)
            for values, column in zip(self._values, batch_columns, strict=True)
        )
        shape = tuple(max(len(values), 1) for values in self._values)
        grown = [(0, new - old) for new, old in zip(shape, self._table.shape, strict=True)]
        if any(more for _, more in grown):
            # Twice the room, so that a column of many values grows the table a few times only.
            room = [
                (0, more + size if more else 0)
                for (_, more), size in zip(grown, shape, strict=True)
            ]
            self._table = np.pad(self._table, room, constant_values=-1)
        cells = self._table[codes]
        fresh = np.flatnonzero(cells < 0)
        if len(fresh):
            self._add_cells(tuple(code[fresh] for code in codes))
            cells = self._table[codes]
        return cells

    def _column_codes(self, numbers: dict[Any, int], column: pa.Array) -> Codes:
        """Number the values of one column; a null is a value like any other."""
        coded = column
        if not pa.types.is_dictionary(column.type):
            coded = column.dictionary_encode(null_encoding="encode")
        values = [_plain(value) for value in coded.dictionary.to_pylist()]
        known = [numbers.setdefault(value, len(numbers)) for value in values]
        missing = buffers.nulls(coded.indices)
        indices = buffers.view(coded.indices)
        if missing is not None:
            known.append(numbers.setdefault(None, len(numbers)))
            indices = np.where(missing, len(values), indices)
        return np.asarray(np.array(known, dtype=np.intp)[indices])

    def _add_cells(self, codes: tuple[Codes, ...]) -> None:
        names = [list(values) for values in self._values]
        for combination in np.unique(np.stack(codes, axis=1), axis=0).tolist():
            key = tuple(name[code] for name, code in zip(names, combination, strict=True))
            self._table[tuple(combination)] = self.number(key)


def _plain(value: Any) -> Any:
    """Give a value as JSON knows it."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta | bytes) or hasattr(value, "as_tuple"):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
