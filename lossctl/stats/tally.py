"""Tallies: all that is kept of one quantity, from its moments to its first infinite row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lossctl.stats.exact import ExactSum
from lossctl.stats.moments import Moments

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Row = tuple[int, int]
"""Task number and row number within it: ordered like the rows of the input."""

FIRST = 5
"""How many of the first rows of a kind are named."""


@dataclass
class Rows:
    """How many rows were of some kind, and the first few of them; merges in any order."""

    count: int = 0
    first: list[Row] = field(default_factory=list)

    def add(self, marks: Mask, row_of: Callable[[int], Row]) -> None:
        """Add the marked rows of a chunk, in which ``row_of`` names the row at an index."""
        indices = np.flatnonzero(marks)
        self.count += len(indices)
        self._keep_first([row_of(int(index)) for index in indices[:FIRST]])

    def merge(self, other: Rows) -> None:
        """Add another count."""
        self.count += other.count
        self._keep_first(other.first)

    def _keep_first(self, more: list[Row]) -> None:
        self.first = sorted(self.first + more)[:FIRST]


class Tally:
    """Moments, range, non-finite and clipped rows of one quantity: a commutative monoid."""

    def __init__(self, components: int, *, products: bool) -> None:
        """Start with no rows."""
        self.moments = Moments(components, products=products)
        self.low, self.high = math.inf, -math.inf
        self.infinite = Rows()
        self.negative_infinite = Rows()
        self.undefined = Rows()
        self.clipped = Rows()
        self.clipped_sum = ExactSum()

    def add(self, components: Array, shown: Array, row_of: Callable[[int], Row]) -> None:
        """Add rows: components of shape ``(rows,)`` or ``(k, rows)``, shown values ``(rows,)``."""
        if not len(shown):
            return
        low, high = float(shown.min()), float(shown.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(shown)
            self.infinite.add(shown == np.inf, row_of)
            self.negative_infinite.add(shown == -np.inf, row_of)
            self.undefined.add(np.isnan(shown), row_of)
            components, shown = components[..., finite], shown[finite]
            low, high = shown.min(initial=math.inf), shown.max(initial=-math.inf)
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        self.moments.add(components)

    def add_clipped(self, clipped: Mask, shown: Array, row_of: Callable[[int], Row]) -> None:
        """Note which rows of a chunk were changed by clipping."""
        if not clipped.any():
            return
        self.clipped.add(clipped, row_of)
        self.clipped_sum.add(shown[clipped])

    def merge(self, other: Tally) -> None:
        """Add another tally of the same quantity."""
        self.moments.merge(other.moments)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        for name in ("infinite", "negative_infinite", "undefined", "clipped"):
            getattr(self, name).merge(getattr(other, name))
        self.clipped_sum.merge(other.clipped_sum)
