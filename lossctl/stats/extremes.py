"""Extremes: the few most extreme values of each group and the rows they stand in.

Rows of equal value are told apart by their place in the input, so the same rows are kept for any
cut of the input and any order of merging.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Order = Literal["largest", "smallest", "largest_absolute"]
Row = tuple[str, int, int, *tuple[Any, ...]]
"""File, start of a piece of it, and row within the piece: ordered like the rows of each file.

What follows is the key of the row, where rows are paired by key."""
Numbers = Callable[[Indices], Indices]
"""Gives the numbers within the piece of the rows at some indices of a chunk's arrays."""
Carried = Callable[[Indices], Sequence[tuple[Any, ...]]]
"""Gives what the rows at some indices carry with them, in plain values."""


class Extreme(NamedTuple):
    """A value, the row it stands in, and what that row carries."""

    value: float
    row: Row
    carried: tuple[Any, ...] = ()


class Extremes:
    """The ``most`` most extreme values of each group, best first: a commutative monoid.

    Values may be infinite; NaN is never among them.
    """

    def __init__(self, most: int, order: Order = "largest", groups: int = 1) -> None:
        """Start with no rows in every group."""
        self.most, self.order = most, order
        self.kept: list[list[Extreme]] = [[] for _ in range(groups)]
        self._limits = np.full(groups, -math.inf)
        """Rank of the last value of each full group, which others have to reach."""

    def add(
        self,
        values: Array,
        segments: Segments,
        piece: tuple[str, int],
        numbers: Numbers,
        carried: Carried | None = None,
    ) -> None:
        """Add rows of one piece of a file, values of shape ``(rows,)`` arranged by segments."""
        ranks = self._ranks(values)
        near = self._candidates(ranks, segments, piece, numbers)
        if not len(near):
            return
        places = numbers(near).tolist()
        extras = [()] * len(near) if carried is None else carried(near)
        groups = segments.take(near)
        found = [
            Extreme(value, (*piece, number), extra)
            for value, number, extra in zip(values[near].tolist(), places, extras, strict=True)
        ]
        for group, start, count in zip(
            groups.groups.tolist(), groups.starts.tolist(), groups.counts.tolist(), strict=True
        ):
            self._keep(group, found[start : start + count])

    def merge(self, other: Extremes, groups: Indices | None = None) -> None:
        """Add another state; its group ``i`` goes to this one's group ``groups[i]``."""
        for group, kept in enumerate(other.kept):
            self._keep(group if groups is None else int(groups[group]), kept)

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - len(self.kept)
        self.kept += [[] for _ in range(more)]
        self._limits = np.pad(self._limits, (0, more), constant_values=-math.inf)

    def load(self, group: int, kept: Iterable[Extreme]) -> None:
        """Add rows of one group, as another's `kept` holds them."""
        self._keep(group, list(kept))

    def _keep(self, group: int, more: list[Extreme]) -> None:
        """Keep the first of what is there and of what comes, in the one order of all rows."""
        joined = sorted([*self.kept[group], *more], key=lambda it: (-self._rank(it.value), it.row))
        self.kept[group] = joined[: self.most]
        if len(self.kept[group]) == self.most:
            self._limits[group] = self._rank(joined[self.most - 1].value)

    def _rank(self, value: float) -> float:
        if self.order == "largest":
            return value
        return -value if self.order == "smallest" else abs(value)

    def _ranks(self, values: Array) -> Array:
        if self.order == "largest":
            return values
        return -values if self.order == "smallest" else np.abs(values)

    def _candidates(
        self, ranks: Array, segments: Segments, piece: tuple[str, int], numbers: Numbers
    ) -> Indices:
        """Find the rows that may be kept, at most `most` of each group, in ascending order."""
        single = len(segments.starts) == 1
        limits = self._limits[segments.groups]
        needed = limits[0] if single else np.repeat(limits, segments.counts)
        near = np.flatnonzero(ranks >= needed)
        if len(near) > self.most:
            near = self._without_late_ties(near, ranks, segments, piece, numbers)
        if len(near) <= self.most:
            return near
        if single:
            return _first(near, ranks[near], numbers, self.most)
        runs = np.searchsorted(segments.starts, near, side="right") - 1
        order = np.lexsort((numbers(near), -ranks[near], runs))
        starts = np.searchsorted(runs[order], runs[order], side="left")
        return np.sort(near[order[np.arange(len(near)) - starts < self.most]])

    def _without_late_ties(
        self,
        near: Indices,
        ranks: Array,
        segments: Segments,
        piece: tuple[str, int],
        numbers: Numbers,
    ) -> Indices:
        """Leave out rows that only reach the limit of their group and stand after its last row.

        Where a loss takes few values these are most rows.
        """
        earliest = np.full(len(segments.groups), np.iinfo(np.int64).max)
        for run, group in enumerate(segments.groups.tolist()):
            if len(self.kept[group]) == self.most:
                path, start, number, *_ = self.kept[group][-1].row
                if (path, start) == piece:
                    earliest[run] = number
                elif (path, start) < piece:
                    earliest[run] = -1
        runs = np.searchsorted(segments.starts, near, side="right") - 1
        tied = ranks[near] == self._limits[segments.groups[runs]]
        kept: Indices = near[~tied | (numbers(near) < earliest[runs])]
        return kept


def _first(near: Indices, ranks: Array, numbers: Numbers, most: int) -> Indices:
    """Give the rows of the highest ranks, of equal ones those with the lowest numbers."""
    limit = np.partition(ranks, len(ranks) - most)[len(ranks) - most]
    above, ties = near[ranks > limit], near[ranks == limit]
    room = most - len(above)
    if len(ties) > room:
        ties = ties[np.argpartition(numbers(ties), room - 1)[:room]]
    return np.sort(np.concatenate([above, ties]))
