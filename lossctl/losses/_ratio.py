"""Quotients that have a meaning where the denominator is 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def ratio(part: Array, whole: Array) -> Array:
    """Give ``part / whole``, and 0 where the whole is 0."""
    empty = whole == 0.0
    return np.where(empty, 0.0, part / np.where(empty, 1.0, whole))
