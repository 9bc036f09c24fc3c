"""Columns that two files share: paired by position, they must be equal row by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lossctl.data.source import format_of
from lossctl.errors import PairingError, Place

if TYPE_CHECKING:
    from lossctl.data.chunks import Task


def check(
    task: Task, batches: tuple[pa.RecordBatch, ...], columns: tuple[str, ...], first_row: int
) -> None:
    """Compare shared columns as text, and where that differs as numbers.

    Raises
    ------
    PairingError
        The rows at one position are not the same row.

    """
    for name in columns:
        first, *others = (batch.column(name) for batch in batches)
        for number, other in enumerate(others, start=1):
            if first.equals(other):
                continue
            row = _first_difference(first, other)
            if row is None:
                continue
            fragment = task.fragments[0]
            rows_before = format_of(fragment.source.format).rows_before(fragment)
            files = [fragment.source.path for fragment in task.fragments]
            raise PairingError(
                f"the files share the column {name!r} but differ there: "
                f"{_shown(first[row])} in {files[0]}, {_shown(other[row])} in {files[number]}",
                hint="bring both files into the same order",
                place=Place(files[0], rows_before + first_row + row + 1, name),
            )


def _first_difference(a: pa.Array, b: pa.Array) -> int | None:
    texts = [column.cast(pa.string()) for column in (a, b)]
    same = pc.fill_null(pc.equal(*texts), False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    same |= pc.and_(a.is_null(), b.is_null()).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(~same):
        if not _equal_numbers(texts[0][row].as_py(), texts[1][row].as_py()):
            return int(row)
    return None


def _equal_numbers(a: Any, b: Any) -> bool:
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return False
    return x == y or (math.isnan(x) and math.isnan(y))


def _shown(value: pa.Scalar) -> str:
    return repr(value.as_py())
