"""NumPy views of Arrow arrays by their buffers.

``Array.to_numpy`` imports pandas and most of ``pyarrow.compute``, which takes longer than reading
a small file; the buffers are right there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Mask = npt.NDArray[np.bool_]

DTYPES: dict[str, type[np.number[Any]]] = {
    "halffloat": np.float16,
    "float": np.float32,
    "double": np.float64,
    **{
        f"{sign}int{bits}": np.dtype(f"{sign}int{bits}").type
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


def view(array: pa.Array) -> npt.NDArray[Any]:
    """View an array of numbers or booleans; what stands at nulls is arbitrary.

    Raises
    ------
    TypeError
        The type holds no numbers.

    """
    if pa.types.is_boolean(array.type):
        return _bits(array.buffers()[1], array.offset, len(array))
    dtype = DTYPES.get(str(array.type))
    if dtype is None:
        raise TypeError(array.type)
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.empty(0, dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype)[array.offset : array.offset + len(array)]


def nulls(array: pa.Array) -> Mask | None:
    """Mark the nulls; None when there are none."""
    if not array.null_count:
        return None
    buffer = array.buffers()[0]
    if buffer is None:  # an array of type null has no buffers
        return np.ones(len(array), dtype=np.bool_)
    return ~_bits(buffer, array.offset, len(array))


def lengths(array: pa.Array) -> npt.NDArray[np.int64]:
    """Give the number of values in each list; 0 for a null."""
    if pa.types.is_fixed_size_list(array.type):
        counts = np.full(len(array), array.type.list_size, dtype=np.int64)
    else:
        kind = np.int64 if pa.types.is_large_list(array.type) else np.int32
        offsets = np.frombuffer(array.buffers()[1], dtype=kind)
        counts = np.diff(offsets[array.offset : array.offset + len(array) + 1]).astype(np.int64)
    gone = nulls(array)
    return counts if gone is None else np.where(gone, 0, counts)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> Mask:
    packed = np.frombuffer(buffer, dtype=np.uint8)[offset // 8 : (offset + length + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")
    return bits[offset % 8 : offset % 8 + length].view(np.bool_)
