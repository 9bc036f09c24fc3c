"""Products of vectors, row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def dot(left: Array, right: Array) -> Array:
    """Give the dot product of the vectors of each row, shape ``(rows,)``.

    A row's product depends on its own values alone, never on the rows around it; that is why it
    is not left to BLAS.
    """
    products: Array = np.einsum("ij,ij->i", left, right)
    return products
