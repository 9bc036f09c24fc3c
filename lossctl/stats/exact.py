"""Exact sums of doubles and of products of two: the same integer for any order, cut and merge.

Every finite double is a whole multiple of 2**-1074 and every product of two a multiple of its
square, so a sum is a whole number of such units, kept as a Python integer. A chunk gets there by
folds: adding ``1.5 * 2**(k + 52)`` rounds every value to a multiple of ``2**k`` and leaves that
multiple in the low bits of the result, where plain 64-bit integer addition sums them exactly; what
the rounding left over is exact too and goes into the next, finer fold (pre-rounding after Rump,
Ogita and Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31, 2008, and Demmel and
Nguyen, "Parallel reproducible summation", IEEE Trans. Comput. 64, 2015). Two folds take in nearly
every value of a chunk, so the loop goes on with the few that have digits left.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from lossctl.stats.segments import Segments

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Extent = tuple[float, float]

SMALLEST = -1074
"""Exponent of the smallest positive double."""
UNIT = 2 * SMALLEST
"""Sums are counted in units of 2**UNIT, fine enough for every product of two doubles."""
GRID = 16
"""Exponents of folds are multiples of it, so that chunks add to the same few counters."""
HUGE = 2.0**960
"""Values from here on would overflow the folding constant; they are added one by one."""
SPLIT = 134217729.0
"""Dekker's constant 2**27 + 1: cuts a double into two halves of at most 26 bits."""
TINY, LARGE = 2.0**-480, 2.0**480
"""Between them the error of a product is a double too; other products are made one by one."""


