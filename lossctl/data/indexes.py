"""Indexes: the labels that objects of pandas and its like give their rows, known by their methods.

Two objects that are paired by position must have equal ones, in the same order: other labels are
other rows, or the same ones in another order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lossctl.errors import PairingError, Place

UNNAMED = re.compile(r"__index_level_\d+__")
"""What Arrow calls an index without a name; it is no name that anybody gave."""

Labelled = tuple[str, Any]
"""What messages call an object, and its index; None where it has none."""


def index_of(rows: Any) -> Any:
    """Give the index of a frame or a series; None for all else."""
    index = getattr(rows, "index", None)  # of a list that is a method
    return index if hasattr(index, "equals") else None


def check_indexes(objects: Sequence[Labelled], hint: str) -> None:
    """Refuse indexes of the same length that differ; unequal numbers of rows are told elsewhere.

    Raises
    ------
    PairingError
        Two differ; it names the first row where they do.

    """
    labelled = [(name, index) for name, index in objects if index is not None]
    for name, index in labelled[1:]:
        first, other = labelled[0]
        row = _first_difference(other, index) if len(other) == len(index) else None
        if row is not None:
            labels = (each[row : row + 1].tolist()[0] for each in (other, index))
            one, two = (str(x) if isinstance(x, tuple) else repr(x) for x in labels)
            raise PairingError(
                f"the indexes of {first} and {name} differ there: {one} in {first}, "
                f"{two} in {name}",
                hint=hint,
                place=Place(row=row + 1),
            )


def _first_difference(a: Any, b: Any) -> int | None:
    """Find the first place where two indexes of one length differ, by halves."""
    if a is b or a.equals(b):
        return None
    a, b = a.astype(object), b.astype(object)  # equal times may be held in different units
    if a.equals(b):
        return None
    low, high = 0, len(a)
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle].equals(b[low:middle]):
            low = middle
        else:
            high = middle
    return low
