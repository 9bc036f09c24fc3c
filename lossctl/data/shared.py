"""Columns that two files share: paired by position, they must be equal row by row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.data.faults import Fault
from lossctl.errors import PairingError


def differences(
    files: Sequence[str], batches: Sequence[pa.RecordBatch], columns: Sequence[str]
) -> Iterator[Fault]:
    """Compare shared columns as text, and where that differs as numbers."""
    for name in columns:
        first, *others = (batch.column(name) for batch in batches)
        for number, other in enumerate(others, start=1):
            row = None if first.equals(other) else _first_difference(first, other)
            if row is not None:
                yield Fault(
                    row,
                    0,
                    name,
                    PairingError,
                    f"the files share the column {name!r} but differ there: "
                    f"{_shown(first[row])} in {files[0]}, {_shown(other[row])} in {files[number]}",
                    "bring both files into the same order",
                )


def _first_difference(a: pa.Array, b: pa.Array) -> int | None:
    import pyarrow.compute as pc  # takes long to import, and most files agree at once

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
