"""Ids: values of a column as integers of 64 bits, by hash or in their own order."""

from __future__ import annotations

import datetime as dt
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.data.cells import plain
from lossctl.data.convert import RowError
from lossctl.stats.fingerprint import mix
from lossctl.stats.units import Ids

SIGN = np.uint64(1 << 63)
"""Whole numbers with this bit turned over are in order without a sign."""


def first_null(column: pa.Array) -> int | None:
    """Give the first row without a value; None where all have one."""
    if not column.null_count:
        return None
    return int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])


def hashed(column: pa.Array) -> Ids:
    """Hash each value of a column; equal values alike."""
    if pa.types.is_integer(column.type):
        return mix(column.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64))
    coded = column.dictionary_encode()
    distinct = np.array([_hash(plain(value)) for value in coded.dictionary.to_pylist()], np.uint64)
    found: Ids = distinct[coded.indices.to_numpy(zero_copy_only=False)]
    return found


def _hash(value: Any) -> int:
    # A whole number is the same cluster whatever its type.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return int(mix(np.array([value]).view(np.uint64))[0])
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "little")


def in_order(column: pa.Array, name: str) -> Ids:
    """Map times to integers in the same order: numbers, dates, times, and texts of either.

    Raises
    ------
    RowError
        A value is neither.

    """
    try:
        return _mapped(column)
    except (pa.ArrowException, ValueError):
        row = next(i for i, value in enumerate(column.to_pylist()) if not _is_time(value))
        message = (
            f"{column[row].as_py()!r} is neither a number nor a time as in 2024-05-31T12:00:00"
        )
        raise RowError(row, name, message) from None


def _mapped(column: pa.Array) -> Ids:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts_in_order(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats_in_order(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32())
    whole = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.asarray(whole.view(np.uint64) ^ SIGN)


def _texts_in_order(column: pa.Array) -> Ids:
    """Read texts as numbers, or else as times."""
    try:
        return _floats_in_order(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException:
        times = np.array([_microseconds(text) for text in column.to_pylist()], dtype=np.int64)
        return np.asarray(times.view(np.uint64) ^ SIGN)


def _floats_in_order(values: npt.NDArray[np.float64]) -> Ids:
    if not np.isfinite(values).all():
        raise ValueError
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def _microseconds(text: str) -> int:
    time = dt.datetime.fromisoformat(text)
    start = dt.datetime(1970, 1, 1, tzinfo=time.tzinfo and dt.UTC)
    return (time - start) // dt.timedelta(microseconds=1)


def _is_time(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        pass
    try:
        return isinstance(value, str) and bool(dt.datetime.fromisoformat(value))
    except ValueError:
        return False