class ExactSum:
    """Exact sums of finite doubles, one per group: a commutative monoid under `merge`."""

    def __init__(self, groups: int = 1) -> None:
        """Start with the empty sum in every group."""
        self._totals = np.zeros(groups, dtype=object)
        self._counters: dict[int, Integers] = {}
        """Exponent of a fold to the upper and lower 32 bits of its sums, shape ``(2, groups)``."""

    @property
    def units(self) -> npt.NDArray[np.object_]:
        """The sums as Python integers in units of 2**UNIT, shape ``(groups,)``."""
        for exponent, (upper, lower) in self._counters.items():
            for group in np.flatnonzero(upper | lower):
                count = (int(upper[group]) << 32) + int(lower[group])
                self._totals[group] += count << (exponent - UNIT)
        self._counters.clear()
        return self._totals

    def fraction(self, group: int = 0) -> Fraction:
        """Give one group's sum."""
        return Fraction(int(self.units[group]), 1 << -UNIT)

    def add(
        self, values: Array, segments: Segments | None = None, *, extent: Extent | None = None
    ) -> None:
        """Add values of shape ``(rows,)``, all to group 0 or by segments.

        ``extent`` is the least and the greatest of them, for callers who know it.
        """
        if not len(values):
            return
        segments = segments or Segments.single(len(values))
        size = _size(extent or _extent(values))
        if size >= HUGE:
            huge = np.abs(values) >= HUGE
            for row in np.flatnonzero(huge):
                units = _as_units(float(values[row])) << -SMALLEST
                self._totals[segments.group_of(int(row))] += units
            values = np.where(huge, 0.0, values)
            size = _size(_extent(values))
        if size > 0.0:
            self._fold(values, segments, math.frexp(size)[1])

    def add_products(self, a: Array, b: Array, segments: Segments | None = None) -> None:
        """Add ``a * b`` row by row, as the rounded product and its error (Dekker 1971)."""
        if not len(a):
            return
        segments = segments or Segments.single(len(a))
        if not (_is_near(a, _extent(a)) and _is_near(b, _extent(b))):
            a, b = self._add_far_products(a, b, segments)
        product = a * b
        a_high, b_high = _high_half(a), _high_half(b)
        a_low, b_low = a - a_high, b - b_high
        error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
        self.add(product, segments)
        self.add(error, segments)

    def add_squares(
        self, values: Array, segments: Segments | None = None, *, extent: Extent | None = None
    ) -> None:
        """Add the square of each value, as the rounded square and its error.

        The same as the products with itself, in half the passes.
        """
        if not len(values):
            return
        segments = segments or Segments.single(len(values))
        if not _is_near(values, extent or _extent(values)):
            values, _ = self._add_far_products(values, values, segments)
        square = values * values
        high = _high_half(values)
        low = values - high
        # error = ((high^2 - square) + 2 high low) + low^2
        error = high * high
        error -= square
        high += high
        high *= low
        error += high
        low *= low
        error += low
        self.add(square, segments)
        self.add(error, segments)

    def merge(self, other: ExactSum, groups: npt.NDArray[np.intp] | None = None) -> None:
        """Add another sum; its group ``i`` goes to this one's group ``groups[i]``."""
        into = np.arange(len(other._totals)) if groups is None else groups
        np.add.at(self._totals, into, other._totals)
        for exponent, counter in other._counters.items():
            mine = self._counter(exponent)
            np.add.at(mine[0], into, counter[0])
            np.add.at(mine[1], into, counter[1])

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - len(self._totals)
        if not more:
            return
        self._totals = np.append(self._totals, np.zeros(more, dtype=object))
        self._counters = {
            exponent: np.pad(counter, ((0, 0), (0, more)))
            for exponent, counter in self._counters.items()
        }

    def _fold(self, values: Array, segments: Segments, exponent: int) -> None:
        """Fold values below ``2**exponent`` until nothing is left of them."""
        # A fold's integers are at most 2**bits, so that the sum of all of them fits. Rounding the
        # exponent down to the grid takes some of the bits.
        bits = min(51, 62 - len(values).bit_length()) - (GRID - 1)
        rest = values
        while True:
            exponent -= bits
            exponent = max(exponent - exponent % GRID, SMALLEST)
            shift = math.ldexp(1.5, exponent + 52)
            rounded = rest + shift
            self._count(rounded, shift, segments, exponent)
            if exponent == SMALLEST:
                return
            rounded -= shift
            if rest is values:
                rest = np.subtract(values, rounded, out=rounded)
                continue
            left = np.flatnonzero(rest != rounded)
            if not len(left):
                return
            rest = rest[left] - rounded[left]
            segments = segments.take(left)

    def _count(self, rounded: Array, shift: float, segments: Segments, exponent: int) -> None:
        """Sum the integers in the low bits of the shifted values; overflow wraps out again."""
        constant = np.float64(shift).view(np.int64)
        counts = np.add.reduceat(rounded.view(np.int64), segments.starts)
        counts -= segments.counts * constant
        counter = self._counter(exponent)
        counter[0, segments.groups] += counts >> 32
        counter[1, segments.groups] += counts & 0xFFFFFFFF

    def _counter(self, exponent: int) -> Integers:
        counter = self._counters.get(exponent)
        if counter is None:
            counter = np.zeros((2, len(self._totals)), dtype=np.int64)
            self._counters[exponent] = counter
        return counter

    def _add_far_products(self, a: Array, b: Array, segments: Segments) -> tuple[Array, Array]:
        """Add the products whose error is no double one by one, and take them out."""
        far = ~(_near(a) & _near(b))  # zeros too, whatever stands beside them
        for row in np.flatnonzero(far & (a != 0.0) & (b != 0.0)):
            units = _as_units(float(a[row])) * _as_units(float(b[row]))
            self._totals[segments.group_of(int(row))] += units
        kept = np.where(far, 0.0, a)
        return kept, kept if b is a else np.where(far, 0.0, b)


def _as_units(value: float) -> int:
    """Give a finite double as a whole number of units of 2**SMALLEST."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator << -SMALLEST) // denominator


def _extent(values: Array) -> Extent:
    return float(values.min()), float(values.max())


def _size(extent: Extent) -> float:
    """Give the largest magnitude."""
    return max(-extent[0], extent[1])


def _high_half(values: Array) -> Array:
    spread = SPLIT * values
    return spread - (spread - values)


def _near(values: Array) -> npt.NDArray[np.bool_]:
    sizes = np.abs(values)
    return (sizes >= TINY) & (sizes < LARGE)


def _is_near(values: Array, extent: Extent) -> bool:
    """Tell whether every magnitude that is not zero lies between TINY and LARGE."""
    if _size(extent) >= LARGE:
        return False
    if extent[0] >= TINY:
        return True
    sizes = np.abs(values)
    return bool(((sizes == 0.0) | (sizes >= TINY)).all())
