"""Tallies: all that is kept of one quantity, from its moments to its first infinite row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lossctl.stats.buckets import Buckets
from lossctl.stats.exact import ExactSum
from lossctl.stats.extremes import Extremes, Order, Row
from lossctl.stats.moments import Moments
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
FirstRows = Callable[[Indices], list[Row]]
"""Names the first few of the rows at some indices of a chunk's arrays."""

FIRST = 5
"""How many of the first rows of a kind are named."""
KINDS = ("infinite", "negative_infinite", "undefined", "clipped")
"""The kinds of rows that are counted apart."""


@dataclass
class Rows:
    """How many rows were of some kind, and the first few of them; merges in any order."""

    count: int = 0
    first: list[Row] = field(default_factory=list)

    def add(self, indices: Indices, first_rows: FirstRows) -> None:
        """Add the rows at some indices of a chunk."""
        self.count += len(indices)
        self._keep_first(first_rows(indices))

    def merge(self, other: Rows) -> None:
        """Add another count."""
        self.count += other.count
        self._keep_first(other.first)

    def _keep_first(self, more: list[Row]) -> None:
        self.first = sorted(self.first + more)[:FIRST]


class Tally:
    """Moments, range, buckets and odd rows of one quantity by group: a commutative monoid."""

    def __init__(
        self,
        components: int,
        *,
        products: bool,
        buckets: bool = False,
        weighted: bool = False,
        worst: int = 0,
        signed: bool = False,
        groups: int = 1,
    ) -> None:
        """Start with no rows in every group.

        ``worst`` rows are kept with the largest value, or of a ``signed`` quantity with the
        largest absolute one.
        """
        self.moments = Moments(components, products=products, weighted=weighted, groups=groups)
        self.buckets = Buckets(weighted=weighted) if buckets else None
        self.low = np.full(groups, math.inf)
        self.high = np.full(groups, -math.inf)
        self.clipped_sum = ExactSum(groups)
        self.odd_weight = ExactSum(groups)
        """Weight of the rows that are infinite or undefined."""
        self.weightless = np.zeros(groups, dtype=np.int64)
        """Number of rows of weight 0, which are counted and have no other part in anything."""
        order: Order = "largest_absolute" if signed else "largest"
        self.worst = Extremes(worst, order, groups) if worst else None
        self.rows: dict[tuple[str, int], Rows] = {}
        """Kind and group to the rows of that kind; absent where there are none."""

    def add(
        self,
        components: Array,
        shown: Array,
        segments: Segments,
        first_rows: FirstRows,
        weights: Array | None = None,
    ) -> None:
        """Add rows: components of shape ``(rows,)`` or ``(k, rows)``, shown values ``(rows,)``."""
        if not len(shown):
            return
        if weights is not None and not weights.all():
            idle = segments.take(np.flatnonzero(weights == 0.0))
            self.weightless[idle.groups] += idle.counts
            heavy = np.flatnonzero(weights)
            self._add_some(heavy, components, shown, segments, first_rows, weights)
            return
        lows = np.minimum.reduceat(shown, segments.starts)
        highs = np.maximum.reduceat(shown, segments.starts)
        extent = float(lows.min()), float(highs.max())
        if not (math.isfinite(extent[0]) and math.isfinite(extent[1])):
            self._add_rows("infinite", shown == np.inf, segments, first_rows)
            self._add_rows("negative_infinite", shown == -np.inf, segments, first_rows)
            self._add_rows("undefined", np.isnan(shown), segments, first_rows)
            finite = np.isfinite(shown)
            if weights is not None:
                odd = np.flatnonzero(~finite)
                self.odd_weight.add(weights[odd], segments.take(odd))
            rows = np.flatnonzero(finite)
            self._add_some(rows, components, shown, segments, first_rows, weights)
            return
        groups = segments.groups
        self.low[groups] = np.minimum(self.low[groups], lows)
        self.high[groups] = np.maximum(self.high[groups], highs)
        single = components.ndim == 1
        self.moments.add(components, weights, segments, extent=extent if single else None)
        if self.buckets is not None:
            self.buckets.add(shown, segments, weights)

    def _add_some(
        self,
        rows: Indices,
        components: Array,
        shown: Array,
        segments: Segments,
        first_rows: FirstRows,
        weights: Array | None,
    ) -> None:
        """Add some of the rows."""
        self.add(
            components[..., rows],
            shown[rows],
            segments.take(rows),
            lambda indices: first_rows(rows[indices]),
            None if weights is None else weights[rows],
        )

    def add_clipped(
        self,
        clipped: Mask,
        shown: Array,
        segments: Segments,
        first_rows: FirstRows,
        weights: Array | None = None,
    ) -> None:
        """Note which rows of a chunk were changed by clipping."""
        if weights is not None:
            clipped = clipped & (weights > 0.0)
        indices = np.flatnonzero(clipped)
        if len(indices):
            self._add_rows("clipped", clipped, segments, first_rows)
            finite = indices[np.isfinite(shown[indices])]
            if weights is None:
                self.clipped_sum.add(shown[finite], segments.take(finite))
            else:
                self.clipped_sum.add_products(shown[finite], weights[finite], segments.take(finite))

    def rows_of(self, kind: str, group: int) -> Rows:
        """Give a group's rows of one of `KINDS`."""
        return self.rows.get((kind, group)) or Rows()

    def merge(self, other: Tally, groups: Indices | None = None) -> None:
        """Add another tally; its group ``i`` goes to this one's group ``groups[i]``."""
        self.moments.merge(other.moments, groups)
        into = np.arange(len(other.low)) if groups is None else groups
        np.minimum.at(self.low, into, other.low)
        np.maximum.at(self.high, into, other.high)
        np.add.at(self.weightless, into, other.weightless)
        self.clipped_sum.merge(other.clipped_sum, groups)
        self.odd_weight.merge(other.odd_weight, groups)
        if self.buckets is not None and other.buckets is not None:
            self.buckets.merge(other.buckets, groups)
        if self.worst is not None and other.worst is not None:
            self.worst.merge(other.worst, groups)
        for (kind, group), rows in other.rows.items():
            self.rows.setdefault((kind, int(into[group])), Rows()).merge(rows)

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - len(self.low)
        if not more:
            return
        self.moments.grow(groups)
        self.clipped_sum.grow(groups)
        self.odd_weight.grow(groups)
        self.weightless = np.pad(self.weightless, (0, more))
        if self.worst is not None:
            self.worst.grow(groups)
        self.low = np.pad(self.low, (0, more), constant_values=math.inf)
        self.high = np.pad(self.high, (0, more), constant_values=-math.inf)

    def _add_rows(self, kind: str, marks: Mask, segments: Segments, first_rows: FirstRows) -> None:
        indices = np.flatnonzero(marks)
        if not len(indices):
            return
        runs = np.searchsorted(segments.starts, indices, side="right") - 1
        for run in np.unique(runs):
            group = int(segments.groups[run])
            self.rows.setdefault((kind, group), Rows()).add(indices[runs == run], first_rows)
