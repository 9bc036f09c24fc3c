"""Columns that files share: paired by position, they must be equal row by row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from lossctl.data import numerals
from lossctl.data.faults import Fault
from lossctl.data.indexes import UNNAMED
from lossctl.errors import PairingError


def differences(
    files: Sequence[str], batches: Sequence[pa.RecordBatch], columns: Sequence[str]
) -> Iterator[Fault]:
    """Compare shared columns: as text, as what the other file has, and as numbers."""
    for name in columns:
        held = [(i, b.column(name)) for i, b in enumerate(batches) if name in b.schema.names]
        (one, first), *others = held
        for number, other in others:
            row = None if first.equals(other) else _first_difference(first, other)
            if row is not None:
                unnamed = UNNAMED.fullmatch(name)
                what, key = ("index", "a key") if unnamed else (f"column {name!r}", f"--key {name}")
                yield Fault(
                    row,
                    one,
                    None if unnamed else name,
                    PairingError,
                    f"the files share the {what} but differ there: "
                    f"{_shown(first[row])} in {files[one]}, "
                    f"{_shown(other[row])} in {files[number]}",
                    f"bring both files into the same order, or pair their rows with {key}",
                )


def _first_difference(a: pa.Array, b: pa.Array) -> int | None:
    import pyarrow.compute as pc  # takes long to import, and most files agree at once

    a, b = (c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in (a, b))
    same = pc.fill_null(pc.equal(*_alike(a, b)), False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    same |= pc.and_(a.is_null(), b.is_null()).to_numpy(zero_copy_only=False)
    return next((int(row) for row in np.flatnonzero(~same) if not _same(a[row], b[row])), None)


def _alike(a: pa.Array, b: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Bring two columns to one type: text to the type of the other column, or else both to text."""
    with contextlib.suppress(pa.ArrowException):
        if pa.types.is_string(a.type):
            return a.cast(b.type), b
        if pa.types.is_string(b.type):
            return a, b.cast(a.type)
    return _as_text(a), _as_text(b)


def _same(a: pa.Scalar, b: pa.Scalar) -> bool:
    """Compare two values that differ as columns: as numbers, or text as what the other one is."""
    if numerals.same(a.as_py(), b.as_py()):
        return True
    text, other = (a, b) if pa.types.is_string(a.type) else (b, a)
    if pa.types.is_string(text.type) and not pa.types.is_string(other.type):
        with contextlib.suppress(pa.ArrowException):
            return bool(text.cast(other.type).equals(other))
    return False


def _as_text(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # lists, structs and bytes that are no text
        return pa.array([None if v is None else repr(v) for v in column.to_pylist()], pa.string())


def _shown(value: pa.Scalar) -> str:
    return repr(value.as_py())
