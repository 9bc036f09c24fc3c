"""Units: exact sums of the rows that belong together, such as those of one cluster.

What rows of a unit have in common stays in their sum, so a covariance between units, or a
bootstrap that draws whole units, takes account of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.record import record
from lossctl.stats.exact import UNIT, ExactSum
from lossctl.stats.moments import Matrix
from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Objects = npt.NDArray[np.object_]

GROUP_BITS = 32


class Numbering:
    """Numbers distinct integers in order of appearance."""

    def __init__(self) -> None:
        """Start without any."""
        self.values: Ids = np.zeros(0, dtype=np.uint64)
        """The integers by number."""
        self._sorted = self.values
        self._numbers: Integers = np.zeros(0, dtype=np.int64)

    def number(self, distinct: Ids) -> Integers:
        """Give the number of each of some ascending integers, new ones if need be."""
        places = np.searchsorted(self._sorted, distinct)
        known = np.zeros(len(distinct), dtype=np.bool_)
        inside = places < len(self._sorted)
        known[inside] = self._sorted[places[inside]] == distinct[inside]
        fresh = ~known
        if fresh.any():
            count = len(self.values)
            numbers = np.arange(count, count + int(fresh.sum()))
            self._numbers = np.insert(self._numbers, places[fresh], numbers)
            self._sorted = np.insert(self._sorted, places[fresh], distinct[fresh])
            self.values = np.append(self.values, distinct[fresh])
            places = np.searchsorted(self._sorted, distinct)
        return self._numbers[places]


@record
class UnitSums:
    """The units of one slice by ascending id, with whole numbers of 2**UNIT."""

    ids: Ids
    sums: tuple[Objects, ...]
    """For each component the weighted sum over each unit."""
    weights: Objects
    """Sum of the weights of each unit."""

    def joined(self, into: Callable[[Ids], Ids]) -> UnitSums:
        """Join units that are given the same id."""
        ids, places = np.unique(into(self.ids), return_inverse=True)
        return UnitSums(
            ids,
            tuple(_joined(part, places, len(ids)) for part in self.sums),
            _joined(self.weights, places, len(ids)),
        )

    def rounded(self) -> tuple[Array, Array]:
        """Give sums, shape ``(components, units)``, and weights, shape ``(units,)``, as doubles."""
        columns = [_rounded(part) for part in (*self.sums, self.weights)]
        return np.stack(columns[:-1]), columns[-1]

    def covariance(self) -> Matrix | None:
        """Estimate the covariance of the means between units; None for fewer than two.

        With sums ``s`` and weights ``w`` of ``g`` units it is ``g / (g - 1)`` times the sum of
        ``(s_i - m_i w) (s_j - m_j w)``, divided by the square of the whole weight.
        """
        count, total = len(self.ids), int(self.weights.sum())
        if count < 2 or not total:
            return None
        columns = [_shortened(part) for part in (*self.sums, self.weights)]
        weight = columns[-1]
        means = [Fraction(int(part.sum()), int(weight[0].sum())) for part, _ in columns[:-1]]
        means = [mean * _power(s - weight[1]) for mean, (_, s) in zip(means, columns, strict=False)]
        last = len(means)

        def product(i: int, j: int) -> Fraction:
            (a, shift), (b, other) = columns[i], columns[j]
            return Fraction(int((a * b).sum())) * _power(shift + other)

        whole = Fraction(int(weight[0].sum())) * _power(weight[1])
        scale = Fraction(count, count - 1) / (whole * whole)
        square = product(last, last)
        return tuple(
            tuple(
                scale
                * (
                    product(i, j)
                    - means[i] * product(j, last)
                    - means[j] * product(i, last)
                    + means[i] * means[j] * square
                )
                for j in range(last)
            )
            for i in range(last)
        )


class Units:
    """Exact sums of k components by group and unit: a commutative monoid under `merge`.

    Memory grows with the number of units, not with that of the rows.
    """

    def __init__(self, components: int, *, weighted: bool = False) -> None:
        """Start without units."""
        self.weighted = weighted
        self.ids = Numbering()
        self.slots = Numbering()
        """Group and number of the id, in one integer, to the place of their sums."""
        self.rows: Integers = np.zeros(0, dtype=np.int64)
        self.sums = [ExactSum(0) for _ in range(components)]
        self.weights = ExactSum(0)

    def add(
        self, ids: Ids, stacked: Array, segments: Segments, weights: Array | None = None
    ) -> None:
        """Add rows: the id of each row's unit, and components of shape ``(k, rows)``."""
        groups = np.repeat(segments.groups, segments.counts).astype(np.uint64)
        distinct, places = np.unique(ids, return_inverse=True)
        codes = (groups << np.uint64(GROUP_BITS)) | self.ids.number(distinct).astype(np.uint64)[
            places
        ]
        distinct, places = np.unique(codes, return_inverse=True)
        slots = self._slots_of(distinct)
        arranged, order = Segments.arrange(places)
        by_slot = Segments(arranged.starts, slots[arranged.groups], arranged.counts)
        self.rows[by_slot.groups] += by_slot.counts
        if weights is not None:
            weights = weights[order]
            self.weights.add(weights, by_slot)
        for total, column in zip(self.sums, stacked, strict=True):
            if weights is None:
                total.add(column[order], by_slot)
            else:
                total.add_products(column[order], weights, by_slot)

    def merge(self, other: Units, groups: Indices) -> None:
        """Add another state; its group ``i`` goes to this one's group ``groups[i]``."""
        order = np.argsort(other.ids.values)
        numbers = np.empty(len(order), dtype=np.uint64)
        numbers[order] = self.ids.number(other.ids.values[order]).astype(np.uint64)
        codes = other.slots.values
        low = np.uint64((1 << GROUP_BITS) - 1)
        into = np.asarray(groups, dtype=np.uint64)[(codes >> np.uint64(GROUP_BITS)).astype(np.intp)]
        mapped = (into << np.uint64(GROUP_BITS)) | numbers[(codes & low).astype(np.intp)]
        distinct, places = np.unique(mapped, return_inverse=True)
        slots = self._slots_of(distinct)[places]
        np.add.at(self.rows, slots, other.rows)
        for mine, theirs in zip(
            [*self.sums, self.weights], [*other.sums, other.weights], strict=True
        ):
            mine.merge(theirs, slots)

    def of(self, groups: Sequence[int]) -> UnitSums:
        """Give the sums of some groups together."""
        codes = self.slots.values
        wanted = np.zeros(int((codes >> np.uint64(GROUP_BITS)).max(initial=0)) + 1, dtype=np.bool_)
        wanted[[group for group in groups if group < len(wanted)]] = True
        slots = np.flatnonzero(wanted[(codes >> np.uint64(GROUP_BITS)).astype(np.intp)])
        numbers = (codes[slots] & np.uint64((1 << GROUP_BITS) - 1)).astype(np.intp)
        weights = self.weights.units if self.weighted else self._counts()
        single = UnitSums(
            self.ids.values[numbers],
            tuple(total.units[slots] for total in self.sums),
            weights[slots],
        )
        return single.joined(lambda ids: ids)

    def _counts(self) -> Objects:
        counts: Objects = self.rows.astype(object) * (1 << -UNIT)
        return counts

    def _slots_of(self, distinct: Ids) -> Integers:
        slots = self.slots.number(distinct)
        size = len(self.slots.values)
        self.rows = np.pad(self.rows, (0, size - len(self.rows)))
        for total in (*self.sums, self.weights):
            total.grow(size)
        return slots


def _joined(values: Objects, places: Indices, count: int) -> Objects:
    totals = np.zeros(count, dtype=object)
    np.add.at(totals, places, values)
    return totals


def _shortened(values: Objects) -> tuple[Objects, int]:
    """Leave out the low bits that are 0 in all values; gives the power of two left out."""
    bits = int(np.bitwise_or.reduce(np.abs(values))) if len(values) else 0
    shift = (bits & -bits).bit_length() - 1 if bits else 0
    return values >> shift, shift + UNIT


def _rounded(values: Objects) -> Array:
    short, exponent = _shortened(values)
    most = max((int(value).bit_length() for value in short), default=0)
    shift = max(most - 1000, 0)
    rounded: Array = np.ldexp((short >> shift).astype(np.float64), shift + exponent)
    return rounded


def _power(exponent: int) -> Fraction:
    """Give a power of two, which may be a fraction."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)
