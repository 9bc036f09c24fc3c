"""Arithmetic on rows of different lengths that lie end to end in one flat array.

Row ``i`` is ``values[offsets[i]:offsets[i + 1]]``; the first offset is 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int64]


def offsets_of(lengths: Offsets) -> Offsets:
    """Give the offsets of rows of these lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def sum_rows(values: Array, offsets: Offsets) -> Array:
    """Sum each row, shape ``(rows,)``; an empty row sums to 0.

    A row's sum depends on its own values alone, never on the rows around it.
    """
    # Given an empty segment, reduceat answers with the value after it; so it gets none.
    filled = offsets[:-1] < offsets[1:]
    sums = np.zeros(len(filled))
    sums[filled] = np.add.reduceat(values[: offsets[-1]], offsets[:-1][filled])
    return sums


def cross(left: Offsets, right: Offsets) -> tuple[Offsets, Offsets]:
    """Pair every value of a left row with every value of the same right row.

    Gives the flat positions of the pairs' left and right values. The pairs of one row, and those
    of one left value within it, follow one another.
    """
    partners = np.repeat(np.diff(right), np.diff(left))
    first_partner = np.repeat(right[:-1], np.diff(left))
    starts = offsets_of(partners)
    pairs = np.arange(starts[-1])
    return (
        np.repeat(np.arange(len(partners)), partners),
        pairs + np.repeat(first_partner - starts[:-1], partners),
    )
